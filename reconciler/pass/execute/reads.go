// What a step reads: the plan looks whether the store has it, where it knows its key.

package execute

import (
	"context"
	"fmt"
	"strings"

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

// readable is the error of n where it is about to read what came out the same in this act and the store
// does not have. The plan could not know the keys of those, so it could not look for them; the next
// one does, and makes them again, with all that they need. Nothing is made here that no plan names:
// rules and people judge by the plan what is to be made, and what that costs.
func (a *execution) readable(ctx context.Context, n *graph.Node) error {
	if a.Has == nil {
		return nil
	}
	var gone []string
	for _, ref := range Reads(n, a.of) {
		e := a.of(ref)
		if e == nil || !a.cameOutSame(ref) {
			continue
		}
		has, err := a.Has(ctx, e)
		if err != nil {
			return fmt.Errorf("look for what %s needs of %s: %w", n.Ref, ref, err)
		}
		if !has {
			gone = append(gone, ref.String())
		}
	}
	if len(gone) == 0 {
		return nil
	}
	names := strings.Join(gone, ", ")
	return fault.WithHint(fault.New(fault.Conflict, "%s: needs %s, which came out the same as before, and %s", n.Ref, names, plan.NotInStore),
		"run vishwa apply again: its plan makes %s again; a controller does that by itself", names)
}

// cameOutSame tells whether a step of this act found its key among those that were made.
func (a *execution) cameOutSame(ref schemas.Ref) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.how[ref] == Kept
}
