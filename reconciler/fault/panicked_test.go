package fault

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
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
	if want := "panic: assignment to entry in nil map, in reconciler/fault.assigns (panicked_test.go:11), called by "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant %s...", err, want)
	}
}

func writes(to *bytes.Buffer) error { return xml.NewEncoder(gzip.NewWriter(to)).Encode(1) }

// TestAPanicDeepInALibraryTellsWhoAskedIt: many calls of the library's own lie between.
func TestAPanicDeepInALibraryTellsWhoAskedIt(t *testing.T) {
	err := Guard(func() error { return writes(nil) })
	if err == nil || !strings.Contains(err.Error(), ", in bytes.(*Buffer).") || !strings.Contains(err.Error(), ", called by reconciler/fault.writes (panicked_test.go:") {
		t.Errorf("%v", err)
	}
	if calls := strings.Split(Stack(err), "\n"); len(calls) < 6 || !strings.Contains(Stack(err), "\nencoding/xml.(*Encoder).Encode (") {
		t.Errorf("its calls are %q", calls)
	}
}
