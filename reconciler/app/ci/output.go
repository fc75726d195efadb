// What later steps of a job read: GitHub's file of outputs.

package ci

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

var outputName = lazyregexp.New(`^[a-z][a-z0-9-]{0,63}$`)

// Outputs writes values in the format of GITHUB_OUTPUT
// (https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#multiline-strings).
// A value may hold anything: it ends at a line that is random, and that it does not
// contain.
func Outputs(w io.Writer, values map[string]string, random io.Reader) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !outputName.MatchString(name) {
			return fault.New(fault.Internal, "write outputs: %q is not a name of an output", name)
		}
		end, err := delimiter(values[name], random)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", name, end, values[name], end)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fault.New(fault.Internal, "write outputs: %w", err)
	}
	return nil
}

// delimiter is a line that value does not contain.
func delimiter(value string, random io.Reader) (string, error) {
	var raw [16]byte
	for range 8 {
		if _, err := io.ReadFull(random, raw[:]); err != nil {
			break
		}
		if end := "vishwa-" + hex.EncodeToString(raw[:]); !strings.Contains(value, end) {
			return end, nil
		}
	}
	return "", fault.New(fault.Internal, "write outputs: there is no randomness to end a value with")
}
