// One served process, whatever begins it: awaited until it answers, ended with all that it began.

package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// process is one start of an order.
type process struct {
	order order
	port.Started
	back *backend
	tail *tail
}

// launcher begins the processes of one name.
type launcher struct {
	place    folder
	key      seal.Key
	out      io.Writer // their log
	starters starters
	ending   *atomic.Int32 // baselines that are to end, and may have requests still
}

// launch begins o and returns when it answers. Where it does not, nothing of it is left.
func (l launcher) launch(ctx context.Context, o order, env []string) (*process, error) {
	if err := verify(l.place, o); err != nil {
		return nil, err
	}
	p := &process{order: o, tail: &tail{}}
	var err error
	if o.Starter == "" {
		p.Started, err = l.begin(o, env, io.MultiWriter(l.out, p.tail))
	} else {
		p.Started, err = l.contained(ctx, o, env, io.MultiWriter(l.out, p.tail))
	}
	if err != nil {
		return nil, err
	}
	p.back = newBackend("127.0.0.1", o.Key, o.Model, p.dial)
	if err := p.await(ctx); err != nil {
		p.stop()
		return nil, p.tail.quote(err)
	}
	return p, nil
}

// dial connects to the process, wherever it listens.
func (p *process) dial(ctx context.Context, _, _ string) (net.Conn, error) { return p.Dial(ctx) }

// await returns when the process answers 200 at its readiness path.
func (p *process) await(ctx context.Context) error {
	began := time.Now()
	limit := time.NewTimer(p.order.Timeout)
	defer limit.Stop()
	for wait := 10 * time.Millisecond; ; wait = min(wait*3/2, 250*time.Millisecond) {
		answer := p.probe(ctx)
		if answer == "" && !p.ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Cancelled, "start %s: stopped before it was ready: %w", p.order.Name, ctx.Err())
		case <-p.Done():
			return fault.New(fault.Invalid, "start %s: %s after %.1f s, before it was ready", p.order.Name, p.How(), time.Since(began).Seconds())
		case <-limit.C:
			if dies(ctx, p) {
				return fault.New(fault.Invalid, "start %s: %s before it was ready", p.order.Name, p.How())
			}
			return fault.New(fault.Invalid, "start %s: not ready after %s: %s", p.order.Name, p.order.Timeout, answer)
		case <-time.After(wait):
		}
	}
}

// prober asks for readiness on a connection of its own each time: a process that
// closes down slowly must not look well over an old one.
func (p *process) prober() *http.Client {
	return &http.Client{
		Timeout:       2 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: p.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// probe asks whether the process is ready; the answer is empty where it is, and
// otherwise says what is wrong.
func (p *process) probe(ctx context.Context) string {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.back.addr+p.order.Ready, nil)
	if err != nil {
		return fmt.Sprintf("%q is not a path", p.order.Ready)
	}
	answer, err := p.prober().Do(ask)
	if err != nil {
		return "nothing answers at " + p.order.Ready + " on the port in VISHWA_PORT"
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s answers %s", p.order.Ready, answer.Status)
	}
	return ""
}

func (p *process) ended() bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// changedWithin bounds how long it is asked whether somebody changed a process: an engine may hang where what it began answers.
const changedWithin = 2 * time.Second

// wrong says why p is not well: somebody changed it, or it is not ready. Empty: it is well.
func (p *process) wrong(ctx context.Context) string {
	within, done := context.WithTimeout(ctx, changedWithin)
	what := p.Changed(within)
	done()
	if what != "" {
		return what
	}
	return p.probe(ctx)
}

// stop ends the process and all that it began.
func (p *process) stop() error {
	err := p.Stop(p.order.Pace.Grace)
	p.back.transport.CloseIdleConnections()
	return err
}
