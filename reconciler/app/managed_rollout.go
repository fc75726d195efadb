// A release that is tried is looked at between passes too: a pass may train for hours, and what fails meanwhile is
// not to wait for its end.

package app

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// tryOn takes back what is tried next to d where it fails or is found worse, and ends what was rolled back already: by an abort on
// another machine, or just before a pass began it. All that goes forward is a pass's.
func (s *ManagedRepository) tryOn(ctx context.Context, d controller.Deployment, st standing, live port.Live) {
	over := st.rollout.Key == live.Beside.Key && st.rollout.Phase == rollout.RolledBack
	why := s.worse(ctx, d, st, live)
	if over {
		why = st.rollout.Why
	}
	if why == "" || st.suspended {
		return
	}
	h, err := s.beside(ctx, d.Branch, false)
	if err == nil {
		defer h.Close()
		if !over {
			err = h.TakeBack(ctx, d.Ref, live, why)
		} else if ended, wrong := h.EndTried(ctx, d.Ref, *live.Beside); !ended && wrong == nil {
			return
		} else {
			err = wrong
		}
	}
	if err != nil {
		s.o.Env.Log.WarnContext(ctx, "a release that is tried could not be taken back", "deployment", d.Name, "why", why, "error", err, "hint", fault.WayOut(err))
		return
	}
	s.o.Env.Log.InfoContext(ctx, "took back a release that was tried", "deployment", d.Name, "why", why)
}

// worse says why the release that is tried goes back; "" where it does not, or where that is for a pass to say.
func (s *ManagedRepository) worse(ctx context.Context, d controller.Deployment, st standing, live port.Live) string {
	s.mu.Lock()
	n, arms := s.served.nodes[d.Ref], s.served.arms
	s.mu.Unlock()
	if n == nil || st.rollout.Key != live.Beside.Key || !st.rollout.Phase.UnderWay() {
		return ""
	}
	canary, _, tries := plan.CanaryOf(n)
	if !tries {
		return ""
	}
	var logged rollout.Evidence
	if arms != nil {
		ctx, done := context.WithTimeout(ctx, observeWithin) // others are looked after by the same watch
		defer done()
		var err error
		if logged, err = arms(ctx, n.Decl, *live.Beside); err != nil {
			logged = rollout.Evidence{}
		}
	}
	return canary.Worse(st.rollout, plan.Seen(live.Beside, logged))
}
