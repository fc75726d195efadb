package fault

import (
	"strings"
	"testing"
)

func assigns(to map[string]any) { to["traffic"] = 1 }

// TestAPanicTellsWhereItCameFrom: its message is all that there is to find it by.
func TestAPanicTellsWhereItCameFrom(t *testing.T) {
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = Panicked(p)
			}
		}()
		assigns(nil)
		return nil
	}()
	if err == nil || Of(err) != Internal || !strings.Contains(HintOf(err), "report it") {
		t.Fatalf("%v: %s", err, HintOf(err))
	}
	if want := "panic: assignment to entry in nil map, in reconciler/fault.assigns (panicked_test.go:8), called by "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant %s...", err, want)
	}
}
