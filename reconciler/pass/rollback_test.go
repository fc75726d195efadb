// Laws of rollbacks: what guards an environment does not move by one, and what was not
// approved for an environment does not come to it.

package pass

import (
	"context"
	"errors"
	"fmt"
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
	// One that somebody suspended stays so for their reason.
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

// deployed are the releases so far.
func (w *town) deployed() (out []ledger.Entry) {
	for _, e := range w.list {
		if e.Action == ledger.Deploy {
			out = append(out, e)
		}
	}
	return out
}

// held is who suspended the deployment; "": nobody.
func held(t *testing.T, w *town) string {
	t.Helper()
	facts, err := w.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e := facts.Suspension(ref("deployment/s")); e != nil {
		return e.Reason
	}
	return ""
}

// threeReleases is a house that released a, b and c.
func threeReleases(t *testing.T) (h *Reconciler, w *town, a, b ledger.Entry) {
	t.Helper()
	h, w = newHouse(tree())
	apply(t, h)
	h.commit(w, two, tree(with("s.py", "# b\n")))
	apply(t, h)
	h.commit(w, three, tree(with("s.py", "# c\n")))
	apply(t, h)
	all := w.deployed()
	return h, w, all[0], all[1]
}

// TestWhatIsSuspendedWhileSomebodyResumesStaysSuspended: who lets a deployment go on lifts the suspension that they were asked about, and no
// other.
func TestWhatIsSuspendedWhileSomebodyResumesStaysSuspended(t *testing.T) {
	h, _ := newHouse(tree())
	apply(t, h)
	at := ref("deployment/s")
	rev, _ := h.Repo.Head(t.Context())
	if _, err := h.Suspend(t.Context(), rev, at, "first"); err != nil {
		t.Fatal(err)
	}
	_, err := h.ResumeUnless(t.Context(), rev, at, "", func(e *ledger.Entry) error {
		if e == nil || e.Reason != "first" {
			t.Errorf("asked about %+v", e)
		}
		if _, err := h.Resume(t.Context(), rev, at, "somebody else"); err != nil {
			return err
		}
		_, err := h.Suspend(t.Context(), rev, at, "hands off")
		return err
	})
	if fault.Of(err) != fault.Conflict {
		t.Errorf("it was resumed: %v", err)
	}
	facts, err := h.Ledger.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e := facts.Suspension(at); e == nil || e.Reason != "hands off" {
		t.Errorf("it is suspended by %+v", e)
	}
	no := fault.New(fault.Denied, "not this one")
	if _, err := h.ResumeUnless(t.Context(), rev, at, "", func(*ledger.Entry) error { return no }); !errors.Is(err, no) {
		t.Errorf("it was resumed though refused: %v", err)
	}
}

// TestARollbackToAModelThatIsGoneChangesNothing: it is not trained again under the name of what served, and what serves goes on unsuspended.
// The same is so where only a part of it is gone that says whose it is.
func TestARollbackToAModelThatIsGoneChangesNothing(t *testing.T) {
	for name, lose := range map[string]func(w *town, m *ledger.Model){
		"all of it":      func(w *town, _ *ledger.Model) { clear(w.bytes) },
		"a file":         func(w *town, m *ledger.Model) { delete(w.bytes, m.Artifact.Files[0].Digest) },
		"its signature":  func(w *town, m *ledger.Model) { delete(w.bytes, m.Signature) },
		"its provenance": func(w *town, m *ledger.Model) { delete(w.bytes, m.Provenance) },
	} {
		h, w, a, _ := threeReleases(t)
		at := ref("deployment/s")
		facts, _ := w.Facts(t.Context())
		serves, entries := facts.Latest[at], facts.Count
		before := len(w.bytes)
		if lose(w, a.Model); len(w.bytes) == before {
			t.Fatalf("%s was not there", name)
		}
		w.ran = nil
		_, err := h.Rollback(t.Context(), Rollback{To: &a, Reason: "too dear"})
		if fault.Of(err) != fault.Conflict || !strings.Contains(fmt.Sprint(err), "would have to be made again") || !strings.Contains(fault.HintOf(err), "revert the commit") {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
		facts, _ = w.Facts(t.Context())
		if len(w.ran) > 0 || facts.Count != entries || facts.Latest[at] != serves || facts.Suspension(at) != nil {
			t.Errorf("%s: it ran %v, and recorded %d entries", name, w.ran, facts.Count-entries)
		}
		if live, err := h.Server.Observe(t.Context(), at.Name); err != nil || live.Key != serves.Key {
			t.Errorf("%s: %v is served: %v", name, live.Key, err)
		}
	}
}
