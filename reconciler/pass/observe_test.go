// What is seen between passes is on the ledger once.

package pass

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestADeploymentThatIsDownIsRecordedOnceAndOnceWhenItIsBack(t *testing.T) {
	h, w := newHouse(tree())
	s := ref("deployment/s")
	see := func(up bool, health port.Health) (entries int) {
		t.Helper()
		before := w.facts.Count
		if err := h.Observed(t.Context(), s, ledger.Observed{Up: up, Health: health}); err != nil {
			t.Fatal(err)
		}
		return int(w.facts.Count - before)
	}
	if _, err := w.Facts(t.Context()); err != nil { // begins the ledger
		t.Fatal(err)
	}
	if see(false, port.Down) != 0 {
		t.Error("what was never deployed cannot be down")
	}
	apply(t, h)
	for i, c := range []struct {
		up     bool
		health port.Health
		want   int
	}{{true, port.Ready, 0}, {false, port.Down, 1}, {false, port.Failing, 0}, {false, "", 0}, {true, port.Ready, 1}, {true, port.Ready, 0}, {false, "", 1}} {
		if got := see(c.up, c.health); got != c.want {
			t.Errorf("look %d, up %t: %d entries, not %d", i, c.up, got, c.want)
		}
	}
	e := w.facts.Observed[s]
	if e.Key != w.facts.Latest[s].Key || e.Reason != "does not answer" || ledger.RoleOf(e.Action) != port.Refuse {
		t.Errorf("recorded %+v", e)
	}
}
