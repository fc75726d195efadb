// Trackers of a repository that is looked after: they are shown what landed beside the passes, so that
// one that is slow or away keeps no pass waiting. What failed for a reason that may pass is tried again.

package app

import (
	"context"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/track"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	trackTime  = 10 * time.Minute // of one showing
	trackTries = 7
	trackPause = 30 * time.Second // after the first that failed; then twice as long each time
	trackWait  = 2 * time.Minute  // for what is under way when the repository is let go
)

// trackings says which branches are being shown, and what of their ledgers was read for that.
type trackings struct {
	mu     sync.Mutex
	busy   map[string]bool
	landed map[string]chan struct{} // entries did meanwhile: one signal is kept
	read   map[string]*track.Reading
	closed chan struct{} // nothing is begun, or tried again
	pause  time.Duration
	all    routine.Set
}

func newTrackings() *trackings {
	return &trackings{busy: map[string]bool{}, landed: map[string]chan struct{}{}, read: map[string]*track.Reading{}, closed: make(chan struct{}), pause: trackPause}
}

// begin has do done for a branch beside the caller; where that is under way, or waits to be tried again, once more and at once. After
// close nothing is begun: the next process shows it.
func (t *trackings) begin(branch string, do func(*track.Reading) (again bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over() {
		return
	}
	if t.landed[branch] == nil {
		t.landed[branch], t.read[branch] = make(chan struct{}, 1), &track.Reading{}
	}
	if t.busy[branch] {
		select {
		case t.landed[branch] <- struct{}{}:
		default:
		}
		return
	}
	t.busy[branch] = true
	landed, read := t.landed[branch], t.read[branch]
	t.all.Start(func() {
		for more := true; more; more = t.end(branch) {
			t.tried(landed, func() bool { return do(read) })
		}
	})
}

func (t *trackings) over() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

// tried does it until it is done, or not worth another try. What lands meanwhile ends the wait, and is a new beginning: the next try shows
// it as well.
func (t *trackings) tried(landed <-chan struct{}, do func() (again bool)) {
	pause := t.pause
	for n := 1; do() && n < trackTries; n++ {
		select {
		case <-t.closed:
			return
		case <-landed:
			n, pause = 0, t.pause
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// end tells whether it is to be done once more.
func (t *trackings) end(branch string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.landed[branch]:
		t.busy[branch] = !t.over()
	default:
		t.busy[branch] = false
	}
	return t.busy[branch]
}

// close lets nothing be tried again, and waits for what is under way.
func (t *trackings) close() {
	t.mu.Lock()
	if !t.over() {
		close(t.closed)
	}
	t.mu.Unlock()
	ended := make(chan struct{})
	fault.Go(func() { defer close(ended); t.all.Wait() }, func(error) {}) // what they do is guarded
	select {
	case <-ended:
	case <-time.After(trackWait):
	}
}

// showTrackers has the trackers of a branch shown what landed, and does not wait for it.
func (s *ManagedRepository) showTrackers(ctx context.Context, branch string) {
	s.mu.Lock()
	any := s.trackers
	s.mu.Unlock()
	if any {
		ctx = context.WithoutCancel(ctx)
		s.tracking.begin(branch, func(read *track.Reading) (more bool) {
			err := fault.Guard(func() error { more = s.showBranch(ctx, branch, read); return nil })
			if err != nil { // what a tracker answered
				routine.Logged(s.o.Env.Log.With("branch", branch), "the showing of what landed")(err)
			}
			return more
		})
	}
}

// showBranch shows a branch once, and tells whether it is worth another try.
func (s *ManagedRepository) showBranch(ctx context.Context, branch string, read *track.Reading) (more bool) {
	ctx, cancel := context.WithTimeout(ctx, trackTime)
	defer cancel()
	h, err := s.beside(ctx, branch, false)
	if err != nil {
		s.o.Env.Log.WarnContext(ctx, "trackers are not shown what landed", "branch", branch, "error", err, "hint", fault.WayOut(err))
		return fault.Of(err) == fault.Transient
	}
	defer h.Close()
	h.read, h.declined = read, s.declines(branch)
	all, err := h.Track(ctx, false)
	if err != nil {
		s.o.Env.Log.WarnContext(ctx, "trackers are not shown what landed", "branch", branch, "error", err, "hint", fault.WayOut(err))
		return fault.Of(err) == fault.Transient
	}
	for _, t := range all {
		switch {
		case t.Err() != nil:
			s.o.Env.Log.WarnContext(ctx, "a tracker does not show what landed", "tracker", t.Tracker, "branch", branch, "error", t.Error, "hint", t.Hint, "tries", t.Tries)
			more = more || again(t.Err())
		case t.Writes > 0:
			s.o.Env.Log.InfoContext(ctx, "a tracker was shown what landed", "tracker", t.Tracker, "branch", branch, "runs", t.Runs, "requests", t.Writes)
		}
		for _, d := range t.Drift {
			s.o.Env.Log.WarnContext(ctx, "a tracker was changed by others", "tracker", t.Tracker, "what", d)
		}
		declined, err := s.promote(ctx, branch, t)
		if declined {
			_, err = h.Track(ctx, false) // puts it back
		}
		if err != nil {
			s.o.Env.Log.WarnContext(ctx, "an alias that was moved is not proposed", "tracker", t.Tracker, "branch", branch, "error", err, "hint", fault.WayOut(err))
			more = more || again(err)
		}
	}
	return more
}
