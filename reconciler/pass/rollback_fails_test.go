// Rollbacks that fail, are tried again, or meet what somebody says meanwhile.

package pass

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// failing has the next release fail so, and gives back the server as it was.
func (h *Reconciler) failing(w *town, err error) (mend func()) {
	was := h.Server
	h.Server = arriving{host{w}, func() error { return err }}
	return func() { h.Server = was }
}

// TestARollbackThatIsTriedAgainGoesOn: after one that was done, corrected and let go on, and that no release followed.
func TestARollbackThatIsTriedAgainGoesOn(t *testing.T) {
	for name, reason := range map[string]string{"going on": "", "suspended by somebody": "hands off"} {
		h, w, a, b := threeReleases(t)
		at := ref("deployment/s")
		if out, err := h.Rollback(t.Context(), Rollback{To: &b, Reason: "c is bad"}); err != nil || out.Err() != nil {
			t.Fatal(err, out.Err())
		}
		h.commit(w, strings.Repeat("4", 40), tree(with("s.py", "# b\n")))
		rev, _ := h.Repo.Head(t.Context())
		if _, err := h.Resume(t.Context(), rev, at, "corrected"); err != nil {
			t.Fatal(err)
		}
		apply(t, h)
		if reason != "" {
			if _, err := h.Suspend(t.Context(), rev, at, reason); err != nil {
				t.Fatal(err)
			}
		}
		next := func() *ledger.Entry {
			facts, _ := w.Facts(t.Context())
			return ledger.RollsBackTo(w.deployed(), facts.Suspension(at))
		}
		mend := h.failing(w, fault.New(fault.Transient, "down"))
		if out, err := h.Rollback(t.Context(), Rollback{To: next(), Reason: "b is bad"}); err == nil && out.Err() == nil {
			t.Fatalf("%s: the server is down: %v", name, err)
		}
		mend()
		for range 2 { // tried again, and asked once more
			if out, err := h.Rollback(t.Context(), Rollback{To: next(), Reason: "b is bad"}); err != nil || out.Err() != nil || w.served[at.Name].Key != a.Key {
				t.Errorf("%s: %v, %v; %s serves", name, err, out.Err(), w.served[at.Name].Key.Short())
			}
		}
		if got := held(t, w); got == "" || reason != "" && got != reason {
			t.Errorf("%s: suspended by %q", name, got)
		}
	}
}

// TestARollbackThatFailsForGoodLetsGo: also where an earlier try suspended it, and whatever refuses the later one.
func TestARollbackThatFailsForGoodLetsGo(t *testing.T) {
	for name, later := range map[string]func(h *Reconciler, w *town, to *ledger.Entry){
		"it cannot serve": func(h *Reconciler, w *town, _ *ledger.Entry) {
			h.failing(w, fault.New(fault.Invalid, "it ended at once"))
		},
		"its revision is gone":   func(_ *Reconciler, w *town, to *ledger.Entry) { delete(w.trees, to.Revision) },
		"it makes another thing": func(_ *Reconciler, w *town, to *ledger.Entry) { to.Revision = three },
	} {
		h, w, a, _ := threeReleases(t)
		mend := h.failing(w, fault.New(fault.Transient, "down"))
		_, err := h.Rollback(t.Context(), Rollback{To: &a, Reason: "too dear"})
		if err == nil || !strings.Contains(fault.HintOf(err), "run the same rollback again") || held(t, w) == "" {
			t.Fatalf("%s: %v: %s", name, err, fault.HintOf(err))
		}
		mend()
		// Who says no to the second try gives nothing up.
		no := fault.New(fault.Held, "no")
		if _, err = h.Rollback(t.Context(), Rollback{To: &a, Reason: "too dear", Confirm: func(plan.Plan) error { return no }}); !errors.Is(err, no) || held(t, w) == "" {
			t.Errorf("%s: declined: %v, suspended by %q", name, err, held(t, w))
		}
		later(h, w, &a)
		out, err := h.Rollback(t.Context(), Rollback{To: &a, Reason: "in other words"})
		if err == nil && out.Err() == nil || held(t, w) != "" {
			t.Errorf("%s: %v, %v; suspended by %q", name, err, out.Err(), held(t, w))
		}
	}
}

// TestAFailedRollbackLeavesWhatHeldBefore: a rollback that was done, and what a person said.
func TestAFailedRollbackLeavesWhatHeldBefore(t *testing.T) {
	at := ref("deployment/s")
	bad := fault.New(fault.Invalid, "it ended at once")
	for name, before := range map[string]func(h *Reconciler, w *town, b *ledger.Entry) error{
		"rolled back": func(h *Reconciler, _ *town, b *ledger.Entry) error {
			_, err := h.Rollback(t.Context(), Rollback{To: b, Reason: "c is bad"})
			return err
		},
		"by a person": func(h *Reconciler, _ *town, _ *ledger.Entry) error {
			rev, _ := h.Repo.Head(t.Context())
			_, err := h.Suspend(t.Context(), rev, at, "hands off, ticket 7")
			return err
		},
		"by a program that named no entry": func(_ *Reconciler, w *town, _ *ledger.Entry) error {
			_, err := w.Append(t.Context(), ledger.Entry{Action: ledger.Suspend, Ref: at, Reason: fmt.Sprintf("rollback to entry %d: x", w.deployed()[0].Seq)})
			return err
		},
	} {
		h, w, a, b := threeReleases(t)
		if err := before(h, w, &b); err != nil {
			t.Fatal(err)
		}
		said := held(t, w)
		for _, err := range []error{fault.New(fault.Transient, "down"), bad} {
			mend := h.failing(w, err)
			if out, got := h.Rollback(t.Context(), Rollback{To: &a, Reason: "too dear"}); got == nil && out.Err() == nil {
				t.Errorf("%s: it is done", name)
			}
			mend()
		}
		if got := held(t, w); got != said {
			t.Errorf("%s: suspended by %q, and before by %q", name, got, said)
		}
	}
	// What went back and went down is not let go on by a try to bring it back that fails.
	h, w, a, _ := threeReleases(t)
	if _, err := h.Rollback(t.Context(), Rollback{To: &a, Reason: "too dear"}); err != nil {
		t.Fatal(err)
	}
	delete(w.served, at.Name)
	h.failing(w, bad)
	if out, err := h.Rollback(t.Context(), Rollback{To: &a, Reason: "too dear"}); err == nil && out.Err() == nil || held(t, w) == "" {
		t.Errorf("%v, %v; suspended by %q", err, out.Err(), held(t, w))
	}
}

// TestWhatIsSaidDuringARollbackStands: the last word of a person counts, and a suspension tells of what serves.
func TestWhatIsSaidDuringARollbackStands(t *testing.T) {
	at := ref("deployment/s")
	h, w, a, b := threeReleases(t)
	rev, _ := h.Repo.Head(t.Context())
	meanwhile := func(ends error, reason string) {
		h.Server = arriving{host{w}, func() error {
			if _, err := h.Resume(t.Context(), rev, at, "I mean it"); err != nil {
				t.Error(err)
			}
			if reason != "" {
				if _, err := h.Suspend(t.Context(), rev, at, reason); err != nil {
					t.Error(err)
				}
			}
			return ends
		}}
	}
	meanwhile(fault.New(fault.Invalid, "it ended at once"), "hands off, ticket 7")
	if out, err := h.Rollback(t.Context(), Rollback{To: &a, Reason: "x"}); err != nil || out.Err() == nil || held(t, w) != "hands off, ticket 7" {
		t.Errorf("%v, %v; suspended by %q", err, out.Err(), held(t, w))
	}
	// Of what a person suspended, theirs is what holds it.
	h.Server = host{w}
	if out, err := h.Rollback(t.Context(), Rollback{To: &b, Reason: "x"}); err != nil || out.Err() != nil || held(t, w) != "hands off, ticket 7" {
		t.Errorf("%v, %v; suspended by %q", err, out.Err(), held(t, w))
	}
	if _, err := h.Resume(t.Context(), rev, at, ""); err != nil {
		t.Fatal(err)
	}
	// Of a rollback that another goes further than, the suspension tells of the other.
	apply(t, h)
	for _, to := range []*ledger.Entry{&b, &a} {
		if out, err := h.Rollback(t.Context(), Rollback{To: to, Reason: "x"}); err != nil || out.Err() != nil || held(t, w) != fmt.Sprintf("rollback to entry %d: x", to.Seq) {
			t.Errorf("%v, %v; suspended by %q", err, out.Err(), held(t, w))
		}
	}
	meanwhile(nil, "")
	if out, err := h.Rollback(t.Context(), Rollback{To: &b, Reason: "x"}); err != nil || out.Err() != nil || held(t, w) != "" {
		t.Errorf("%v, %v; suspended by %q", err, out.Err(), held(t, w))
	}
}
