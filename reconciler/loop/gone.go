// What is gone: the ledger remembers what was made, and a store may not hold it any
// more, being pruned, or another machine's. What is needed is made again.
package loop

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/adapter/content"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/graph"
	"github.com/vishwaops/vishwa/reconciler/ledger"
	"github.com/vishwaops/vishwa/reconciler/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// compute is the plan for w. Where a step that acts needs what a kept one made, and
// the store has it no more, that one is to be made again, and so on down to data.
func (h *House) compute(ctx context.Context, w *World) (plan.Plan, error) {
	w.Gone = map[digest.Digest]string{}
	for {
		p := plan.Compute(w.Graph, w.Seen)
		before := len(w.Gone)
		if err := h.missing(ctx, w, p); err != nil {
			return p, err
		}
		if h.Behalf == nil {
			w.untracked(p)
		}
		if len(w.Gone) == before {
			return p, nil
		}
	}
}

// missing notes the keys of kept steps whose artifacts a step of p needs in vain.
func (h *House) missing(ctx context.Context, w *World, p plan.Plan) error {
	steps := make(map[schemas.Ref]plan.Step, len(p.Steps))
	for _, s := range p.Steps {
		steps[s.Ref] = s
	}
	for _, s := range p.Work() {
		n := w.Graph.Node(s.Ref)
		if n == nil {
			continue // what is retired needs nothing of the store
		}
		for _, ref := range reads(n, func(ref schemas.Ref) *ledger.Entry { return w.Facts.ByKey[steps[ref].Key] }) {
			if steps[ref].Do != plan.Keep {
				continue // it is to be made
			}
			has, err := h.has(ctx, w.Facts.ByKey[steps[ref].Key])
			if err != nil {
				return fmt.Errorf("look for what %s needs of %s: %w", s.Ref, ref, err)
			}
			if !has {
				w.Gone[steps[ref].Key] = "what it made is gone from the store"
			}
		}
	}
	return nil
}

// untracked notes the keys of what was made for a pull request and is to be deployed
// where the project asks for runs on the tracked branch.
func (w *World) untracked(p plan.Plan) {
	keys := make(map[schemas.Ref]digest.Digest, len(p.Steps))
	for _, s := range p.Steps {
		keys[s.Ref] = s.Key
	}
	for _, s := range p.Work() {
		n := w.Graph.Node(s.Ref)
		if n == nil || s.Restores {
			continue
		}
		if spec, ok := n.Decl.Spec.(*schemas.Deployment); ok && w.Project.Environments[spec.Environment].TrackedRuns {
			for _, e := range w.forPulls(n, keys) {
				w.Gone[e.Key] = fmt.Sprintf("it was made for pull request %d, and %s asks for runs on the tracked branch", e.Behalf.Pull, spec.Environment)
			}
		}
	}
}

// forPulls lists the facts that n is made from, near or far, that were made for a
// pull request and are not to be made again first.
// A pin is no run: the data is what it is, whoever named it.
func (w *World) forPulls(n *graph.Node, keys map[schemas.Ref]digest.Digest) (out []*ledger.Entry) {
	seen := map[schemas.Ref]bool{}
	var visit func(n *graph.Node)
	visit = func(n *graph.Node) {
		for _, ref := range n.Needs {
			below := w.Graph.Node(ref)
			if below == nil || seen[ref] {
				continue
			}
			seen[ref] = true
			if e := w.Facts.ByKey[keys[ref]]; e != nil && e.Behalf != nil && ref.Kind != "dataset" && w.Gone[e.Key] == "" {
				out = append(out, e)
			}
			visit(below)
		}
	}
	visit(n)
	return out
}

// reads lists the nodes whose artifacts n reads when it is made. Of a model's
// candidates that is the best one, as far as it is known.
func reads(n *graph.Node, made func(schemas.Ref) *ledger.Entry) []schemas.Ref {
	switch spec := n.Decl.Spec.(type) {
	case *schemas.Transform, *schemas.Training:
		return n.Needs
	case *schemas.Model:
		if best, e, _ := plan.Best(n.Inputs, spec.Select, made); e != nil {
			return []schemas.Ref{best}
		}
	case *schemas.Deployment:
		return []schemas.Ref{spec.Model}
	}
	return nil
}

// has tells whether the store holds all that e made.
func (h *House) has(ctx context.Context, e *ledger.Entry) (bool, error) {
	for _, name := range sorted(e.Outputs) {
		if has, err := content.Has(ctx, h.Store, e.Outputs[name]); err != nil || !has {
			return false, err
		}
	}
	if e.Model == nil {
		return true, nil
	}
	for _, d := range []digest.Digest{e.Model.Signature, e.Model.Provenance} {
		if has, err := content.Has(ctx, h.Store, port.Artifact{Digest: d}); err != nil || !has {
			return false, err
		}
	}
	return content.Has(ctx, h.Store, e.Model.Artifact)
}
