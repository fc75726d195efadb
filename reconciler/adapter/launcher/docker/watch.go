// News of tasks: one stream of an engine's events for all who wait.

package docker

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const watchLingers = 10 * time.Second // without anybody who waits

// watch tells who waits for a container that something became of it.
type watch struct {
	// events streams what becomes of containers into tell, until ctx or the stream ends.
	// It calls begun once the stream stands.
	events func(ctx context.Context, begun func(), tell func(id string)) error

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]bool // by container
	users   int
	stream  *stream // nil: there is none
	idle    *time.Timer
	news    uint64 // counts what came, the beginning and the end of streams too
	seen    map[port.TaskID]seen
}

// seen is how a task stood, for as long as the stream that stands brings nothing of it.
type seen struct {
	status   port.TaskStatus
	deadline time.Time
	until    time.Time // then it is looked at all the same
}

type stream struct {
	stop   context.CancelFunc
	stands chan struct{} // closed once it stands, or did not
	failed error         // why it did not
	begun  time.Time     // when it came to stand; zero: it does not
}

// since is when the stream came to stand; zero where there is none.
func (w *watch) since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stream == nil {
		return time.Time{}
	}
	return w.stream.begun
}

// recall is how the task stood, where nothing became of it since.
func (w *watch) recall(id port.TaskID, now time.Time) (s port.TaskStatus, left time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, ok := w.seen[id]
	left = was.deadline.Sub(now)
	return was.status, left, ok && now.Before(was.until) && left > 0
}

func (w *watch) count() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.news
}

// remember keeps how a task stands, unless anything came since it was asked for.
func (w *watch) remember(id port.TaskID, news uint64, s port.TaskStatus, left time.Duration, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stream == nil || w.stream.begun.IsZero() || w.news != news {
		return
	}
	if w.seen == nil {
		w.seen = map[port.TaskID]seen{}
	}
	w.seen[id] = seen{s, now.Add(min(left, 1000*time.Hour)), now.Add(awaitAtMost)}
}

// join waits for the stream to stand. From then on news has a token each time that something
// became of the container, or the stream ended.
func (w *watch) join(ctx context.Context, id string, now func() time.Time) (news <-chan struct{}, leave func(), err error) {
	ch := make(chan struct{}, 1)
	on := w.enter(ctx, id, ch, now)
	leave = func() { w.leave(id, ch) }
	select {
	case <-on.stands:
		err = on.failed
	case <-ctx.Done():
		err = fault.New(fault.Cancelled, "watch the engine: %w", context.Cause(ctx))
	}
	if err != nil {
		leave()
	}
	return ch, leave, err
}

// enter counts one who waits, and sees that there is a stream.
func (w *watch) enter(ctx context.Context, id string, ch chan struct{}, now func() time.Time) *stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[string]map[chan struct{}]bool{}
	}
	if w.waiting[id] == nil {
		w.waiting[id] = map[chan struct{}]bool{}
	}
	w.waiting[id][ch] = true
	if w.users++; w.idle != nil {
		w.idle.Stop()
		w.idle = nil
	}
	if w.stream == nil {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		w.stream = &stream{stop: stop, stands: make(chan struct{})}
		on := w.stream
		fault.Go(func() { w.follow(ctx, on, now) }, func(error) {}) // what reads the events is guarded
	}
	return w.stream
}

// follow streams until the stream ends, and wakes everybody then: they begin another.
func (w *watch) follow(ctx context.Context, on *stream, now func() time.Time) {
	defer on.stop()
	err := fault.Guard(func() error {
		return w.events(ctx, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			on.begun = now()
			w.news++
			close(on.stands)
		}, w.wake)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news++
	w.seen = nil
	if on.begun.IsZero() {
		on.failed = err
		close(on.stands)
	}
	w.stream = nil
	for _, of := range w.waiting {
		for ch := range of {
			nudge(ch)
		}
	}
}

func (w *watch) wake(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news++
	maps.DeleteFunc(w.seen, func(of port.TaskID, _ seen) bool { return of.UID == id })
	for ch := range w.waiting[id] {
		nudge(ch)
	}
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// leave ends the stream when nobody has waited for a while.
func (w *watch) leave(id string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.waiting[id], ch); len(w.waiting[id]) == 0 {
		delete(w.waiting, id)
	}
	if w.users--; w.users > 0 || w.stream == nil {
		return
	}
	w.idle = time.AfterFunc(watchLingers, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.users == 0 && w.stream != nil {
			w.stream.stop()
		}
	})
}
