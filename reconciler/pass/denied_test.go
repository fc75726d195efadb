// Who is said no to: whoever asked for something, and nobody else.

package pass

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestWhatWaitsInARolloutIsDeniedNothing: another commit changes the plan, and its approvals are void. While the release waits it asked for
// nothing, so that nobody says no; it goes on by what its first step was approved by, and where that needed nobody, it is denied once it is to go on.
func TestWhatWaitsInARolloutIsDeniedNothing(t *testing.T) {
	at := ref("deployment/s")
	for name, approved := range map[string]bool{"its first step was approved": true, "its first step needed nobody": false} {
		t.Run(name, func(t *testing.T) {
			h, w := newHouse(tree(careful()))
			tries := &besides{Server: h.Server}
			h.Server = tries
			apply(t, h)
			other := with("s.py", "# other\n")
			h.commit(w, two, tree(careful(), other))
			apply(t, h)
			if approved {
				begun := *w.facts.Rollouts[at]
				begun.Follows = begun.Seq
				begun.ApprovedBy([]ledger.Approver{{Principal: "alice", Class: "signature"}})
				if _, err := w.Append(t.Context(), begun); err != nil {
					t.Fatal(err)
				}
			}
			h.commit(w, three, tree(careful(), other, with("trust.yaml", guardian), replaced("staging: {}", "staging: {approvals: 1}")))
			rev := port.Revision{SHA: three}
			_, in, err := h.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			says := func(what string, refused bool) {
				t.Helper()
				w.list = nil
				r, err := h.Apply(t.Context(), ApplyOptions{})
				if err != nil || len(r.Outcomes) != 1 || r.Outcomes[0].Ref != at {
					t.Fatalf("%s: %v, %+v", what, err, r.Outcomes)
				}
				o := r.Outcomes[0]
				said := slices.ContainsFunc(w.list, func(e ledger.Entry) bool { return e.Action == ledger.Deny })
				if o.End != execute.Held || (o.Error != nil && fault.Of(o.Error) == fault.Held) != refused || said != refused {
					t.Errorf("%s: %+v; recorded %+v", what, o, w.list)
				}
				if denied := slices.ContainsFunc(r.Plan.Findings, func(f ledger.Finding) bool { return f.Level == ledger.Denied }); approved && denied {
					t.Errorf("%s: what was approved is to be approved once more: %+v", what, r.Plan.Findings)
				}
			}
			says("it pauses", false)
			if _, err := h.Suspend(t.Context(), rev, at, "hands off"); err != nil {
				t.Fatal(err)
			}
			says("suspended", false)
			if _, err := h.Resume(t.Context(), rev, at, ""); err != nil {
				t.Fatal(err)
			}
			if _, err := h.PromoteRollout(t.Context(), in, rev, RolloutOrder{Ref: at}); err != nil {
				t.Fatal(err)
			}
			if !approved {
				says("it is to go on", true)
				if _, err := h.AbortRollout(t.Context(), rev, RolloutOrder{Ref: at, Reason: "too slow"}); err != nil {
					t.Fatal(err)
				}
				says("rolled back", false)
				return
			}
			if apply(t, h); tries.tried != nil {
				t.Errorf("it does not go on: %+v", tries.tried)
			}
		})
	}
}

// TestAPullRequestAsksForNoApprovalOfWhatGoesOn: one that does not touch what is tried is not held for it.
func TestAPullRequestAsksForNoApprovalOfWhatGoesOn(t *testing.T) {
	at := ref("deployment/s")
	guarded := func(change ...func(fstest.MapFS)) fstest.MapFS {
		return tree(append([]func(fstest.MapFS){careful(), with("trust.yaml", guardian), replaced("staging: {}", "staging: {approvals: 1}"), with("s.py", "# other\n")}, change...)...)
	}
	h, w := newHouse(tree(careful()))
	h.Server = &besides{Server: h.Server}
	apply(t, h)
	h.commit(w, two, tree(careful(), with("s.py", "# other\n")))
	apply(t, h)
	begun := *w.facts.Rollouts[at]
	begun.Follows = begun.Seq
	begun.ApprovedBy([]ledger.Approver{{Principal: "alice", Class: "signature"}})
	if _, err := w.Append(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	h.commit(w, strings.Repeat("5", 40), guarded())
	_, p := pulled(t, h, w, guarded(with("README.md", "Read this.\n")))
	for _, f := range p.Plan.Findings {
		if f.Level == ledger.Denied {
			t.Errorf("it says %+v", f)
		}
	}
	if needs := p.Needs(); len(needs) != 0 {
		t.Errorf("it needs %+v", needs)
	}
}
