package port

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// TestWhatServesIsNamed: whoever serves another release says which one was served, as far as it is known.
func TestWhatServesIsNamed(t *testing.T) {
	a, b := digest.Of([]byte("a")), digest.Of([]byte("b"))
	for want, got := range map[string]string{
		"serves something else":                                Live{}.Unlike(a),
		"serves another release of model " + a.Short():         Live{Model: a}.Unlike(a),
		"serves model " + a.Short() + ", and not " + b.Short(): Live{Model: a}.Unlike(b),
		"its serving host is not running":                      BroughtBack("its serving host is not running; run vishwa apply to bring it back\nmore"),
		"exit 1; see its log":                                  BroughtBack("exit 1; see its log"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
