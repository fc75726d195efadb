// Laws of rollbacks: what guards an environment does not move by one, and what was not
// approved for an environment does not come to it.

package pass

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
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

// TestWhatWentBackUnrecordedStays: who had it go back was killed before they recorded it. Asked again, it is recorded once, and no pass undoes it.
func TestWhatWentBackUnrecordedStays(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	facts, _ := w.Facts(t.Context())
	first, was := facts.Latest[at], w.served[at.Name]
	h.commit(w, two, tree(with("s.py", "# another\n")))
	apply(t, h)
	w.served[at.Name] = was
	if out, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil || out.Err() != nil || len(out.Outcomes) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	facts, _ = w.Facts(t.Context())
	if e := facts.Latest[at]; facts.Suspension(at) == nil || e.Key != first.Key || e.Release.Restores != first.Seq {
		t.Errorf("recorded is %+v, suspended by %+v", e, facts.Suspension(at))
	}
	n := facts.Count
	if _, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil {
		t.Fatal(err)
	}
	if facts, _ = w.Facts(t.Context()); facts.Count != n {
		t.Error("asked once more, it is recorded once more")
	}
}

// arriving is a host that says when it is asked to serve something.
type arriving struct {
	host
	before func() error
}

func (s arriving) Apply(ctx context.Context, r port.Release) (port.Live, error) {
	if err := s.before(); err != nil {
		return port.Live{}, err
	}
	return s.host.Apply(ctx, r)
}

// forgetful loses what is recorded of a release: whoever records it is killed.
type forgetful struct{ *town }

func (w forgetful) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	if e.Action == ledger.Deploy {
		return e, fault.New(fault.Cancelled, "killed")
	}
	return w.town.Append(ctx, e)
}

func TestARollbackIsHeldBeforeAnythingServesAgain(t *testing.T) {
	h, w := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	facts, _ := w.Facts(t.Context())
	first := facts.Latest[at]
	h.commit(w, two, tree(with("s.py", "# another\n")))
	apply(t, h)
	facts, _ = w.Facts(t.Context())
	second := facts.Latest[at].Key

	// One that cannot serve leaves nothing suspended.
	h.Server = arriving{host{w}, func() error { return fault.New(fault.Invalid, "it ended at once") }}
	out, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"})
	if facts, _ = w.Facts(t.Context()); err != nil || out.Err() == nil || facts.Suspension(at) != nil || w.served[at.Name].Key != second {
		t.Errorf("%v, %v, suspended by %+v", err, out.Err(), facts.Suspension(at))
	}
	// One that somebody suspended stays so for their reason, and says the rollback's once it is done.
	if _, err := h.Suspend(t.Context(), port.Revision{SHA: two}, at, "the lawyers ask"); err != nil {
		t.Fatal(err)
	}
	if out, err = h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil || out.Err() == nil {
		t.Errorf("%v, %v", err, out.Err())
	}
	if facts, _ = w.Facts(t.Context()); facts.Suspension(at) == nil || facts.Suspension(at).Reason != "the lawyers ask" {
		t.Errorf("suspended by %+v", facts.Suspension(at))
	}
	if _, err := h.Resume(t.Context(), port.Revision{SHA: two}, at, ""); err != nil {
		t.Fatal(err)
	}
	// Killed between what serves and what is recorded, it is suspended already, and the next pass undoes nothing.
	h.Server = arriving{host{w}, func() error {
		if facts, _ := w.Facts(t.Context()); facts.Suspension(at) == nil {
			t.Error("it serves before it is suspended")
		}
		return nil
	}}
	h.Ledger = forgetful{w}
	out, err = h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"})
	if err == nil || !strings.Contains(err.Error(), "is suspended, and its rollback is not done") || w.served[at.Name].Key != first.Key {
		t.Errorf("%v, %v; %s serves", err, out.Err(), w.served[at.Name].Key)
	}
	h.Ledger = w
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil || r.Err() == nil || w.served[at.Name].Key != first.Key {
		t.Errorf("the next pass: %v, %v; %s serves", err, r.Err(), w.served[at.Name].Key)
	}
	// Asked again, it is done, and suspended once.
	if out, err = h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	suspended := 0
	for _, e := range w.list {
		if e.Action == ledger.Suspend {
			suspended++
		}
	}
	if facts, _ = w.Facts(t.Context()); facts.Latest[at].Key != first.Key || suspended != 3 {
		t.Errorf("%+v is recorded, and %d suspensions, of which two were taken back", facts.Latest[at], suspended)
	}
}
