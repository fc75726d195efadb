// A release that is tried: it answers a part of the requests beside the one that serves, and so does a second
// process of that one, which is as young. How much, and what came of it, is recorded, so that a host that was killed goes on.

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// trial is a release under trial. Who has the service's turn changes it.
type trial struct {
	canary, baseline *instance
	since            time.Time
	logEnv           []string // what the canary's log is written with, once it is promoted

	mu     sync.Mutex // guards what follows, and the record
	weight int
	shadow *port.Shadow
	over   bool
	end    chan struct{} // closed when it is over
}

// attempt carries out what is asked of a release beside the one that serves.
func (s *service) attempt(ctx context.Context, d demand) (port.Live, error) {
	if d.Try == nil || d.Try.Weight < 0 || d.Try.Weight > whole {
		return port.Live{}, fault.New(fault.Invalid, "try a release of %s: a weight is a number from 0 to %d", s.name, whole)
	}
	if sh := d.Try.Shadow; sh != nil && (sh.Percent < 1 || sh.Percent > whole || sh.Tolerance < 0 || sh.Slower < 0) {
		return port.Live{}, fault.WithHint(fault.New(fault.Invalid, "try a release of %s: a shadow has from 1 to %d per cent, and no bound below 0", s.name, whole), "set spec.rollout.shadow.percent to a number from 1 to 100")
	}
	if err := s.takeTurn(ctx); err != nil {
		return port.Live{}, err
	}
	defer s.endTurn()
	var err error
	switch {
	case d.Try.End:
		err = s.join(d)
	case s.trying() != nil && s.trying().canary.order.Key == d.Order.Key:
		s.trying().logWith(d.LogEnv)
		err = s.weigh(s.trying(), *d.Try)
	case d.Revive:
		err = fault.New(fault.Missing, "%s is not tried under %s", d.Order.Key.Short(), s.name)
	default:
		s.tidy(d.Order)
		if err = s.try(ctx, d); err != nil {
			s.remove(d.Order.Folder)
		}
	}
	if err != nil {
		return port.Live{}, err
	}
	return s.live(ctx), nil
}

func (s *service) trying() *trial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// try begins a release beside the one that serves, in place of another that is tried. One that does not begin
// changes nothing; the other ends when this one answers.
func (s *service) try(ctx context.Context, d demand) error {
	u, pub := s.current()
	if u == nil || pub == nil {
		return fault.WithHint(fault.New(fault.Missing, "nothing is served under %s that a release could be compared with", s.name), "run vishwa apply: it serves the release itself where nothing serves")
	}
	if u.order.Starter != d.Order.Starter {
		return fault.WithHint(fault.New(fault.Invalid, "%s: a release is tried next to one of the same target, and what serves is of another", s.name), "remove shadow, canary or blueGreen from spec.rollout until it serves by its new target, or promote it past all steps: vishwa rollout promote --full")
	}
	u.mu.Lock()
	env := u.env
	u.mu.Unlock()
	if err := s.mayLog(d.Order, d.LogEnv); err != nil {
		return err
	}
	o, base := d.Order, u.order
	o.Port, o.Since, base.Second = pub.port, s.now(), true
	canary, err := s.launcher().launch(ctx, o, d.Env)
	if err != nil {
		return err
	}
	s.drop()
	if err := s.aloneSecond(ctx); err != nil {
		return errors.Join(err, canary.stop())
	}
	baseline, err := s.launcher().launch(ctx, base, env)
	if err != nil {
		return errors.Join(err, canary.stop())
	}
	t := s.newTrial(o, d.Env, base, env)
	t.weight, t.shadow, t.logEnv = d.Try.Weight, d.Try.Shadow, d.LogEnv
	t.canary.seat(canary)
	t.baseline.seat(baseline)
	s.gate.split(nil)
	if err := s.record(t); err != nil {
		return errors.Join(err, canary.stop(), baseline.stop())
	}
	s.keepBoth(t, canary, baseline)
	s.log.Info("tries a release", "release", o.Key.Short(), "weight", t.weight)
	return nil
}

// aloneSecond returns when the baseline before has ended: both would be the same release's second process, and whoever
// ends one of them ends all that has its name.
func (s *service) aloneSecond(ctx context.Context) error {
	if s.second == nil {
		return nil
	}
	select {
	case <-s.second.done:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "try a release of %s: wait for the baseline before: %w", s.name, ctx.Err())
	}
}

func (s *service) newTrial(o order, env []string, base order, baseEnv []string) *trial {
	return &trial{canary: s.newInstance(o, env), baseline: s.newInstance(base, baseEnv), since: o.Since, end: make(chan struct{})}
}

// keepBoth keeps both processes and gives them their parts; nil is one that is still to be begun.
func (s *service) keepBoth(t *trial, canary, baseline *process) {
	for _, k := range []struct {
		u     *instance
		first *process
	}{{t.canary, canary}, {t.baseline, baseline}} {
		ctx, stop := context.WithCancel(context.Background()) // ends by finish
		k.u.stop = stop
		k.u.kept(ctx, k.first)
	}
	s.mu.Lock()
	s.tried = t
	s.mu.Unlock()
	s.gate.split(t.parts())
	s.gate.shadow(t.shadow, t.canary)
	fault.Go(func() { s.note(t) }, routine.Logged(s.log, "the counting of what is tried"))
}

// parts are those of the requests that each has: of more than half that go to the canary, its baseline has what is left.
func (t *trial) parts() []part {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []part{{t.canary, armCanary, t.weight}, {t.baseline, armBaseline, min(t.weight, whole-t.weight)}}
}

// note records what was asked, now and then, until t is over.
func (s *service) note(t *trial) {
	tick := time.NewTicker(countsEvery)
	defer tick.Stop()
	was, sent := port.Asked{}, int64(0)
	for {
		select {
		case <-t.end:
			return
		case <-tick.C:
			now, pairs := s.gate.asked(armCanary), s.gate.mirrors().seen()
			if now != was || pairs != nil && pairs.Pairs+pairs.Dropped+pairs.Unfit != sent {
				if was = now; pairs != nil {
					sent = pairs.Pairs + pairs.Dropped + pairs.Unfit
				}
				s.warnTrial(s.record(t))
			}
		}
	}
}

func (s *service) warnTrial(err error) {
	if err != nil {
		s.log.Warn("record what is tried", "error", err)
	}
}

// weigh changes a part: recorded first, so that whoever comes after a crash finds it as it was asked for.
func (s *service) weigh(t *trial, a attempt) error {
	t.mu.Lock()
	weight, shadow := t.weight, t.shadow
	t.weight, t.shadow = a.Weight, a.Shadow
	t.mu.Unlock()
	if err := s.record(t); err != nil {
		t.mu.Lock()
		t.weight, t.shadow = weight, shadow
		t.mu.Unlock()
		return err
	}
	s.gate.split(t.parts())
	s.gate.shadow(a.Shadow, t.canary)
	s.log.Info("weighs a release anew", "release", t.canary.order.Key.Short(), "weight", a.Weight, "shadow", a.Shadow.Share())
	return nil
}

// join ends what is tried.
func (s *service) join(d demand) error {
	t := s.trying()
	u, pub := s.current()
	serves := u != nil && u.order.Key == d.Order.Key
	switch {
	case serves && !d.Try.Promote:
		return fault.WithHint(fault.New(fault.Conflict, "%s serves all requests under %s: it was promoted", d.Order.Key.Short(), s.name), "vishwa rollback serves the release before again")
	case t == nil && serves == d.Try.Promote:
		return nil
	case t == nil || t.canary.order.Key != d.Order.Key || !d.Try.Since.IsZero() && !d.Try.Since.Equal(t.since):
		return fault.WithHint(fault.New(fault.Conflict, "%s is not tried under %s", d.Order.Key.Short(), s.name), "run vishwa plan: it shows what is")
	case !d.Try.Promote:
		s.drop()
		return nil
	}
	if at := t.canary.live(context.Background()); at.Health != port.Ready {
		return fault.WithHint(fault.New(fault.Conflict, "the release that is tried under %s is %s: %s", s.name, at.Health, at.Message), "see its log (vishwa logs deployment/NAME); vishwa rollout abort ends the trial")
	}
	t.logWith(d.LogEnv)
	s.mu.Lock()
	was := s.logEnv
	s.mu.Unlock()
	s.logWith(t.logEnv)
	if err := s.logTo(t.canary.order); err != nil {
		s.logWith(was)
		return err
	}
	if err := s.place.write(s.key, t.canary.order); err != nil {
		s.logWith(was)
		s.logBack(u)
		return err
	}
	t.stop()
	s.gate.point(t.canary)
	s.become(t.canary, pub)
	s.mu.Lock()
	s.tried = nil
	s.leave[u.order.Folder] = true
	s.mu.Unlock()
	s.forget()
	s.log.Info("promoted", "release", t.canary.order.Key.Short())
	s.ends.Add(1)
	s.ending.Add(1)
	fault.Go(func() {
		defer s.ending.Add(-1)
		t.baseline.finish() // its files are those of the release that ends
		s.bury(u, 0, pub, false)
	}, routine.Logged(s.log, "the end of a release"))
	return nil
}

// logWith says what its log is written with; nil: what was said before.
func (t *trial) logWith(env []string) {
	if env != nil {
		t.logEnv = env
	}
}

// drop gives all requests to the release that serves, and ends what is tried.
func (s *service) drop() {
	s.mu.Lock()
	t := s.tried
	s.tried = nil
	if t != nil {
		s.leave[t.canary.order.Folder] = true
	}
	s.mu.Unlock()
	if t == nil {
		return
	}
	t.stop()
	s.second = t.baseline
	s.gate.split(nil)
	s.forget()
	s.log.Info("ends a trial", "release", t.canary.order.Key.Short())
	s.ends.Add(1)
	s.ending.Add(1)
	fault.Go(func() {
		defer s.ends.Done()
		defer s.ending.Add(-1)
		t.finish()
		s.remove(t.canary.order.Folder)
		s.mu.Lock()
		delete(s.leave, t.canary.order.Folder)
		s.mu.Unlock()
	}, routine.Logged(s.log, "the end of a trial"))
}

// stop ends its record: from here on nothing of it is written.
func (t *trial) stop() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.over = true
		close(t.end)
	}
}

// finish ends both processes; what is recorded stays, where it was not forgotten.
func (t *trial) finish() {
	if t == nil {
		return
	}
	t.stop()
	t.canary.finish()
	t.baseline.finish()
}

// beside is how what is tried stands; nil: nothing is.
func (s *service) beside(ctx context.Context) *port.Trial {
	t := s.trying()
	if t == nil {
		return nil
	}
	l := t.canary.live(ctx)
	t.mu.Lock()
	weight, shadow := t.weight, t.shadow
	t.mu.Unlock()
	return &port.Trial{Key: l.Key, Model: l.Model, Weight: weight, Shadow: shadow.Share(), Pairs: s.gate.mirrors().seen(), Health: l.Health, Since: t.since, Message: l.Message,
		Canary: s.gate.asked(armCanary), Baseline: s.gate.asked(armBaseline)}
}
