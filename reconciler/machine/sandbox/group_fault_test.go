package sandbox

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAFaultOfWhoWaitsForACommandIsNoGoodEnd: it would be taken for exit code 0, or be waited for for ever.
func TestAFaultOfWhoWaitsForACommandIsNoGoodEnd(t *testing.T) {
	g := &Group{done: make(chan struct{}), gone: make(chan struct{})}
	g.wait(nil) // a command that is none
	for name, over := range map[string]<-chan struct{}{"its end": g.Done(), "the end of all of it": g.gone} {
		select {
		case <-over:
		case <-time.After(time.Minute):
			t.Fatalf("%s is waited for", name)
		}
	}
	if _, err := g.End(); err == nil || fault.Of(err) != fault.Internal {
		t.Errorf("it ended well: %v", err)
	}
}
