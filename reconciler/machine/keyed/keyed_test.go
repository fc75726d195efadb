// One at a time under a name, names in nobody's way, and nothing kept of a name that is free.

package keyed

import (
	"context"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestANameIsHeldByOne(t *testing.T) {
	var l Lock
	var all sync.WaitGroup
	n := 0
	for range 50 {
		all.Go(func() {
			unlock, err := l.Hold(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			n++ // the race detector watches
		})
	}
	all.Wait()
	if n != 50 || len(l.held) > 0 {
		t.Errorf("%d held it, want 50; kept are %d names", n, len(l.held))
	}
}

func TestWaitingForANameEndsWithItsCaller(t *testing.T) {
	var l Lock
	unlock, err := l.Hold(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Hold(t.Context(), "b")
	if err != nil {
		t.Fatalf("another name waits: %v", err)
	}
	other()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := l.Hold(ctx, "a"); fault.Of(err) != fault.Cancelled {
		t.Errorf("%v, want Cancelled", err)
	}
	unlock()
	if len(l.held) > 0 {
		t.Errorf("kept are %d names", len(l.held))
	}
}
