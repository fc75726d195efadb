// A service is what is served under one name: a public port, the unit that has
// its traffic, and the change from one unit to the next.

package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// service holds one name. turn is held by whoever changes it; mu guards the fields.
type service struct {
	name    string
	place   folder
	key     seal.Key
	now     func() time.Time
	log     *slog.Logger
	begin   starters
	out     *logfile
	gate    *trafficSwitch
	proxy   *proxy
	turn    chan struct{}
	ending  atomic.Int32   // baselines that were dropped and have not ended
	second  *instance      // the newest baseline that was dropped; whoever has the turn changes it
	ends    sync.WaitGroup // units that are on their way out
	logs    *atomic.Pointer[predictionlog.Log]
	writing routine.Set // logs that write what they have

	mu      sync.Mutex
	unit    *instance
	public  *public
	leave   map[string]bool     // folders of units that are on their way out
	logging *port.PredictionLog // what logs is of
	logEnv  []string            // what it is written with
	unlog   *port.Logging       // why nothing is logged, though it should be
	tried   *trial              // beside unit; nil: nothing is
	shut    string              // why there is no public port, though there should be
}

// service is a new one of the host's.
func (h *host) newService(name string) *service {
	s := &service{
		name: name, place: h.place, key: h.key, now: h.env.Now, log: h.log.With("name", name), begin: h.starters, gate: newGate(),
		out: &logfile{path: h.place.log(name), limit: logLimit}, turn: make(chan struct{}, 1),
		leave: map[string]bool{},
	}
	s.proxy = newProxy(s.gate, s.hold, s.bounds, s.log)
	s.logs = s.proxy.logs
	return s
}

func (s *service) launcher() launcher { return launcher{s.place, s.key, s.out, s.begin, &s.ending} }

func (s *service) hold() time.Duration {
	if u, _ := s.current(); u != nil {
		return u.order.Pace.Hold
	}
	return Timeouts{}.filled().Hold
}

func (s *service) current() (*instance, *public) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unit, s.public
}

func (s *service) become(u *instance, p *public) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unit, s.public, s.shut = u, p, ""
}

// takeTurn waits for the caller's turn to change the service; give ends it.
func (s *service) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "wait for another change of %s: %w", s.name, ctx.Err())
	}
}

func (s *service) endTurn() { <-s.turn }

// apply makes o what is served. On an error what was served before goes on.
func (s *service) apply(ctx context.Context, o order, env []string) (port.Live, error) {
	if err := s.takeTurn(ctx); err != nil {
		return port.Live{}, err
	}
	defer s.endTurn()
	return s.renew(ctx, o, env, nil)
}

// renew is apply in the caller's turn; from hands its port over, nil: nobody does.
func (s *service) renew(ctx context.Context, o order, env []string, from *service) (port.Live, error) {
	s.tidy(o)
	live, err := s.change(ctx, o, env, from)
	if err != nil {
		s.remove(o.Folder)
	}
	return live, err
}

// change goes from what is served to o, at the port of from where that hands it over.
func (s *service) change(ctx context.Context, o order, env []string, from *service) (port.Live, error) {
	s.drop() // what comes now is another intent than what was tried
	old, before := s.current()
	var pub *public
	var err error
	if from != nil {
		_, pub = from.current()
	} else if pub, err = s.listen(o, before); err != nil {
		return port.Live{}, err
	}
	fresh := pub != before
	abandon := func() {
		switch {
		case from != nil:
			pub.hand(from)
		case fresh:
			pub.close(0)
		}
	}
	o.Port, o.Since = pub.port, s.now()
	began := time.Now()
	p, err := s.launcher().launch(ctx, o, env)
	if err != nil {
		abandon()
		return port.Live{}, err
	}
	if err := s.logTo(o); err != nil {
		abandon()
		if stopped := p.stop(); stopped != nil {
			s.log.Warn("stop process", "error", stopped)
		}
		return port.Live{}, err
	}
	u := s.newInstance(o, env)
	u.seat(p)
	s.gate.point(u)
	switch {
	case from != nil:
		pub.hand(s)
	case fresh:
		pub.serve()
	}
	s.log.Info("switched", "release", o.Key.Short(), "port", o.Port, "as", p.String(), "ready", time.Since(began))
	if err := s.prove(ctx, p); err != nil {
		if from != nil {
			pub.hand(from)
		}
		s.gate.point(old)
		s.logBack(old)
		abandon()
		stopped := p.stop()
		s.log.Warn("went back", "release", o.Key.Short(), "stopped", stopped == nil)
		return port.Live{}, p.tail.quote(err)
	}
	s.adopt(u, p, pub)
	if old != nil {
		s.mu.Lock()
		s.leave[old.order.Folder] = true
		s.mu.Unlock()
		s.ends.Add(1)
		fault.Go(func() { s.bury(old, o.Pace.Drain, before, fresh) }, routine.Logged(s.log, "the end of a release"))
	}
	return s.logged(u.live(ctx)), nil
}

// tidy removes what a killed apply or host has left behind: every folder that is
// neither o's nor in use. Whoever brings o holds the name's lock, so nobody else
// is laying out a release.
func (s *service) tidy(o order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.place.releases(s.name) {
		if f != o.Folder && !s.leave[f] && (s.tried == nil || f != s.tried.canary.order.Folder) && (s.unit == nil || f != s.unit.order.Folder) {
			s.remove(f)
		}
	}
}

func (s *service) remove(sub string) {
	if err := errors.Join(sandbox.Remove(s.place.release(s.name, sub)), sandbox.Remove(s.place.temporary(s.name, sub)), sandbox.Remove(s.place.temporary(s.name, sub+second))); err != nil {
		s.log.Warn("remove release", "error", err)
	}
}

// adopt puts u under care, from now on what is served.
func (s *service) adopt(u *instance, first *process, pub *public) {
	ctx, stop := context.WithCancel(context.Background()) // ends by finish, not with the request that began it
	u.stop = stop
	s.become(u, pub)
	u.kept(ctx, first)
}

// bury ends a unit that has lost the traffic, and its port where that changed.
func (s *service) bury(old *instance, drain time.Duration, before *public, moved bool) {
	defer s.ends.Done()
	if moved && before != nil {
		before.close(drain)
	}
	old.finish()
	s.remove(old.order.Folder)
	s.mu.Lock()
	delete(s.leave, old.order.Folder)
	s.mu.Unlock()
}

// prove watches the process during its first time with traffic, then makes it
// what a restarted host would bring back.
func (s *service) prove(ctx context.Context, p *process) error {
	over := time.NewTimer(p.order.Pace.Probation)
	defer over.Stop()
	look := time.NewTicker(max(p.order.Pace.Probation/8, 10*time.Millisecond))
	defer look.Stop()
	for wrong, poor := "", 0; ; {
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "try release of %s: stopped: %w", s.name, ctx.Err())
		case <-p.Done():
			return fault.New(fault.Invalid, "try release of %s: it %s just after it became ready", s.name, p.How())
		case <-look.C:
			if wrong = p.probe(ctx); wrong == "" {
				poor = 0
			} else if poor++; poor >= 3 && !dies(ctx, p) {
				return fault.New(fault.Invalid, "try release of %s: no longer ready: %s", s.name, wrong)
			}
		case <-over.C:
			if wrong = p.probe(ctx); wrong != "" && !dies(ctx, p) {
				return fault.New(fault.Invalid, "try release of %s: no longer ready: %s", s.name, wrong)
			}
			if !p.ended() {
				return s.place.write(s.key, p.order)
			}
		}
	}
}

// dies tells whether a process that no longer answers has ended: it closes its port first, and on a busy machine its end, which says more,
// is known a while later.
func dies(ctx context.Context, p *process) bool {
	late := time.NewTimer(500 * time.Millisecond)
	defer late.Stop()
	select {
	case <-p.Done():
		return true
	case <-ctx.Done():
	case <-late.C:
	}
	return p.ended()
}

// restore brings back what was served before the host ended.
func (s *service) restore(o order, lookup func(string) (string, bool)) {
	u := s.newInstance(o, o.environ(lookup))
	s.logWith(o.logEnviron(lookup))
	s.logAnyhow(o)
	pub, err := s.listen(o, nil)
	s.adopt(u, nil, pub)
	s.gate.point(u)
	s.retry(lookup)
	if err != nil {
		s.mu.Lock()
		s.shut = err.Error()
		s.mu.Unlock()
		s.log.Warn("no public port", "error", err)
		return
	}
	pub.serve()
}

// revive makes sure that the release of this key answers, where it is what is
// served here; Missing says that it is not.
func (s *service) revive(ctx context.Context, o order, env []string) (port.Live, error) {
	if err := s.takeTurn(ctx); err != nil {
		return port.Live{}, err
	}
	defer s.endTurn()
	u, pub := s.current()
	if u == nil || u.order.Key != o.Key || o.Declared != 0 && o.Declared != u.order.Port {
		return port.Live{}, fault.WithHint(fault.New(fault.Missing, "%s does not serve %s", s.name, o.Key.Short()), "run vishwa apply: it serves what the branch declares")
	}
	if pub == nil {
		pub, err := s.listen(u.order, nil)
		if err != nil {
			return port.Live{}, err
		}
		pub.serve()
		s.become(u, pub)
	}
	if err := u.revive(ctx, env); err != nil {
		return port.Live{}, err
	}
	if s.logs.Load() == nil { // the host that brought it back may have lacked what its log is written with
		if err := s.logTo(u.order); err != nil {
			return port.Live{}, err
		}
	}
	l := u.live(ctx)
	l.Beside = s.beside(ctx)
	return s.logged(l), nil
}

// retire stops serving and forgets the release.
func (s *service) retire(ctx context.Context) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer s.endTurn()
	u, pub := s.current()
	if o, err := s.place.readOrder(s.key, s.name); err == nil && o.Starter != "" {
		// What another program keeps is not this host's to end at its own end: the record goes when it is gone.
		s.halt(u, pub)
		s.become(nil, nil)
		if err := s.begin.clear(ctx, owner(s.place, s.key), o); err != nil {
			return err
		}
		u, pub = nil, nil
	}
	if err := os.Remove(s.place.record(s.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Internal, "forget release: %w", err)
	}
	s.halt(u, pub)
	s.become(nil, nil)
	s.out.Close()
	if err := sandbox.Remove(s.place.served(s.name)); err != nil {
		s.log.Warn("remove what was served", "error", err)
	}
	s.log.Info("retired")
	return nil
}

// halt lets what is under way finish, and ends it all.
func (s *service) halt(u *instance, pub *public) {
	if pub != nil {
		bound := Timeouts{}.filled().Drain
		if u != nil {
			bound = u.order.Pace.Drain
		}
		pub.close(bound)
	}
	s.mu.Lock()
	t := s.tried
	s.tried = nil
	s.mu.Unlock()
	if t != nil {
		s.warnTrial(s.record(t)) // the next host goes on from there
	}
	t.stop()
	s.gate.point(nil)
	t.finish()
	if u != nil {
		u.finish()
	}
	s.ends.Wait()
	s.endLogs()
}

// live is how the service stands; the zero Live is nothing.
func (s *service) live(ctx context.Context) port.Live {
	s.mu.Lock()
	u, shut := s.unit, s.shut
	s.mu.Unlock()
	if u == nil {
		return port.Live{}
	}
	l := u.live(ctx)
	if shut != "" {
		l.Health, l.Message = port.Failing, shut
	}
	l.Beside = s.beside(ctx)
	return s.logged(l)
}
