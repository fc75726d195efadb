// One worker a repository: it alone owns the repository's work queue, and begins what
// is due there. What may take long runs beside it and comes back through done.

package controller

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/controller/turn"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

type worker struct {
	c    *Controller
	repo config.Repository
	name string
	site Repository
	log  *slog.Logger

	agenda   *workQueue
	calendar scheduler
	box      *triggerQueue
	done     chan func() // what ended, to be noted by the worker
	usual    *lane
	guest    *lane // of strangers' pull requests
	active   int   // what runs beside the worker

	ward      healthWatch
	attending bool
	attendAt  time.Time
	trying    bool // a release is tried next to one that is deployed
	ill       atomic.Pointer[[]Unserved]

	opening, sweeping       bool
	again                   bool // a sweep was asked for during the last one
	openAt, pollAt, sweepAt time.Time
	hints                   []Hint                                  // that were not looked after yet
	noticeAt, noticed       time.Time                               // when they are, and when some last led to a pass
	tries                   struct{ open, look, sweep, attend int } // that failed in a row
	depth                   int                                     // as last told to the metrics
	ours                    atomic.Bool                             // among replicas: this one works on it
	wakeIn                  atomic.Int64                            // nanoseconds that it waits before it begins then
	resting                 bool                                    // it is another replica's, and nothing of it is held here
	state                   atomic.Pointer[status]
	speaker                 atomic.Pointer[Speaker] // the site, for webhooks
}

// run works until ctx ends and what was begun has come back.
func (w *worker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-w.box.bell:
		case f := <-w.done:
			f()
		case <-w.usual.granted:
			w.pass(ctx, w.usual)
		case <-w.guest.granted:
			w.pass(ctx, w.guest)
		case <-timer.C:
		}
		if ctx.Err() == nil {
			timer.Reset(w.step(ctx))
		}
	}
	w.usual.leave()
	w.guest.leave()
	for w.active > 0 {
		(<-w.done)()
	}
	w.measure(-w.depth)
	if !w.resting {
		w.save()
	}
	if w.site != nil {
		w.close()
	}
}

func (w *worker) close() {
	if _, err := guarded(w.log, func() (struct{}, error) { return struct{}{}, w.site.Close() }); err != nil {
		w.log.Warn("close the repository", "error", err)
	}
}

// introduce lets webhooks know who the site is on its forge.
func (w *worker) introduce() {
	if s, ok := w.site.(Speaker); ok {
		w.speaker.Store(&s)
	}
}

// wrote tells whether login is the account that the site itself writes with.
func (w *worker) wrote(login string) bool {
	s := w.speaker.Load()
	if s == nil || login == "" {
		return false
	}
	return strings.EqualFold((*s).Account(), login)
}

// step begins what is due, and tells how long nothing else is.
func (w *worker) step(ctx context.Context) time.Duration {
	now := w.c.now()
	if w.elsewhere(now) {
		return time.Hour
	}
	next := now.Add(time.Hour)
	soonest := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	w.queueTriggers(w.box.takeTriggers())
	if w.site == nil {
		if !w.opening && !now.Before(w.openAt) {
			w.open(ctx)
		}
		soonest(w.openAt)
	} else {
		w.beginDue(ctx, now, soonest)
	}
	if w.agenda.dirty {
		w.save()
	}
	return max(next.Sub(now), time.Millisecond)
}

// beginDue begins what is due of a repository that is open, and tells soonest of what comes next.
func (w *worker) beginDue(ctx context.Context, now time.Time, soonest func(time.Time)) {
	branches, first := w.calendar.due(now)
	for _, b := range branches {
		id := w.c.id()
		w.log.Info("triggered", "by", "schedule", "branch", b, "trigger", id)
		w.agenda.ask(item{branch: b}, id)
	}
	soonest(first)
	soonest(w.notice(now))
	if !now.Before(w.pollAt) {
		w.agenda.wantLook(w.c.id())
		w.pollAt = now.Add(w.c.spread(w.c.config.Poll))
	}
	if w.agenda.lookDue() {
		w.lookAtRefs(ctx)
	}
	if w.agenda.ended > 0 && !w.sweeping && !now.Before(w.sweepAt) {
		w.sweep(ctx)
	}
	if server, has := w.site.(Server); has {
		if !w.attending && !now.Before(w.attendAt) {
			w.attend(ctx, server)
		}
		soonest(w.attendAt)
	}
	soonest(w.pollAt)
	soonest(w.sweepAt)
	depth, due := w.agenda.waits(now)
	soonest(due)
	w.measure(depth - w.depth)
	if w.c.keys.opens() {
		if _, found := w.agenda.next(now, w.c.config.Pulls); found {
			w.usual.want()
		}
		if _, found := w.agenda.nextGuest(now); found {
			w.guest.want()
		}
	}
}

// queueTriggers takes up the triggers that came in.
func (w *worker) queueTriggers(m triggers) {
	for i, ids := range m.asks {
		w.agenda.ask(i, ids...)
	}
	if m.look {
		w.agenda.wantLook(m.looks...)
	}
	if len(m.hints) > 0 {
		w.hints = withHints(w.hints, m.hints)
	}
	if m.sweep {
		w.sweepAt, w.again = time.Time{}, w.sweeping
	}
	if w.site == nil && (m.look || len(m.asks) > 0) {
		w.openAt = time.Time{}
	}
}

// beside runs f beside the worker; what it returns is called by the worker.
func (w *worker) beside(f func() func()) {
	w.active++
	fault.Go(func() {
		note := f()
		w.done <- func() {
			w.active--
			note()
		}
	}, func(err error) { w.done <- func() { w.active--; w.c.fall(err) } })
}

func (w *worker) open(ctx context.Context) {
	w.opening = true
	w.openAt = time.Time{}
	w.beside(func() func() {
		ctx, cancel := context.WithTimeout(ctx, 10*w.c.config.Timeout)
		defer cancel()
		site, err := guarded(w.log, func() (Repository, error) { return w.c.open(ctx, w.repo) })
		return func() {
			w.opening = false
			if err == nil {
				w.site, w.tries.open = site, 0
				w.introduce()
				return
			}
			w.tries.open++
			w.openAt = w.failed("open the repository", err, w.tries.open)
		}
	})
}

func (w *worker) lookAtRefs(ctx context.Context) {
	w.agenda.beginLook()
	w.c.watch.keep(w) // before the look: what changes after it is heard of
	w.beside(func() func() {
		ctx, cancel := context.WithTimeout(ctx, w.c.config.Timeout)
		defer cancel()
		refs, err := guarded(w.log, func() (Refs, error) { return w.site.Refs(ctx) })
		return func() {
			if err != nil {
				w.agenda.failLook()
				w.tries.look++
				w.pollAt = w.failed("look at the repository", err, w.tries.look)
				return
			}
			if w.tries.look > 0 { // a trigger came before the back-off ended
				w.tries.look = 0
				w.pollAt = w.c.now().Add(w.c.spread(w.c.config.Poll))
			}
			for _, b := range w.agenda.see(refs) {
				w.log.Warn("a tracked branch is no longer there", "branch", b)
			}
			w.state.Store(&sound)
		}
	})
}

func (w *worker) sweep(ctx context.Context) {
	w.sweeping = true
	w.sweepAt = time.Time{}
	w.beside(func() func() {
		ctx, cancel := context.WithTimeout(ctx, w.c.config.Timeout)
		defer cancel()
		opener, known := w.site.(Opener)
		var open []int
		listed, err := guarded(w.log, func() (listed []int, err error) {
			if listed, err = w.site.Sweep(ctx); err == nil && known {
				open = opener.Open()
			}
			return listed, err
		})
		return func() {
			w.sweeping = false
			if err != nil {
				w.tries.sweep++
				w.sweepAt = w.failed("list the pull requests", err, w.tries.sweep)
				return
			}
			w.tries.sweep = 0
			if !w.again {
				w.sweepAt = w.c.now().Add(w.c.spread(w.c.config.Sweep))
			}
			w.again = false
			w.agenda.swept(listed, open, known, w.c.id())
		}
	})
}

// failed logs what went wrong outside of a pass, and tells when it is tried again.
func (w *worker) failed(doing string, err error, tries int) time.Time {
	wait := w.c.spread(cmp.Or(Next(err, tries), w.c.config.Poll))
	if w.c.stopping() {
		return w.c.now().Add(wait)
	}
	before := w.state.Load()
	w.state.Store(&status{looked: before != nil && before.looked, problem: doing + ": " + err.Error(), kind: fault.Of(err)})
	w.log.Log(context.Background(), severity(fault.Of(err), tries), doing, "error", err, "kind", fault.Of(err).String(), "hint", fault.WayOut(err), "tries", tries, "again", wait.String())
	w.c.metrics.failed("look", err)
	return w.c.now().Add(wait)
}

// due is the item of a lane that is due most.
func (w *worker) due(l *lane) (item, bool) {
	if l == w.guest {
		return w.agenda.nextGuest(w.c.now())
	}
	return w.agenda.next(w.c.now(), w.c.config.Pulls)
}

// pass begins the pass that is due most, in the slot that was granted.
func (w *worker) pass(ctx context.Context, l *lane) {
	l.claimed = false
	i, found := w.due(l)
	if !found || ctx.Err() != nil || w.c.roll != nil && !w.ours.Load() {
		l.slots.release(l)
		return
	}
	ids := w.agenda.begin(i)
	if len(ids) == 0 { // tried again by itself
		ids = []string{w.c.id()}
	}
	trigger := strings.Join(ids, ",")
	log := w.log.With("item", i.String(), "trigger", trigger)
	log.Debug("pass begins")
	w.beside(func() func() {
		begin := w.c.now()
		o, err := guarded(log, func() (outcome, error) {
			work := WithTrigger(w.c.work, trigger)
			if i.branch == "" {
				return outcome{}, w.pull(work, i.pull, l == w.guest)
			}
			err := w.site.Branch(work, i.branch)
			o := outcome{schedules: w.site.Schedules(i.branch)}
			if s, waits := w.site.(Waiter); waits {
				o.wakes = s.Wakes(i.branch)
			}
			return o, err
		})
		o.err, o.took, o.lane = err, w.c.now().Sub(begin), l
		return func() { w.passed(log, i, o) }
	})
}

// pull looks at a pull request. A stranger's has so much time, and no more.
func (w *worker) pull(ctx context.Context, n int, guest bool) error {
	if !guest {
		return w.site.Pull(turn.Admitted(ctx, false), n)
	}
	limit := w.c.config.Timeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w after %s", turn.ErrOverdue, limit))
	defer cancel()
	ctx, dismiss := context.WithCancelCause(ctx)
	defer dismiss(nil)
	defer context.AfterFunc(w.c.visits, func() { dismiss(context.Cause(w.c.visits)) })()
	return w.site.Pull(turn.Admitted(ctx, true), n)
}

func (w *worker) measure(delta int) {
	w.depth += delta
	w.c.metrics.queue(delta)
}
