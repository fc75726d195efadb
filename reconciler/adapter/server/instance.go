// A unit is one release under the host's care: it runs one process at a time and
// begins it again when it ends.

package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// manyFailures in a row make a release that is starting one that is failing.
const manyFailures = 3

// instance serves one order. Its back is guarded by the gate's lock.
type instance struct {
	launcher launcher
	order    order
	gate     *trafficSwitch
	log      *slog.Logger
	back     *backend

	again chan again
	stop  context.CancelFunc
	done  chan struct{}

	mu       sync.Mutex // guards what follows
	env      []string
	now      *process
	restarts int
	failures int // in a row
	message  string
}

// again asks for a fresh start at once; the answer is how that went.
type again struct {
	env    []string
	answer chan error
}

func (s *service) newInstance(o order, env []string) *instance {
	return &instance{
		launcher: s.launcher(), gate: s.gate, log: s.log.With("release", o.Key.Short()),
		order: o, env: env, again: make(chan again), done: make(chan struct{}),
	}
}

// kept begins keep.
func (u *instance) kept(ctx context.Context, first *process) {
	fault.Go(func() {
		defer close(u.done)
		u.keep(ctx, first)
	}, func(err error) {
		routine.Logged(u.log, "the keeping of a release")(err)
		u.fail(err.Error())
	})
}

// keep serves until ctx is done, then lets what is under way finish. p is the
// process that already answers, nil where there is none yet.
func (u *instance) keep(ctx context.Context, p *process) {
	for ctx.Err() == nil {
		var asked *again
		if p != nil {
			asked = u.watch(ctx, p)
			p = nil
		} else if u.failed() > 0 {
			asked = u.pause(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if asked != nil && asked.env != nil {
			u.mu.Lock()
			u.env = asked.env
			u.mu.Unlock()
		}
		var err error
		p, err = u.begin(ctx)
		if asked != nil {
			asked.answer <- err
		}
	}
	if p != nil {
		u.end(p)
	}
}

// begin starts the process and gives it the unit's traffic.
func (u *instance) begin(ctx context.Context) (*process, error) {
	u.mu.Lock()
	env := u.env
	u.mu.Unlock()
	var p *process
	err := fault.Guard(func() (err error) { p, err = u.launcher.launch(ctx, u.order, env); return err })
	if err != nil {
		if ctx.Err() == nil {
			u.fail(err.Error())
		}
		return nil, err
	}
	u.log.Info("ready", "as", p.String())
	u.seat(p)
	return p, nil
}

func (u *instance) seat(p *process) {
	u.mu.Lock()
	u.now = p
	u.mu.Unlock()
	u.gate.seat(u, p.back)
}

func (u *instance) unseat() {
	u.gate.seat(u, nil)
	u.mu.Lock()
	u.now = nil
	u.mu.Unlock()
}

// watch returns when p no longer serves; with whoever asked for it, if anyone did.
func (u *instance) watch(ctx context.Context, p *process) *again {
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			u.end(p)
			return nil
		case <-p.Done():
			u.unseat()
			if time.Since(began) >= p.order.Pace.Steady {
				u.mu.Lock()
				u.failures = 0
				u.mu.Unlock()
			}
			how := p.How()
			u.warn("stop process", p.stop())
			u.fail(p.tail.quote(fault.New(fault.Internal, "%s", how)).Error())
			u.restarted()
			return nil
		case ask := <-u.again:
			if p.wrong(ctx) == "" && !p.ended() {
				ask.answer <- nil
				continue
			}
			u.unseat()
			u.warn("stop process", p.stop())
			u.restarted()
			return &ask
		}
	}
}

// end lets p finish what is under way, then ends it.
func (u *instance) end(p *process) {
	p.back.drain(p.order.Pace.Drain)
	u.unseat()
	u.warn("stop process", p.stop())
}

// pause waits before the next try, unless it is asked for at once.
func (u *instance) pause(ctx context.Context) *again {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(u.order.Pace.backoff(u.failed())):
		return nil
	case ask := <-u.again:
		return &ask
	}
}

func (u *instance) fail(message string) {
	u.mu.Lock()
	u.failures++
	u.message = message
	n := u.failures
	u.mu.Unlock()
	u.log.Warn("not serving", "failures", n)
}

func (u *instance) failed() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failures
}

func (u *instance) restarted() {
	u.mu.Lock()
	u.restarts++
	u.mu.Unlock()
}

func (u *instance) warn(what string, err error) {
	if err != nil {
		u.log.Warn(what, "error", err)
	}
}

// revive returns when the unit answers, having begun its process anew if it must.
func (u *instance) revive(ctx context.Context, env []string) error {
	ask := again{env: env, answer: make(chan error, 1)}
	select {
	case u.again <- ask:
	case <-u.done:
		return fault.New(fault.Conflict, "revive release: it was replaced meanwhile")
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "revive release: %w", ctx.Err())
	}
	select {
	case err := <-ask.answer:
		return err
	case <-u.done:
		return fault.New(fault.Conflict, "revive release: it was replaced meanwhile")
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "revive release: %w", ctx.Err())
	}
}

// finish ends the unit and waits until nothing of it is left.
func (u *instance) finish() {
	u.stop()
	<-u.done
}

// live is how the unit stands.
func (u *instance) live(ctx context.Context) port.Live {
	l := u.order.live()
	u.mu.Lock()
	p, failures, message := u.now, u.failures, u.message
	l.Restarts = u.restarts
	u.mu.Unlock()
	wrong := ""
	if p != nil {
		report := p.Report()
		l.Isolation = &report
		wrong = p.wrong(ctx)
	}
	if wrong != "" { // it may be ending just now, which is another thing than being unwell
		select {
		case <-p.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	switch {
	case p != nil && wrong == "":
		l.Health = port.Ready
	case p != nil && !p.ended():
		l.Health, l.Message = port.Failing, wrong
	case failures >= manyFailures:
		l.Health, l.Message = port.Failing, fmt.Sprintf("failed %s in a row: %s", plural.Of(failures, "time"), message)
	default:
		l.Health, l.Message = port.Starting, message
	}
	return l
}
