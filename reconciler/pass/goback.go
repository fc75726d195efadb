// Who may have a deployment go back, or on, by a word on the forge.

package pass

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// MaySay refuses the word of by, whose Seq is set here, where the environment of ref asks for approvals, now or before, and theirs would
// not count there. Going back is a change of what is served that waits for nobody: so it is not any writer's to ask for, and nor is
// going on from there.
func (h *Reconciler) MaySay(ctx context.Context, in *Intent, rev port.Revision, ref schemas.Ref, by guard.Speaker) error {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	w := &Snapshot{Intent: in, Revision: rev, trees: h.Repo.Open}
	w.Facts = facts
	guards, err := h.guards(ctx, w, ref)
	if err != nil {
		return fmt.Errorf("look who may decide what %s serves: %w", ref, err)
	}
	by.Seq = facts.Count
	return guard.Speaks(guards, ref, by, h.Now())
}

// claimsItsOwn refuses to serve e's release again at a host that the tracked branch does not let its environment have any more: the revision of
// the release was held against the hosts of its own day alone. What serves already goes on where a newer release fails, and is not asked.
func claimsItsOwn(w *Snapshot, e *ledger.Entry) error {
	n := w.Graph.Node(e.Ref)
	if n == nil {
		return nil
	}
	spec, ok := n.Decl.Spec.(schemas.Serves)
	if !ok {
		return nil
	}
	for _, c := range spec.Serves().Claims {
		if name, lacks := w.Project.Lacks(spec.Serves().Environment, c); lacks {
			return fault.WithHint(fault.New(fault.Denied, "the release of entry %d claims requests for %s, which is none of the hosts of environment %s any more", e.Seq, c, name),
				"roll back to a release at a host of those, which vishwa log %s --action deploy lists; or have the host added to spec.environments.%s.hosts of %s again, by whoever owns it", e.Ref, name, schemas.Root)
		}
	}
	return nil
}

// takesNothing refuses to serve e's release again where it would take of another environment what the release that serves now does not: requests,
// an address, a branch. Who guards that was not asked, as it may have been released there since.
func (h *Reconciler) takesNothing(ctx context.Context, w *Snapshot, e *ledger.Entry) error {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, of := range []*ledger.Entry{facts.Latest[e.Ref], e} {
		if of == nil {
			continue
		}
		guards, err := h.before(ctx, w, guard.Back(of))
		if err != nil {
			return fmt.Errorf("look what the release of entry %d would take of others: %w", e.Seq, err)
		}
		for _, g := range guards {
			if place := schemas.Place(g.Place); of != e {
				asked[place] = true
			} else if !asked[place] {
				return fault.WithHint(fault.New(fault.Denied, "the release of entry %d %s, in %s, whose approvers were not asked for that", e.Seq, g.Why, g.Place),
					"declare it as it was, and have that approved; or roll back to another release")
			}
		}
	}
	return nil
}
