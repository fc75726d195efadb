// Laws of rollbacks: what guards an environment does not move by one, and what was not
// approved for an environment does not come to it.

package pass

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestARollbackServesWhatWasRecordedAndMovesNoGuard(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	facts, _ := w.Facts(t.Context())
	first := facts.Latest[at]
	h.commit(w, two, tree(with("s.py", "# another\n")))
	apply(t, h)
	facts, _ = w.Facts(t.Context())
	second, place := facts.Latest[at], facts.Places["staging"]
	if second.Key == first.Key {
		t.Fatal("the second release is the first")
	}

	if _, err := h.Rollback(t.Context(), Rollback{To: first, Reason: " "}); fault.Of(err) != fault.Invalid {
		t.Errorf("without a reason: %v", err)
	}
	elsewhere := *first
	elsewhere.Release = &ledger.Release{Environment: "production"}
	if _, err := h.Rollback(t.Context(), Rollback{To: &elsewhere, Reason: "x"}); fault.Of(err) != fault.Denied {
		t.Errorf("to a release of another environment: %v", err)
	}
	unlike := *first
	unlike.Revision = second.Revision
	if _, err := h.Rollback(t.Context(), Rollback{To: &unlike, Reason: "x"}); fault.Of(err) != fault.Conflict {
		t.Errorf("to a release that its revision does not make: %v", err)
	}
	if facts, _ = w.Facts(t.Context()); facts.Latest[at] != second {
		t.Fatal("what was refused left something behind")
	}

	out, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"})
	if err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	facts, _ = w.Facts(t.Context())
	e := facts.Latest[at]
	if e.Key != first.Key || e.Release.Restores != first.Seq || facts.Places["staging"] != place || facts.Suspension(at) == nil {
		t.Errorf("%+v %+v", e, facts.Suspension(at))
	}
	if live, err := h.Server.Observe(t.Context(), at.Name); err != nil || live.Key != first.Key {
		t.Errorf("%v is served: %v", live.Key, err)
	}
	if out, err = h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil || len(out.Outcomes) != 0 {
		t.Errorf("what is served already: %v, %v", out, err)
	}
}

// TestWhatWentBackUnrecordedStays: who had it go back was killed before they recorded it. Asked again, it is suspended, so that no pass undoes it.
func TestWhatWentBackUnrecordedStays(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	facts, _ := w.Facts(t.Context())
	first, was := facts.Latest[at], w.served[at.Name]
	h.commit(w, two, tree(with("s.py", "# another\n")))
	apply(t, h)
	w.served[at.Name] = was
	if out, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil || len(out.Outcomes) != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	facts, _ = w.Facts(t.Context())
	if s := facts.Suspension(at); s == nil {
		t.Error("the next pass undoes it")
	}
	n := facts.Count
	if _, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil {
		t.Fatal(err)
	}
	if facts, _ = w.Facts(t.Context()); facts.Count != n {
		t.Error("asked once more, it is recorded once more")
	}
}
