// Drift of stacks: a look that finds one begins an incident, and a later look that finds it as declared ends it. A pass may
// put it back between the two; people are told all the same that others change what Vishwa provisions.

package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// stacks records what the look of a pass found of the stacks of a branch, and tells it to whoever is told of incidents. A process that tells
// nobody, as a job is, records nothing either. The branch is opened only where there is something to record, or may be something to tell.
func (s *ManagedRepository) stacks(ctx context.Context, branch string, r templates.Report) error {
	looked := r.Looked
	if looked == nil || s.o.Incidents == nil && len(s.o.Receivers) == 0 {
		return nil
	}
	found := stacksFound(*looked)
	s.mu.Lock()
	open, known := s.drifting[branch]
	s.mu.Unlock()
	for _, drift := range found {
		open = open || len(drift) > 0
	}
	if !open && (known || r.Unobserved && len(found) == 0) {
		return nil
	}
	at, err := s.standpoint(ctx, branch)
	if err != nil {
		return err
	}
	defer at.h.Close()
	bench := Bench(at.h, s.o.Env, s.o.Refresh.Allow)
	bench.Branch = branch
	var failed []error
	drifted := map[schemas.Ref]bool{}
	for _, ref := range slices.SortedFunc(maps.Keys(found), schemas.Ref.Compare) {
		drift := found[ref]
		drifted[ref] = len(drift) > 0
		if err := bench.RecordStack(ctx, ref, drift, looked.Revision); err != nil {
			failed = append(failed, fmt.Errorf("record the drift of %s: %w", ref, err))
		}
	}
	facts := at.facts
	if len(found) > 0 {
		if facts, err = at.h.Ledger.Facts(ctx); err != nil {
			return err
		}
	}
	if facts, err = s.alert(ctx, bench, facts, at.in, looked.Revision, drifted); err != nil {
		failed = append(failed, err)
	}
	if facts == nil {
		return worst(failed)
	}
	left := len(failed) > 0
	for ref, last := range facts.Observed {
		left = left || ref.Kind.Traits().Provisioned && slices.ContainsFunc(last.Incidents(), func(i ledger.Incident) bool { return !watch.Settled(i) })
	}
	s.mu.Lock()
	s.drifting[branch] = left
	s.mu.Unlock()
	return worst(failed)
}

// stacksFound are the stacks that a look could see, and what of each has drifted. One that is not seen, or goes, is neither in order nor not.
func stacksFound(p plan.Plan) map[schemas.Ref][]string {
	out := map[schemas.Ref][]string{}
	for _, step := range p.Steps {
		if step.Ref.Kind.Traits().Provisioned && step.Do != plan.Retire && !step.Pending && !step.Failed {
			out[step.Ref] = step.Drift
		}
	}
	return out
}

// stackSummary is what people are told of a stack, in one line.
func stackSummary(s *ledger.Stack) string {
	if s.Drifting == 0 {
		return "it is as declared"
	}
	verb := "is"
	if s.Drifting > 1 {
		verb = "are"
	}
	return fmt.Sprintf("%s %s not as declared", plural.Of(s.Drifting, "resource"), verb)
}
