// Strangers' pull requests, however many and however slow, stop nobody else's.

package controller

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller/turn"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// lanes is a site whose pull requests up to 100 are strangers', each of which takes until it is ended.
type lanes struct {
	*fake
	mu      sync.Mutex
	inside  int // strangers' looks under way
	most    int
	ended   map[int]error // how strangers' looks ended
	vouched map[int]bool
	known   map[int]int // looks at others
}

func newLanes(name string) *lanes {
	lanes := &lanes{fake: newFake(name), ended: map[int]error{}, vouched: map[int]bool{}, known: map[int]int{}}
	lanes.onPull = lanes.look
	return lanes
}

func (w *lanes) look(ctx context.Context, n int) error {
	guest, turns := turn.Admission(ctx)
	w.mu.Lock()
	stranger := n <= 100 && !w.vouched[n]
	switch {
	case !turns:
		w.mu.Unlock()
		return fault.New(fault.Internal, "a pass has no turn")
	case stranger && !guest:
		w.mu.Unlock()
		return fmt.Errorf("pull %d: %w", n, turn.ErrStranger)
	case !stranger && guest:
		w.mu.Unlock()
		return fmt.Errorf("pull %d: %w", n, turn.ErrKnown)
	case !stranger:
		w.known[n]++
		w.mu.Unlock()
		return nil
	}
	w.inside++
	w.most = max(w.most, w.inside)
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside--
	w.ended[n] = context.Cause(ctx)
	if strings.Contains(w.ended[n].Error(), turn.ErrOverdue.Error()) {
		return nil // said in the comment
	}
	return fault.New(fault.Cancelled, "%w", context.Cause(ctx))
}

func (w *lanes) count(f func(*lanes) int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return f(w)
}

// crowd opens so many strangers' pull requests.
func (w *lanes) crowd(n int) {
	w.set(func(r *Refs) {
		for i := range n {
			r.Pulls[i+1] = fmt.Sprintf("head%d", i)
			w.open = append(w.open, i+1)
		}
	})
}

// TestFortyStrangersStopNobody: while their looks go on and on, a branch that moves and a
// pull request that somebody else opens are looked at at once.
func TestFortyStrangersStopNobody(t *testing.T) {
	w := newLanes("a")
	w.crowd(40)
	c := fast()
	c.Timeout, c.Parallel, c.Pulls, c.Strangers = time.Minute, 1, 1, 2
	r := start(t, Options{Config: c, Sites: []Repository{w}})
	until(t, "strangers are looked at", func() bool { return w.count(func(w *lanes) int { return w.inside }) > 0 })
	begin := time.Now()
	w.set(func(r *Refs) { r.Branches["main"], r.Pulls[200] = "2", "new" })
	until(t, "the branch is passed", w.is("branch main", "2"))
	until(t, "the other pull request is passed", func() bool { return w.count(func(w *lanes) int { return w.known[200] }) > 0 })
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if most := w.count(func(w *lanes) int { return w.most }); most > 2 {
		t.Errorf("%d strangers' looks at once", most)
	}
	begin = time.Now()
	r.end(t)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the end took %s", took)
	}
}

// TestALookAtAStrangersEndsInTime: each ends after timeout, and once: there is no loop of them.
func TestALookAtAStrangersEndsInTime(t *testing.T) {
	w := newLanes("a")
	w.crowd(4)
	c := fast()
	c.Timeout = 50 * time.Millisecond
	r := start(t, Options{Config: c, Sites: []Repository{w}})
	until(t, "all looks were ended", func() bool { return w.count(func(w *lanes) int { return len(w.ended) }) == 4 })
	looks := w.looked()
	until(t, "the repository is looked at again and again", func() bool { return w.looked() > looks+20 })
	for n := range 4 {
		// One pass finds out whose it is, and one is ended.
		if got := w.fake.count(fmt.Sprintf("pull %d", n+1)); got != 2 {
			t.Errorf("pull request %d was passed %d times", n+1, got)
		}
	}
	r.end(t)
}

// TestAVouchedPullRequestLeavesTheLane: what somebody vouches for is everybody's.
func TestAVouchedPullRequestLeavesTheLane(t *testing.T) {
	w := newLanes("a")
	w.crowd(1)
	c := fast()
	c.Timeout = 50 * time.Millisecond
	r := start(t, Options{Config: c, Sites: []Repository{w}})
	until(t, "the look was ended", func() bool { return w.count(func(w *lanes) int { return len(w.ended) }) == 1 })
	w.mu.Lock()
	w.vouched[1] = true
	w.mu.Unlock()
	w.set(func(r *Refs) { r.Branches["main"] = "2" })
	until(t, "it is looked at as others are", func() bool { return w.count(func(w *lanes) int { return w.known[1] }) > 0 })
	r.end(t)
}

// TestStrangersAreDismissedAtTheEnd: they are not waited for, whatever becomes of runs.
func TestStrangersAreDismissedAtTheEnd(t *testing.T) {
	w := newLanes("a")
	w.crowd(2)
	c := fast()
	c.Timeout, c.Shutdown.Runs, c.Shutdown.Grace = time.Hour, "finish", time.Hour
	r := start(t, Options{Config: c, Sites: []Repository{w}})
	until(t, "strangers are looked at", func() bool { return w.count(func(w *lanes) int { return w.inside }) > 0 })
	r.end(t)
}
