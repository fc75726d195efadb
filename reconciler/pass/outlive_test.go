// What production serves goes on until what takes its place may.

package pass

import (
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
)

// TestTwoThatAreRenamedAtOnceTakeTheirOwnAddresses: nobody waits for each other in a circle.
func TestTwoThatAreRenamedAtOnceTakeTheirOwnAddresses(t *testing.T) {
	h, w := newHouse(guardedTree(another("second", "production", 8081)))
	h.Hands = written(alice)
	pass(t, h)
	yes(t, h, []string{"bob"})
	if held := pass(t, h); len(held) > 0 {
		t.Fatal(held)
	}
	h.commit(w, two, guardedTree(replaced("metadata: {name: live}", "metadata: {name: live2}"), another("second2", "production", 8081)))
	if held := pass(t, h); len(held) != 4 {
		t.Errorf("held are %q", held)
	}
	if w.served["live"].Local.Port != 8080 || w.served["second"].Local.Port != 8081 {
		t.Errorf("production serves %v", w.served)
	}
	yes(t, h, []string{"bob"})
	if held := pass(t, h); len(held) > 0 {
		t.Errorf("held are %q", held)
	}
	if w.served["live2"].Local.Port != 8080 || w.served["second2"].Local.Port != 8081 || len(w.served) != 2 {
		t.Errorf("production serves %v", w.served)
	}
}

// TestARenameThatMustTrainFirstStopsNothing: while its model is not made, nothing is known of the successor.
func TestARenameThatMustTrainFirstStopsNothing(t *testing.T) {
	for name, change := range map[string]func(fstest.MapFS){
		"at the same address": all(newModel, replaced("metadata: {name: live}", "metadata: {name: live2}")),
		"at another address":  all(newModel, replaced("metadata: {name: live}", "metadata: {name: live2}"), replaced("8080", "8081")),
	} {
		h, w := settledHouse(t)
		h.commit(w, two, guardedTree(change))
		yes(t, h, []string{"bob"}) // too early: the model is not known
		for range 2 {
			if held := pass(t, h); len(held) != 2 || w.served["live"].Local.Port != 8080 {
				t.Fatalf("%s: held are %q, served %v", name, held, w.served)
			}
		}
		yes(t, h, []string{"bob"})
		if held := pass(t, h); len(held) > 0 {
			t.Errorf("%s: held are %q", name, held)
		}
		if _, there := w.served["live2"]; !there || len(w.served) != 1 {
			t.Errorf("%s: served %v", name, w.served)
		}
	}
}

// TestWhatComesBackMovesNoGuard: after a crash, the trust file of the head is not in force by that.
func TestWhatComesBackMovesNoGuard(t *testing.T) {
	h, w := settledHouse(t)
	befriended := guardedTree(befriend)
	h.commit(w, two, befriended)
	delete(w.served, "live") // a reboot, at a head that names eve
	if held := pass(t, h); len(held) > 0 || w.served["live"].Local.Port != 8080 {
		t.Fatalf("it does not come back: %q", held)
	}
	const three = "5555555555555555555555555555555555555555"
	h.commit(w, three, guardedTree(withEve))
	pass(t, h)
	yes(t, h, []string{"eve"})
	if held := pass(t, h); len(held) != 1 {
		t.Errorf("what came back at a revision took over its trust file: held are %q", held)
	}
}

// TestARenameWhoseSuccessorFailsStopsNothing: it takes the address over when it has proved
// itself, and where it does not, what was there goes on; guarded or not.
func TestARenameWhoseSuccessorFailsStopsNothing(t *testing.T) {
	for name, base := range map[string]func(...func(fstest.MapFS)) fstest.MapFS{
		"guarded": guardedTree,
		"by nobody": func(change ...func(fstest.MapFS)) fstest.MapFS {
			return guardedTree(append([]func(fstest.MapFS){replaced("environment: production", "environment: live")}, change...)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(base())
			h.Hands = written(alice)
			pass(t, h)
			yes(t, h, []string{"bob"})
			if held := pass(t, h); len(held) > 0 || w.served["live"].Local.Port != 8080 {
				t.Fatalf("held are %q, served %v", held, w.served)
			}
			h.commit(w, two, base(replaced("metadata: {name: live}", "metadata: {name: live2}")))
			yes(t, h, []string{"bob"})
			w.fails = true
			if held := pass(t, h); len(held) != 2 || w.served["live"].Local.Port != 8080 || len(w.served) != 1 {
				t.Errorf("held are %q, served %v", held, w.served)
			}
			if e := w.facts.Latest[ref("deployment/live")]; e.Action != ledger.Deploy {
				t.Errorf("the ledger says %s", e.Action)
			}
			w.fails = false
			yes(t, h, []string{"bob"})
			if held := pass(t, h); len(held) > 0 {
				t.Errorf("held are %q", held)
			}
			if got := w.served["live2"]; got.Local.Port != 8080 || got.Over != "live" || len(w.served) != 1 {
				t.Errorf("served %v", w.served)
			}
			if held := pass(t, h); len(held) > 0 || w.facts.Latest[ref("deployment/live")].Action != ledger.Retire {
				t.Errorf("held are %q, and the ledger says %s", held, w.facts.Latest[ref("deployment/live")].Action)
			}
		})
	}
}
