// Who has the traffic: one release, or several of which each has a part of the requests. What a
// release of those does not answer goes to the one that serves, at once.

package server

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Arms: which of several that answer at once a release is.
const (
	armOnly     = port.ArmOnly
	armStable   = port.ArmStable
	armBaseline = port.ArmBaseline
	armCanary   = port.ArmCanary

	armAsked = "asked" // one that has no part of the requests, and was asked for by its key: it is neither counted nor logged
)

// whole is what the parts of all releases come to.
const whole = 100

// part is a release that has a part of the requests, beside the one that serves.
type part struct {
	unit   *instance
	arm    string
	weight int // of whole
}

// tally counts what an arm was asked and did not answer well. It is the evidence of a rollout.
type tally struct{ asked, failed atomic.Int64 }

func (t *tally) add(failed bool) {
	t.asked.Add(1)
	if failed {
		t.failed.Add(1)
	}
}

// route is who answers a request: a process, and as which arm.
type route struct {
	to    *backend
	arm   string
	tally *tally
}

// trafficSwitch says which unit has the traffic, and each unit which of its processes.
type trafficSwitch struct {
	draw func(n int) int // a number from 0 to n-1

	mu      sync.Mutex
	unit    *instance
	beside  []part
	tallies map[string]*tally // by arm, since the parts were given
	mirror  *mirror           // requests that are sent twice; nil where there are no parts
	changed chan struct{}     // closed at each change, and made anew
}

func newGate() *trafficSwitch {
	return &trafficSwitch{draw: rand.IntN, changed: make(chan struct{})}
}

// point gives all traffic to u; nil is nobody.
func (g *trafficSwitch) point(u *instance) {
	g.change(func() { g.unit, g.beside, g.tallies, g.mirror = u, nil, nil, g.mirror.over() })
}

// split gives each of beside its part of the requests, and the rest to whoever has the traffic. Counts
// go on where there were parts before: a change of weights is no new beginning.
func (g *trafficSwitch) split(beside []part) {
	g.change(func() {
		g.beside = beside
		if len(beside) > 0 && g.tallies == nil {
			g.tallies = map[string]*tally{armStable: {}, armBaseline: {}, armCanary: {}}
			g.mirror = newMirror()
		}
		if len(beside) == 0 {
			g.tallies, g.mirror = nil, g.mirror.over()
		}
	})
}

// shadow has requests sent to u as well; a nil how ends that.
func (g *trafficSwitch) shadow(how *port.Shadow, u *instance) {
	if m := g.mirrors(); m != nil {
		m.set(how, u)
	}
}

// mirrors is what sends requests twice; nil where nothing is tried.
func (g *trafficSwitch) mirrors() *mirror {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mirror
}

// hold is the process of u, with a request counted as under way there; nil where it has none.
func (g *trafficSwitch) hold(u *instance) *backend {
	g.mu.Lock()
	defer g.mu.Unlock()
	if u.back != nil {
		u.back.busy.Add(1)
	}
	return u.back
}

// asked tells what an arm was asked since the traffic was split, and how much of it failed.
func (g *trafficSwitch) asked(arm string) port.Asked {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.tallies[arm]; t != nil {
		return port.Asked{Requests: t.asked.Load(), Failed: t.failed.Load()}
	}
	return port.Asked{}
}

// recount has an arm's count go on from what it was.
func (g *trafficSwitch) recount(arm string, from port.Asked) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.tallies[arm]; t != nil {
		t.asked.Add(from.Requests)
		t.failed.Add(from.Failed)
	}
}

// seat makes b the process that answers for u; nil is none for now.
func (g *trafficSwitch) seat(u *instance, b *backend) { g.change(func() { u.back = b }) }

func (g *trafficSwitch) change(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
	close(g.changed)
	g.changed = make(chan struct{})
}

// enter finds who answers and counts the request as under way there. Where nobody
// does, or only the one that has just refused, it waits until then, or until ctx is done. Of several releases, key asks for one that has no
// part of the requests; it means nothing elsewhere, as whoever asks does not choose what is compared.
func (g *trafficSwitch) enter(ctx context.Context, until time.Time, not *backend, key string) route {
	for {
		g.mu.Lock()
		r, is := g.named(key)
		if !is {
			r = g.choose(not)
		}
		if r.to != nil && r.to != not {
			r.to.busy.Add(1)
			g.mu.Unlock()
			return r
		}
		changed := g.changed
		g.mu.Unlock()
		var retry <-chan time.Time
		late := time.NewTimer(time.Until(until)) // for those alone that wait
		if r.to != nil {                         // refused and not known to be gone: its queue may have been full
			retry = time.After(20 * time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return route{}
		case <-late.C:
			return route{}
		case <-changed:
		case <-retry:
			not = nil
		}
		late.Stop()
	}
}

// named is the process of the release of key, where that one is asked for by it alone. None answers in its place.
func (g *trafficSwitch) named(key string) (r route, is bool) {
	if key == "" || len(g.beside) == 0 {
		return route{}, false
	}
	rest := whole
	for _, p := range g.beside {
		rest -= p.weight
		if p.arm == armCanary && p.weight == 0 && string(p.unit.order.Key) == key {
			return answering(p.unit), true
		}
	}
	if g.unit != nil && rest == 0 && string(g.unit.order.Key) == key {
		return answering(g.unit), true
	}
	return route{}, false
}

func answering(u *instance) route {
	if u.back == nil {
		return route{}
	}
	return route{to: u.back, arm: armAsked}
}

// choose draws who answers next. A release beside that has no process, or whose process has just refused, is
// passed over; in the first case the request counts as one that it did not answer: it was drawn for it.
func (g *trafficSwitch) choose(not *backend) route {
	if len(g.beside) == 0 {
		if g.unit == nil {
			return route{}
		}
		return route{to: g.unit.back, arm: armOnly}
	}
	missed, n := (*tally)(nil), g.draw(whole)
	for _, p := range g.beside {
		if n -= p.weight; n >= 0 {
			continue
		}
		if p.unit.back == nil {
			missed = g.tallies[p.arm]
		} else if p.unit.back != not {
			return route{p.unit.back, p.arm, g.tallies[p.arm]}
		}
		break
	}
	if g.unit == nil {
		return route{}
	}
	if missed != nil && g.unit.back != nil && g.unit.back != not {
		missed.add(true)
	}
	return route{g.unit.back, armStable, g.tallies[armStable]}
}
