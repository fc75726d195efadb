// Seen between passes: that a deployment no longer answers, or does so again, is worth
// one entry each.

package pass

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// Observed records how ref was found, where the ledger does not say so already, and
// where it is deployed at all.
func (h *Reconciler) Observed(ctx context.Context, ref schemas.Ref, o ledger.Observed) error {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	last, seen := facts.On(h.Machine, ref), facts.Observed[ref]
	if last == nil || last.Action != ledger.Deploy {
		return nil
	}
	if known := seen == nil || seen.Observed == nil || seen.Observed.Up; known == o.Up {
		return nil
	}
	why := "answers again"
	if !o.Up {
		why = "does not answer"
		if o.Health != "" {
			why += ": it is " + string(o.Health)
		}
	}
	_, err = h.Ledger.Append(ctx, h.stamp(ledger.Entry{
		Action: ledger.Observe, Ref: ref, Key: last.Key, Revision: last.Revision, Actor: h.Actor.String(), Reason: why, Observed: &o,
	}))
	return err
}
