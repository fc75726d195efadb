// Trackers of a repository that is looked after: they are shown what landed beside the passes, so that
// one that is slow or away keeps no pass waiting. What failed for a reason that may pass is tried again.

package app

import (
	"context"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	trackTime  = 10 * time.Minute // of one showing
	trackTries = 7
	trackPause = 30 * time.Second // after the first that failed; then twice as long each time
)

// trackings says which branches are being shown.
type trackings struct {
	mu    sync.Mutex
	busy  map[string]bool
	again map[string]bool // entries landed meanwhile
}

// begin tells whether the caller is to show a branch; else whoever does so does it once more.
func (t *trackings) begin(branch string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy == nil {
		t.busy, t.again = map[string]bool{}, map[string]bool{}
	}
	if t.busy[branch] {
		t.again[branch] = true
		return false
	}
	t.busy[branch] = true
	return true
}

// end tells whether it is to be done once more.
func (t *trackings) end(branch string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	again := t.again[branch]
	t.again[branch], t.busy[branch] = false, again
	return again
}

// showTrackers has the trackers of a branch shown what landed, and does not wait for it.
func (s *ManagedRepository) showTrackers(ctx context.Context, branch string) {
	s.mu.Lock()
	any := s.trackers
	s.mu.Unlock()
	if !any || !s.tracking.begin(branch) {
		return
	}
	go s.keepShowing(context.WithoutCancel(ctx), branch)
}

func (s *ManagedRepository) keepShowing(ctx context.Context, branch string) {
	for more := true; more; more = s.tracking.end(branch) {
		pause := trackPause
		for range trackTries {
			if !s.showBranch(ctx, branch) {
				break
			}
			time.Sleep(pause)
			pause *= 2
		}
	}
}

// showBranch shows a branch once, and tells whether it is worth another try.
func (s *ManagedRepository) showBranch(ctx context.Context, branch string) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, trackTime)
	defer cancel()
	h, err := s.beside(ctx, branch, false)
	if err != nil {
		s.o.Env.Log.WarnContext(ctx, "trackers are not shown what landed", "branch", branch, "error", err, "hint", fault.HintOf(err))
		return fault.Of(err) == fault.Transient
	}
	defer h.Close()
	all, err := h.Track(ctx, false)
	if err != nil {
		s.o.Env.Log.WarnContext(ctx, "trackers are not shown what landed", "branch", branch, "error", err, "hint", fault.HintOf(err))
		return fault.Of(err) == fault.Transient
	}
	for _, t := range all {
		switch {
		case t.Err() != nil:
			s.o.Env.Log.WarnContext(ctx, "a tracker does not show what landed", "tracker", t.Tracker, "branch", branch, "error", t.Error, "hint", t.Hint, "tries", t.Tries)
			k := fault.Of(t.Err())
			again = again || k == fault.Transient || k == fault.Conflict
		case t.Writes > 0:
			s.o.Env.Log.InfoContext(ctx, "a tracker was shown what landed", "tracker", t.Tracker, "branch", branch, "runs", t.Runs, "requests", t.Writes)
		}
		for _, d := range t.Drift {
			s.o.Env.Log.WarnContext(ctx, "a tracker was changed by others", "tracker", t.Tracker, "what", d)
		}
	}
	return again
}
