// Refs are how declarations name each other.

package schemas

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Ref names a declaration, "kind/name" in lower case, or one output of it,
// "kind/name:output". A candidate is an output of its training.
type Ref struct {
	Kind   Kind
	Name   string
	Output string
}

// RefPattern is what a ref looks like, as a regular expression that Go and JSON Schema share.
const RefPattern = `^([a-z]+)/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)(?::([a-zA-Z0-9](?:[-_.a-zA-Z0-9]{0,62})))?$`

var refPattern = lazyregexp.New(RefPattern)

// ParseRef reads "kind/name" or "kind/name:output". Names are DNS labels (RFC 1123).
func ParseRef(s string) (Ref, error) {
	m := refPattern.FindStringSubmatch(s)
	if m == nil {
		return Ref{}, fmt.Errorf("%q is not a ref: want kind/name or kind/name:output in lower case, such as dataset/students", s)
	}
	return Ref{Kind(m[1]), m[2], m[3]}, nil
}

// String is the inverse of ParseRef.
func (r Ref) String() string {
	s := string(r.Kind) + "/" + r.Name
	if r.Output != "" {
		s += ":" + r.Output
	}
	return s
}

// Whole is the ref without its output.
func (r Ref) Whole() Ref { return Ref{Kind: r.Kind, Name: r.Name} }

// Compare orders refs by their text, and makes no text where it need not.
func (r Ref) Compare(o Ref) int {
	for _, part := range [...][2]string{{string(r.Kind), string(o.Kind)}, {r.Name, o.Name}} {
		a, b := part[0], part[1]
		if a == b {
			continue
		}
		if strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
			return strings.Compare(r.String(), o.String())
		}
		return strings.Compare(a, b)
	}
	return strings.Compare(r.Output, o.Output)
}

// MarshalText and UnmarshalText let a Ref be a JSON string or object key.
func (r Ref) MarshalText() ([]byte, error) {
	if r == (Ref{}) {
		return nil, nil
	}
	return []byte(r.String()), nil
}

func (r *Ref) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*r = Ref{}
		return nil
	}
	got, err := ParseRef(string(b))
	*r = got
	return err
}

func kindName(kind string) string { return strings.ToLower(kind) }
