// What is gone: the ledger remembers what was made, and a store may not hold it any
// more, being pruned, or another machine's. What is needed is made again.

package pass

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// compute is the plan for w. Where a step that acts needs what a kept one made, and
// the store has it no more, that one is to be made again, and so on down to data.
func (h *Reconciler) compute(ctx context.Context, w *Snapshot) (plan.Plan, error) {
	w.MissingArtifacts, w.Unfit = map[digest.Digest]string{}, map[digest.Digest]string{}
	w.compareAgain()
	for {
		p := plan.Compute(w.Graph, w.Observed)
		before := len(w.MissingArtifacts) + len(w.Unfit)
		if err := h.missing(ctx, w, p); err != nil {
			return p, err
		}
		if h.PullRequest == nil {
			h.unfit(ctx, w, p)
		}
		if len(w.MissingArtifacts)+len(w.Unfit) == before {
			return p, nil
		}
	}
}

// missing notes the keys of kept steps whose artifacts a step of p needs in vain.
func (h *Reconciler) missing(ctx context.Context, w *Snapshot, p plan.Plan) error {
	if p.Idle() {
		return nil
	}
	steps := make(map[schemas.Ref]*plan.Step, len(p.Steps))
	for i := range p.Steps {
		steps[p.Steps[i].Ref] = &p.Steps[i]
	}
	under := func(ref schemas.Ref) *ledger.Entry {
		if s := steps[ref]; s != nil {
			return w.Facts.ByKey[s.Key]
		}
		return nil
	}
	for s := range p.Working() {
		n := w.Graph.Node(s.Ref)
		if n == nil {
			continue // what is retired needs nothing of the store
		}
		for _, ref := range execute.Reads(n, under) {
			if steps[ref] == nil || steps[ref].Do != plan.Keep {
				continue // it is to be made
			}
			has, err := h.has(ctx, under(ref))
			if port.WasUnasked(err) {
				continue // what was recorded is taken to be there
			}
			if err != nil {
				return fmt.Errorf("look for what %s needs of %s: %w", s.Ref, ref, err)
			}
			if !has {
				w.MissingArtifacts[steps[ref].Key] = h.elsewhere(w, under(ref))
			}
		}
	}
	return nil
}

// elsewhere says, for the plan, that the store does not have what e made. The ledger
// records what this means once it is made again: see plan.Recorded.
func (h *Reconciler) elsewhere(w *Snapshot, e *ledger.Entry) string {
	if h.Beside != nil && e.Machine != h.Machine {
		if where, way := h.Beside(e.Machine); where != "" {
			return fmt.Sprintf("made in entry %d in %s; %s (%s)", e.Seq, where, plan.NotInFolder, way)
		}
	}
	text := fmt.Sprintf("made in entry %d by %s; %s", e.Seq, e.Actor, plan.NotInStore)
	if w.Project.Store == nil {
		text += " (share it with spec.store)"
	}
	return text
}

// has tells whether the store holds all that e made.
func (o Observers) has(ctx context.Context, e *ledger.Entry) (bool, error) {
	for _, a := range e.Outputs {
		if has, err := artifact.Has(ctx, o.Store, a.Artifact); err != nil || !has {
			return false, err
		}
	}
	if e.Model == nil {
		return true, nil
	}
	for _, d := range []digest.Digest{e.Model.Signature, e.Model.Provenance} {
		if has, err := artifact.Has(ctx, o.Store, port.Artifact{Digest: d}); err != nil || !has {
			return false, err
		}
	}
	return artifact.Has(ctx, o.Store, e.Model.Artifact)
}
