// A release that is tried is looked at between passes too: a pass may train for hours, and what fails meanwhile is
// not to wait for its end.

package app

import (
	"context"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// trials are looks at releases that are tried. Each may take longer than the round of the watch that begins it.
type trials struct {
	mu    sync.Mutex
	under map[schemas.Ref]context.CancelFunc
	all   sync.WaitGroup
	ended bool
}

// tryWithin is how long a round waits for one of them: what does not answer then holds up no other deployment.
const tryWithin = time.Second

// longestTry bounds one of them where its round has no bound.
const longestTry = time.Minute

// aside has look done about ref, unless one is under way, within the time that ctx has, and waits for it a moment.
func (s *ManagedRepository) aside(ctx context.Context, ref schemas.Ref, look func(context.Context)) {
	t := &s.trials
	t.mu.Lock()
	if t.under[ref] != nil || t.ended {
		t.mu.Unlock()
		return
	}
	until, ends := ctx.Deadline()
	if !ends {
		until = time.Now().Add(longestTry)
	}
	own, end := context.WithDeadline(context.WithoutCancel(ctx), until)
	if t.under == nil {
		t.under = map[schemas.Ref]context.CancelFunc{}
	}
	t.under[ref] = end
	t.all.Add(1)
	t.mu.Unlock()
	done := make(chan struct{})
	fault.Go(func() {
		defer t.all.Done()
		defer close(done)
		defer func() {
			end()
			t.mu.Lock()
			defer t.mu.Unlock()
			delete(t.under, ref)
		}()
		look(own)
	}, routine.Logged(s.o.Env.Log, "a look at the release of "+ref.String()+" that is tried"))
	moment := time.NewTimer(tryWithin)
	defer moment.Stop()
	select {
	case <-done:
	case <-moment.C:
	case <-ctx.Done():
	}
}

// close ends the looks that are under way, and begins no more.
func (t *trials) close() {
	t.mu.Lock()
	t.ended = true
	for _, end := range t.under {
		end()
	}
	t.mu.Unlock()
	t.all.Wait()
}

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
