// Who may have a deployment go back by a word on the forge.

package pass

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// MayGoBack refuses the word of whoever has login on forge where the environment of ref asks for approvals, now or before, and theirs would
// not count there. Going back is a change of what is served that waits for nobody: so it is not any writer's to ask for.
func (h *Reconciler) MayGoBack(ctx context.Context, in *Intent, rev port.Revision, ref schemas.Ref, forge, login string) error {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	w := &Snapshot{Intent: in, Revision: rev, trees: h.Repo.Open}
	w.Facts = facts
	guards, err := h.guards(ctx, w, ref)
	if err != nil {
		return fmt.Errorf("look who may have %s go back: %w", ref, err)
	}
	return guard.Speaks(guards, ref, guard.Speaker{Forge: forge, Login: login, Seq: facts.Count}, h.Now())
}
