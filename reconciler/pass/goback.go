// Who may have a deployment go back, or on, by a word on the forge.

package pass

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
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
