// What is suspended is not done, and nothing else changes for it.

package plan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// TestSuspendedStepsAreHeld: whatever is suspended, of a plan exactly its steps are held
// that would do something about it, and what needs them; the plan's digest stays, so that
// an approval outlives a suspension.
func TestSuspendedStepsAreHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, in := newWorld(), drawIntent(t)
		if rapid.Bool().Draw(t, "made") {
			g := in.graph(t)
			w.do(t, g, w.plan(g))
			in, _ = in.mutate(t)
		}
		g := in.graph(t)
		free := w.plan(g)
		ref := rapid.SampledFrom(free.Steps).Draw(t, "step").Ref
		if rapid.Bool().Draw(t, "whole") {
			ref = ref.Whole()
		}
		w.facts.Suspended = map[schemas.Ref]*ledger.Entry{ref: {Action: ledger.Suspend, Ref: ref, Actor: "controller:main", Reason: "wait"}}
		held := Gate(w.plan(g), nil)
		if held.Digest() != free.Digest() {
			t.Fatal("the digest changed")
		}
		stopped := map[schemas.Ref]bool{}
		for i, s := range held.Steps {
			was := free.Steps[i]
			about := s.Ref == ref || s.Ref.Whole() == ref
			needs := slices.ContainsFunc(s.Needs, func(r schemas.Ref) bool { return stopped[r] })
			if want := s.Do != Keep && (about || needs || was.Held != ""); want != (s.Held != "") {
				t.Fatalf("%s is to %s: held %q", s.Ref, s.Do, s.Held)
			}
			if about && s.Do != Keep && !strings.HasPrefix(s.Held, ledger.SuspendedBy+"main: wait") || about && s.Do == Keep && !strings.Contains(s.Why, ledger.SuspendedBy) {
				t.Fatalf("%s does not say who suspended it: %q, %q", s.Ref, s.Held, s.Why)
			}
			stopped[s.Ref] = s.Held != ""
		}
	})
}
