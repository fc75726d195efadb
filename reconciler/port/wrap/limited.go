// Package wrap puts behaviour around ports: the adapters know nothing of it.
package wrap

import (
	"cmp"
	"context"
	"math"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Limited lets at most n runs under way at once, and at least one. Start never
// blocks: a job without a place is Waiting, and a later Start or Poll of its key
// begins it when another run is seen to have ended. A waiting job lives in this
// process alone, as it was never begun. A run that another process began is found,
// and counts, but is never held back.
func Limited(r port.Runner, n int) port.Runner {
	return &limited{
		Runner: r, n: max(1, n), changed: make(chan struct{}),
		places: map[digest.Digest]bool{}, waiting: map[digest.Digest]port.Job{}, stopped: map[digest.Digest]bool{}, states: map[digest.Digest]port.RunState{},
	}
}

type limited struct {
	port.Runner
	n       int
	mu      sync.Mutex                      // never held across a call of Runner
	places  map[digest.Digest]bool          // true once the run has begun; until then nobody else frees it
	waiting map[digest.Digest]port.Job      // without a place
	stopped map[digest.Digest]bool          // stopped before they had one
	states  map[digest.Digest]port.RunState // as those that have begun were last heard of
	changed chan struct{}                   // closed, and made anew, when places change
}

func (l *limited) Start(ctx context.Context, job port.Job) (port.Run, error) {
	l.mu.Lock()
	delete(l.stopped, job.Key)
	_, placed := l.places[job.Key]
	l.mu.Unlock()
	if !placed {
		if run, err := l.Runner.Poll(ctx, job.Key); err == nil && run.State != port.Done {
			l.mark(job.Key, true)
			placed = true
		}
	}
	if placed {
		return l.begin(ctx, job)
	}
	l.mu.Lock()
	l.waiting[job.Key] = job
	l.mu.Unlock()
	return l.turn(ctx, job)
}

// turn begins a waiting job where a place is free.
func (l *limited) turn(ctx context.Context, job port.Job) (port.Run, error) {
	if err := ctx.Err(); err != nil {
		return port.Run{}, fault.New(fault.Cancelled, "wait for a place: %w", err)
	}
	for _, key := range l.crowd() {
		run, err := l.Runner.Poll(ctx, key)
		l.settle(key, run, err)
	}
	l.mu.Lock()
	_, still := l.waiting[job.Key]
	free := still && len(l.places) < l.n
	if free {
		delete(l.waiting, job.Key)
		l.places[job.Key] = false
	}
	l.mu.Unlock()
	if !free {
		return port.Run{Key: job.Key, State: port.Waiting}, nil
	}
	return l.begin(ctx, job)
}

// crowd is who has begun, where no place is left.
func (l *limited) crowd() (keys []digest.Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.places) < l.n {
		return nil
	}
	for key, begun := range l.places {
		if begun {
			keys = append(keys, key)
		}
	}
	return keys
}

func (l *limited) begin(ctx context.Context, job port.Job) (port.Run, error) {
	run, err := l.Runner.Start(ctx, job)
	l.mark(job.Key, err == nil && run.State != port.Done)
	return run, err
}

// mark gives key its place, or takes it away.
func (l *limited) mark(key digest.Digest, begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if begun {
		l.places[key] = true
	} else {
		delete(l.places, key)
	}
	l.wakeAll()
}

// wakeAll wakes whoever waits for a place; it is called with the lock held.
func (l *limited) wakeAll() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// settle frees the place of a run that was seen to have ended.
func (l *limited) settle(key digest.Digest, run port.Run, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && run.State == port.Done || fault.Of(err) == fault.Missing && err != nil {
		delete(l.states, key)
		if l.places[key] {
			delete(l.places, key)
			l.wakeAll()
		}
	} else if err == nil {
		l.states[key] = run.State
	}
}

func (l *limited) Poll(ctx context.Context, key digest.Digest) (port.Run, error) {
	l.mu.Lock()
	job, waits := l.waiting[key]
	stopped := l.stopped[key]
	l.mu.Unlock()
	switch {
	case waits:
		return l.turn(ctx, job)
	case stopped:
		return port.Run{Key: key, State: port.Done, Result: &port.Result{
			Cause: port.Stopped, ExitCode: -1, Message: "it was stopped before it began: the next pass begins it"}}, nil
	}
	run, err := l.Runner.Poll(ctx, key)
	l.settle(key, run, err)
	return run, err
}

// Wait waits for news of the run; where it has no place yet, for one of those that have.
func (l *limited) Wait(ctx context.Context, key digest.Digest, seen port.RunState, offset int64) (port.Run, error) {
	l.mu.Lock()
	_, waits := l.waiting[key]
	stopped := l.stopped[key]
	l.mu.Unlock()
	if waits || stopped {
		run, err := l.Poll(ctx, key)
		if err != nil || run.State != seen {
			return run, err
		}
		if err := l.place(ctx); err != nil {
			return port.Run{}, err
		}
		return l.Poll(ctx, key)
	}
	run, err := l.Runner.Wait(ctx, key, seen, offset)
	l.settle(key, run, err)
	return run, err
}

// place waits until there is one, or one of the runs that have begun is heard of.
func (l *limited) place(ctx context.Context) error {
	heard, stop := context.WithCancel(ctx)
	defer stop()
	l.mu.Lock()
	free, changed, states := len(l.places) < l.n, l.changed, map[digest.Digest]port.RunState{}
	for key, begun := range l.places {
		if begun { // what is being begun is told of when it has
			states[key] = cmp.Or(l.states[key], port.Running)
		}
	}
	l.mu.Unlock()
	if free {
		return nil
	}
	for key, state := range states {
		fault.Go(func() {
			defer stop()
			var run port.Run
			err := fault.Guard(func() (err error) { run, err = l.Runner.Wait(heard, key, state, math.MaxInt64); return err })
			l.settle(key, run, err)
			if err != nil && fault.Of(err) != fault.Missing { // it is asked again, and not in a circle
				select {
				case <-time.After(time.Second):
				case <-heard.Done():
				}
			}
		}, func(error) {}) // who waits looks again
	}
	select {
	case <-changed:
	case <-heard.Done():
	}
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "wait for a place: %w", context.Cause(ctx))
	}
	return nil
}

func (l *limited) Stop(ctx context.Context, key digest.Digest) error {
	l.mu.Lock()
	if _, waits := l.waiting[key]; waits {
		delete(l.waiting, key)
		l.stopped[key] = true
		l.wakeAll()
	}
	stopped := l.stopped[key]
	l.mu.Unlock()
	if stopped {
		return nil
	}
	err := l.Runner.Stop(ctx, key)
	if err == nil {
		l.settle(key, port.Run{State: port.Done}, nil)
	}
	return err
}

func (l *limited) Logs(ctx context.Context, key digest.Digest, offset int64) ([]byte, error) {
	l.mu.Lock()
	_, waits := l.waiting[key]
	waits = waits || l.stopped[key]
	l.mu.Unlock()
	if waits {
		return nil, ctx.Err()
	}
	return l.Runner.Logs(ctx, key, offset)
}
