// A file of DVC's that cannot be read says what to do about it.

package dvc

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestWhatCannotBeReadSaysWhatToDo(t *testing.T) {
	failed := map[string]error{}
	for _, text := range []string{"[core", "loose = 1\n"} {
		_, failed[text] = ParseConfig(".dvc/config", []byte(text))
	}
	for _, text := range []string{"", "outs: [", "- a\n"} {
		_, failed[text] = ParsePointer("data.dvc", []byte(text))
	}
	for _, at := range []string{"/etc/passwd", "../../up", ".git/config"} {
		_, failed[at] = new(Pointer).Place("data/x.dvc", Out{Path: at})
	}
	for text, err := range failed {
		if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%q: %v, with the hint %q", text, err, fault.HintOf(err))
		}
	}
}
