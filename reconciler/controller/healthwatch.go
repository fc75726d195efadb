// The ward: what a tracked branch has deployed is looked after between passes, though
// nothing in Git moves. It is a plain value that one worker owns; time comes as an
// argument.

package controller

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// Deployment is how something stands that the ledger says is deployed.
type Deployment struct {
	Branch string // that declares it
	Ref    schemas.Ref
	Name   string      // of the ref, as people know it
	Health port.Health // empty: it is not there, or something else is in its place
	Noted  bool        // the ledger says that it does not answer
	Tries  bool        // a release is tried next to it: it is looked after more often
}

// Server is a Site with deployments to look after.
type Server interface {
	// Deployed tells how each of them stands, by this machine and by what serves: no ledger is asked for.
	Deployed(ctx context.Context) ([]Deployment, error)
	// Revive brings back what the ledger says is deployed under ref, from what stands
	// on this machine. An error says that it takes a pass.
	Revive(ctx context.Context, ref schemas.Ref) error
	// Note records that a deployment does not answer, or does so again.
	Note(ctx context.Context, d Deployment, up bool) error
}

const (
	attendEvery = 30 * time.Second // at most; more often where refs are polled so
	attendTried = 4 * time.Second  // at most, while a release is tried
	attendMost  = 5 * time.Minute  // between two rounds that fail
	steady      = 10 * time.Minute // after which earlier trouble of a deployment is forgotten
	hush        = time.Minute      // between two tries to record one thing
	hushMost    = time.Hour        // what goes up and down is recorded no more often than this
)

// healthWatch holds what is known of each deployment.
type healthWatch map[string]*serviceHealth

type serviceHealth struct {
	ill   bool
	since time.Time // it is so
	tries int       // to bring it back, since it was last steady
	next  time.Time // before which it is not tried again
	falls int       // how often it came back, since it was last steady
	noted time.Time // when it was last to be recorded
	told  bool      // what was, up or not
}

// healthAction is what is to be done for a deployment.
type healthAction struct {
	Deployment
	revive, note bool
	up           bool // as it is to be noted
}

// see takes in how all stand, and tells what is to be done and what has changed. What
// a pass that is under way may be stopping just now is not called down at once.
func (w healthWatch) see(now time.Time, all []Deployment, passing func(branch string) bool) (todo []healthAction, changed []Deployment) {
	there := map[string]bool{}
	for _, d := range all {
		there[d.Name] = true
		v := w[d.Name]
		if v == nil {
			v = &serviceHealth{since: now}
			w[d.Name] = v
		}
		ill := d.Health != port.Ready && (d.Health != port.Starting || v.ill)
		if ill != v.ill {
			v.ill, v.since = ill, now
			changed = append(changed, d)
		}
		c := healthAction{Deployment: d, up: !ill}
		c.revive = ill && !now.Before(v.next)
		if c.revive {
			v.tries++
			v.next = now.Add(Next(fault.New(fault.Transient, "it does not answer"), v.tries))
		}
		if !ill && now.Sub(v.since) >= steady {
			v.tries, v.falls = 0, 0
		}
		if c.note = d.Noted != ill && now.Sub(v.since) >= v.patience(ill && passing(d.Branch)) && (v.told != c.up || now.Sub(v.noted) >= hush); c.note {
			v.noted, v.told = now, c.up
			if !ill {
				v.falls++
			}
		}
		if c.revive || c.note {
			todo = append(todo, c)
		}
	}
	for name := range w {
		if !there[name] {
			delete(w, name)
		}
	}
	return todo, changed
}

// patience is how long something must have been so before it is worth an entry: what
// goes up and down all the time does not fill the ledger.
func (v *serviceHealth) patience(changing bool) time.Duration {
	if v.falls == 0 && !changing {
		return 0
	}
	d := time.Minute
	for range v.falls - 1 {
		if d *= 2; d >= hushMost {
			return hushMost
		}
	}
	return d
}

// Unserved is a deployment that does not answer, for readers of /readyz.
type Unserved struct {
	Deployment string    `json:"deployment"`
	Health     string    `json:"health"`
	Since      time.Time `json:"since"`
}

// ill lists those that do not answer.
func (w healthWatch) ill(all []Deployment) (out []Unserved) {
	for _, d := range all {
		if v := w[d.Name]; v != nil && v.ill {
			out = append(out, Unserved{d.Name, cmp.Or(string(d.Health), "absent"), v.since.UTC()})
		}
	}
	slices.SortFunc(out, func(a, b Unserved) int { return cmp.Compare(a.Deployment, b.Deployment) })
	return out
}

// attend looks after the repository's deployments.
func (w *worker) attend(whole context.Context, server Server) {
	w.attending = true
	w.attendAt = time.Time{}
	w.beside(func() func() {
		ctx, cancel := context.WithTimeout(whole, w.c.config.Timeout)
		defer cancel()
		all, err := guarded(w.log, func() ([]Deployment, error) { return server.Deployed(ctx) })
		return func() {
			if err != nil {
				w.attended(whole, err)
				return
			}
			w.tries.attend = 0
			w.tend(whole, server, all)
		}
	})
}

// attended notes that the round has ended.
func (w *worker) attended(ctx context.Context, err error) {
	w.attending = false
	every := min(w.c.config.Poll, attendEvery)
	if w.trying {
		every = min(every, attendTried)
	}
	wait := w.c.spread(every)
	if err != nil && ctx.Err() == nil {
		w.tries.attend++
		wait = max(wait, min(Next(err, w.tries.attend), attendMost))
		w.log.Log(ctx, severity(fault.Of(err), w.tries.attend), "look after the deployments", "error", err, "kind", fault.Of(err).String(), "hint", fault.WayOut(err), "again", wait.String())
	}
	w.attendAt = w.c.now().Add(wait)
}

// tend does what is to be done for them, and asks for a pass where that is not enough.
func (w *worker) tend(ctx context.Context, server Server, all []Deployment) {
	todo, changed := w.ward.see(w.c.now(), all, func(branch string) bool { return w.agenda.running(item{branch: branch}) })
	for _, d := range changed {
		if w.ward[d.Name].ill {
			w.log.Warn("a deployment does not answer", "deployment", d.Name, "health", cmp.Or(string(d.Health), "absent"))
		} else {
			w.log.Info("a deployment answers again", "deployment", d.Name)
		}
	}
	ill := w.ward.ill(all)
	w.ill.Store(&ill)
	w.trying = slices.ContainsFunc(all, func(d Deployment) bool { return d.Tries })
	w.c.metrics.deployments(w.name, all, ill)
	if len(todo) == 0 {
		w.attended(ctx, nil)
		return
	}
	w.beside(func() func() {
		asks, revived := w.revive(ctx, server, todo)
		w.note(ctx, server, todo)
		return func() {
			for branch := range asks {
				if i := (item{branch: branch}); !w.agenda.busy(i) {
					w.agenda.ask(i, w.c.id())
				}
			}
			w.attended(ctx, nil)
			if revived { // so that it is known to be back
				w.attendAt = w.c.now()
			}
		}
	})
}

// revive brings back what it can, side by side, and tells whose branches it takes a
// pass of. What only takes longer goes on by itself.
func (w *worker) revive(ctx context.Context, server Server, todo []healthAction) (asks map[string]bool, any bool) {
	ctx, cancel := context.WithTimeout(ctx, w.c.config.Timeout)
	defer cancel()
	asks = map[string]bool{}
	var mu sync.Mutex
	var all routine.Set
	slots := make(chan struct{}, 4)
	for _, c := range todo {
		if !c.revive {
			continue
		}
		all.Start(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, err := guarded(w.log, func() (struct{}, error) { return struct{}{}, server.Revive(ctx, c.Ref) })
			mu.Lock()
			defer mu.Unlock()
			any = any || err == nil
			if err != nil && ctx.Err() == nil {
				w.log.Info("a deployment takes a pass to come back", "deployment", c.Name, "kind", fault.Of(err).String())
				asks[c.Branch] = true
			}
		})
	}
	all.Wait()
	return asks, any
}

// note records what is to be recorded.
func (w *worker) note(ctx context.Context, server Server, todo []healthAction) {
	ctx, cancel := context.WithTimeout(ctx, w.c.config.Timeout)
	defer cancel()
	for _, c := range todo {
		if !c.note {
			continue
		}
		_, err := guarded(w.log, func() (struct{}, error) { return struct{}{}, server.Note(ctx, c.Deployment, c.up) })
		if err != nil && ctx.Err() == nil {
			w.log.Log(ctx, severity(fault.Of(err), 1), "record the state of a deployment", "deployment", c.Name, "error", err, "kind", fault.Of(err).String(), "hint", fault.WayOut(err))
		}
	}
}
