// What came out the same, and is not to be had: the plan could not know the key of a step
// that waited, so it could not look whether the store has what was made under it.

package execute

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/selection"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Reads lists the nodes whose artifacts n reads when it is made. Of a model's
// candidates that is the best one, as far as it is known.
func Reads(n *graph.Node, made func(schemas.Ref) *ledger.Entry) []schemas.Ref {
	switch spec := n.Decl.Spec.(type) {
	case schemas.Runnable:
		return n.Reads()
	case schemas.Selects:
		if best, e, _ := selection.Best(n.Candidates(), spec.Selects().By, made); e != nil {
			return append(n.Scored.Reads(), best)
		}
	case schemas.Serves:
		return []schemas.Ref{spec.Serves().Model}
	case schemas.Packs:
		return []schemas.Ref{spec.Packs().Model}
	}
	return nil
}

// bring makes again what n is about to read and the store does not have, and tells whether it did.
// The plan has looked after what it kept itself; it does not know what is made here, so all that
// this reads is suspect.
func (a *execution) bring(ctx context.Context, n *graph.Node, suspect func(schemas.Ref) bool) (brought bool, err error) {
	if a.Has == nil || suspect == nil {
		return false, nil
	}
	for _, ref := range Reads(n, a.of) {
		if !suspect(ref) {
			continue
		}
		made, err := a.again(ctx, n, ref)
		if err != nil {
			return false, err
		}
		brought = brought || made
	}
	return brought, nil
}

// cameOutSame tells whether a step of this act found its key among those that were made.
func (a *execution) cameOutSame(ref schemas.Ref) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.how[ref] == Kept
}

func everything(schemas.Ref) bool { return true }

// again makes ref, which n reads, if the store does not have it.
func (a *execution) again(ctx context.Context, n *graph.Node, ref schemas.Ref) (bool, error) {
	e := a.of(ref)
	if e == nil {
		return false, nil // what reads it says what is wrong
	}
	defer a.lock(e.Key)()
	has, err := a.Has(ctx, a.of(ref))
	if err != nil {
		return false, fmt.Errorf("look for what %s needs of %s: %w", n.Ref, ref, err)
	}
	if has {
		return false, nil
	}
	node := a.Graph.Node(ref)
	if _, err := a.bring(ctx, node, everything); err != nil {
		return false, err
	}
	a.mu.Lock()
	recipe, _ := a.known.Recipe(node)
	a.mu.Unlock()
	key, err := recipe.Key()
	if err != nil {
		return false, fault.New(fault.Internal, "%s: name recipe: %w", ref, err)
	}
	j := &job{Step: plan.Step{Ref: ref, Do: plan.Remake, Key: key, Why: plan.NotInStore}, node: node, recipe: recipe, again: true}
	j.Why = plan.Recorded(j.Step, recipe, e)
	if err := a.make(ctx, j); err != nil {
		return false, err
	}
	a.sendEvent(ref, Ended, "")
	return true, nil
}
