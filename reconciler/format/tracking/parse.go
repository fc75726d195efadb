// What a run's files cost to read, and small documents of YAML and JSON. A few hundred bytes of YAML can stand for any number of values, by
// names for what was said before: what a document stands for is counted before it is made.

package tracking

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

var tooMuch = fault.New(fault.Invalid, "it is larger than what is read of a run's logs")

// spend counts what is done for a run in the bytes that could be read meanwhile: nothing else ends what
// is read when the run has ended.
func (f *files) spend(n int64) error {
	if f.left -= n; f.left < 0 {
		return tooMuch
	}
	return nil
}

// mostValues is how many values a document may stand for.
const mostValues = 1 << 17

// document is the bytes of a small file that are to be understood.
func (f *files) document(p string) ([]byte, error) {
	raw, err := f.text(p)
	if err == nil {
		if err = f.spend(parsing * int64(len(raw))); err != nil {
			err = fault.New(fault.Invalid, "%s: %w", p, err)
		}
	}
	return raw, err
}

// understand reads a document of YAML, of which JSON is one. That it is none is told; the error is of one
// that the run has no more to be read for.
func (f *files) understand(p string, into any) (is bool, err error) {
	raw, err := f.document(p)
	if err != nil {
		return false, err
	}
	var n yaml.Node
	if yaml.Unmarshal(raw, &n) != nil {
		return false, nil
	}
	left := mostValues
	if count(&n, &left) != nil {
		return false, nil
	}
	if err := f.spend(visiting * int64(mostValues-left)); err != nil {
		return false, fault.New(fault.Invalid, "%s: %w", p, err)
	}
	return n.Decode(into) == nil, nil
}

var errManyValues = errors.New("it has too many values")

// count takes of left what n stands for.
func count(n *yaml.Node, left *int) error {
	if *left--; *left < 0 {
		return errManyValues
	}
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return count(n.Alias, left)
	}
	for _, c := range n.Content {
		if err := count(c, left); err != nil {
			return err
		}
	}
	return nil
}
