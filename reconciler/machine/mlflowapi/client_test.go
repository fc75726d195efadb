package mlflowapi

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAListWithoutAnEndIsAnError: what is missing on it would be written a second time.
func TestAListWithoutAnEndIsAnError(t *testing.T) {
	asked := 0
	err := Paged("runs", func(string) (string, error) {
		asked++
		return string(rune('a' + asked%2)), nil
	})
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || asked != MostPages {
		t.Errorf("%d pages, %v", asked, err)
	}
}
