// The laws of the work queue, over random histories of a repository: nothing that
// changed is left out, nothing runs twice at once, and what is settled stays so.

package controller

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history is a repository, and the passes that a work queue had begun on it.
type history struct {
	t       *rapid.T
	agenda  *workQueue
	now     time.Time
	refs    Refs
	open    []int
	seen    Refs          // by the look that is under way
	running map[item]Refs // the refs when the pass began
	passed  map[item]Refs // the refs when the last pass began that went well
	wanted  map[item]bool // asked for since a pass began
	stamp   int
	looks   int
}

const pullLimit = 3

func (h *history) sha() string { h.stamp++; return fmt.Sprintf("%040d", h.stamp) }

func (h *history) copy() Refs {
	return Refs{Branches: maps.Clone(h.refs.Branches), Pulls: maps.Clone(h.refs.Pulls), Ledgers: maps.Clone(h.refs.Ledgers)}
}

func (h *history) look() {
	if !h.agenda.looking {
		h.agenda.beginLook()
		h.seen = h.copy()
	}
}

func (h *history) looked(fails bool) {
	if !h.agenda.looking {
		return
	}
	if fails {
		h.agenda.failLook()
		return
	}
	h.looks++
	h.agenda.see(h.seen)
}

func (h *history) begin() bool {
	i, found := h.agenda.next(h.now, pullLimit)
	if !found {
		return false
	}
	if _, twice := h.running[i]; twice {
		h.t.Fatalf("%s runs twice at once", i)
	}
	h.agenda.begin(i)
	h.running[i] = h.copy()
	delete(h.wanted, i)
	pulls := 0
	for i := range h.running {
		if i.pull != 0 {
			pulls++
		}
	}
	if pulls > pullLimit {
		h.t.Fatalf("%d pull requests at once", pulls)
	}
	return true
}

func (h *history) end(i item, wait time.Duration) {
	if wait == 0 {
		h.passed[i] = h.running[i]
	} else {
		h.wanted[i] = true
	}
	delete(h.running, i)
	h.agenda.end(i, wait, h.now)
}

// sweep tells which pull requests are open; none has a remark.
func (h *history) sweep() {
	before := map[int]bool{}
	for i, t := range h.agenda.tasks {
		if i.pull != 0 && t.open {
			before[i.pull] = true
		}
	}
	h.agenda.swept(nil, h.open, true, "sweep")
	for _, n := range h.open {
		if !before[n] {
			h.wanted[item{pull: n}] = true
		}
		delete(before, n)
	}
	for n := range before {
		h.wanted[item{pull: n}] = true
	}
}

// restart forgets everything but what is remembered. Passes under way are lost.
func (h *history) restart() {
	for i := range h.running {
		h.wanted[i] = true
	}
	text, err := json.Marshal(h.agenda.remember())
	if err != nil {
		h.t.Fatal(err)
	}
	var m checkpoint
	if err := json.Unmarshal(text, &m); err != nil {
		h.t.Fatal(err)
	}
	h.agenda = newWorkQueue()
	h.agenda.recall(m)
	h.running = map[item]Refs{}
}

// quiet lets everything come to rest, with a world that works.
func (h *history) quiet() (passes int) {
	for range 1000 {
		h.now = h.now.Add(2 * time.Hour)
		h.looked(false)
		if h.agenda.wanted {
			h.look()
			h.looked(false)
		}
		for h.begin() {
			passes++
		}
		if len(h.running) == 0 && !h.agenda.lookDue() {
			return passes
		}
		for i := range maps.Clone(h.running) {
			h.end(i, 0)
		}
	}
	h.t.Fatal("the agenda never comes to rest")
	return 0
}

func newHistory(t *rapid.T) *history {
	h := &history{
		t: t, agenda: newWorkQueue(), now: time.Unix(1_700_000_000, 0),
		running: map[item]Refs{}, passed: map[item]Refs{}, wanted: map[item]bool{},
	}
	h.refs = Refs{Branches: map[string]string{"main": h.sha(), "next": h.sha()}, Pulls: map[int]string{}, Ledgers: map[string]Ledger{}}
	for n := 1; n <= rapid.IntRange(0, 6).Draw(t, "old pulls"); n++ {
		h.refs.Pulls[n] = h.sha()
		if n%2 == 0 {
			h.open = append(h.open, n)
		}
	}
	return h
}

// change moves a ref.
func (h *history) change(what int) {
	switch what {
	case 0:
		h.refs.Branches["main"] = h.sha()
	case 1:
		// One that was deleted does not come back: a ref that moves and moves back
		// between two looks is as good as one that did not move.
		if _, there := h.refs.Branches["next"]; there {
			h.refs.Branches["next"] = h.sha()
		}
	case 2:
		delete(h.refs.Branches, "next")
	case 3:
		h.refs.Ledgers["main"] = Ledger{Tip: h.sha()}
		h.refs.Ledgers["next"] = h.refs.Ledgers["main"]
	case 7: // the controller itself writes to it
		was := h.refs.Ledgers["main"]
		h.refs.Ledgers["main"] = Ledger{Tip: h.sha(), Before: cmp.Or(was.Before, was.Tip, NoLedger)}
		h.refs.Ledgers["next"] = h.refs.Ledgers["main"]
	case 4: // a new pull request
		n := len(h.refs.Pulls) + 1
		h.refs.Pulls[n] = h.sha()
		h.open = append(h.open, n)
	case 5: // a push to one
		if len(h.open) > 0 {
			h.refs.Pulls[h.open[0]] = h.sha()
		}
	case 6: // one is closed
		if len(h.open) > 0 {
			h.open = slices.Clone(h.open[1:])
		}
	}
}

func (h *history) step(t *rapid.T) {
	switch rapid.SampledFrom([]string{"change", "change", "look", "looked", "begin", "begin", "end", "end", "ask", "sweep", "wait", "restart"}).Draw(t, "step") {
	case "change":
		h.change(rapid.IntRange(0, 7).Draw(t, "ref"))
	case "look":
		h.agenda.wantLook("poll")
		h.look()
	case "looked":
		h.looked(rapid.Bool().Draw(t, "fails"))
	case "begin":
		h.begin()
	case "end":
		if under := slices.SortedFunc(maps.Keys(h.running), func(a, b item) int { return strings.Compare(a.String(), b.String()) }); len(under) > 0 {
			wait := rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Hour}).Draw(t, "wait")
			h.end(rapid.SampledFrom(under).Draw(t, "which"), wait)
		}
	case "ask":
		i := item{branch: "main"}
		if len(h.open) > 0 && rapid.Bool().Draw(t, "pull") {
			i = item{pull: h.open[0]}
		}
		h.agenda.ask(i, "webhook")
		h.wanted[i] = true
	case "sweep":
		if h.agenda.ended > 0 {
			h.sweep()
		}
	case "wait":
		h.now = h.now.Add(time.Minute)
	case "restart":
		h.restart()
	}
}

// TestEveryChangeIsPassedWithItsNewestState: whatever happens on the way, lost
// triggers, failures and restarts, each branch, and each pull request that is open,
// ends with a pass that began after its last change.
func TestEveryChangeIsPassedWithItsNewestState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			h.step(t)
		}
		h.agenda.wantLook("poll")
		h.quiet()
		h.sweep() // what the next interval, or a start, does anyway
		h.quiet()
		for b, sha := range h.refs.Branches {
			if p, ok := h.passed[item{branch: b}]; !ok || p.Branches[b] != sha || others(p.Ledgers[b]) != others(h.refs.Ledgers[b]) {
				t.Fatalf("branch %s was not passed as it is now", b)
			}
		}
		for _, n := range h.open {
			p, ok := h.passed[item{pull: n}]
			if !ok || p.Pulls[n] != h.refs.Pulls[n] || !maps.Equal(p.Branches, h.refs.Branches) {
				t.Fatalf("pull %d was not passed as it is now", n)
			}
		}
		for i := range h.wanted {
			if _, there := h.refs.Branches[i.branch]; there || i.pull != 0 {
				t.Fatalf("%s was asked for, and not passed since", i)
			}
		}
	})
}

// others is a ledger as others left it: with what came from the controller itself, no
// pass is due.
func others(l Ledger) string { return strings.TrimPrefix(cmp.Or(l.Before, l.Tip), NoLedger) }

// TestOwnEntriesWakeNothingAndHurryNothing: what the controller writes is no reason to
// look again, and does not shorten the wait of what failed; what others write is, also
// where it lies below the controller's own entries.
func TestOwnEntriesWakeNothingAndHurryNothing(t *testing.T) {
	a, now, main := newWorkQueue(), time.Unix(0, 0), item{branch: "main"}
	see := func(tip, before string) {
		a.wantLook("poll")
		a.beginLook()
		a.see(Refs{Branches: map[string]string{"main": "1"}, Ledgers: map[string]Ledger{"main": {tip, before}}})
	}
	due := func() bool { _, found := a.next(now, 1); return found }
	pass := func(wait time.Duration, during func()) {
		t.Helper()
		if !due() {
			t.Fatal("no pass is due")
		}
		a.begin(main)
		during()
		a.end(main, wait, now)
	}
	see("", "")
	pass(0, func() { see("own1", NoLedger); see("own2", NoLedger) })
	if see("own3", NoLedger); due() {
		t.Fatal("its own entries wake it")
	}
	see("theirs4", "")
	pass(time.Hour, func() { see("own5", "theirs4") })
	for n := range 20 {
		if see(fmt.Sprintf("own%d", 6+n), "theirs4"); due() {
			t.Fatal("its own entries hurry what failed")
		}
	}
	if tries := a.tasks[main].tries; tries != 1 {
		t.Fatalf("after its own entries, %d tries are known", tries)
	}
	now = now.Add(time.Hour)
	pass(time.Hour, func() {})
	if see("own31", "theirs30"); !due() {
		t.Fatal("another's entry below its own does not wake it")
	}
	pass(0, func() {})
	if see("own31", "theirs30"); due() {
		t.Fatal("what is settled is due")
	}
}

// TestPassAfterPassSettles: at rest, a look at unchanged refs begins nothing, and
// neither does one after a restart.
func TestPassAfterPassSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			h.step(t)
		}
		h.agenda.wantLook("poll")
		h.quiet()
		for range 3 {
			h.agenda.wantLook("poll")
			if n := h.quiet(); n != 0 {
				t.Fatalf("%d passes of what is settled", n)
			}
		}
		h.restart()
		h.agenda.wantLook("poll")
		if n := h.quiet(); n != 0 {
			t.Fatalf("%d passes after a restart", n)
		}
	})
}

// TestABurstIsOnePass: triggers before a pass, and those during it, collapse.
func TestABurstIsOnePass(t *testing.T) {
	a := newWorkQueue()
	i := item{branch: "main"}
	refs := Refs{Branches: map[string]string{"main": "1"}}
	now := time.Unix(0, 0)
	look := func() { a.beginLook(); a.see(refs) }
	for n := range 100 {
		a.ask(i, fmt.Sprint(n))
	}
	if _, found := a.next(now, 1); found {
		t.Error("a pass may begin before the look that it asked for")
	}
	look()
	if ids := a.begin(i); !slices.Equal(ids, []string{"0", "1", "2", "3"}) {
		t.Errorf("the pass answers %v", ids)
	}
	for range 100 {
		a.ask(i, "again")
	}
	look()
	if _, found := a.next(now, 1); found {
		t.Error("a second pass beside the first")
	}
	a.end(i, 0, now)
	if _, found := a.next(now, 1); !found {
		t.Error("a trigger during a pass is lost")
	}
	a.begin(i)
	a.end(i, 0, now)
	if _, found := a.next(now, 1); found || a.lookDue() {
		t.Error("a burst leads to a third pass")
	}
}

// TestWhatFailedIsTriedAgainWithoutAChange: after its back-off, and at once where
// something changed meanwhile.
func TestWhatFailedIsTriedAgainWithoutAChange(t *testing.T) {
	a := newWorkQueue()
	i, now := item{branch: "main"}, time.Unix(0, 0)
	see := func(sha string) {
		a.wantLook()
		a.beginLook()
		a.see(Refs{Branches: map[string]string{"main": sha}})
	}
	see("1")
	a.begin(i)
	a.end(i, time.Minute, now)
	see("1")
	if _, found := a.next(now.Add(59*time.Second), 1); found {
		t.Error("tried again too soon")
	}
	if _, due := a.waits(now); !due.Equal(now.Add(time.Minute)) {
		t.Errorf("due at %s", due)
	}
	if _, found := a.next(now.Add(time.Minute), 1); !found {
		t.Error("never tried again")
	}
	see("2")
	if _, found := a.next(now, 1); !found {
		t.Error("a new commit waits for the back-off of the old one")
	}
}

// TestAPassBeginsAfterALookThatBeganAfterItsTrigger: so that it is noted which refs it settled.
func TestAPassBeginsAfterALookThatBeganAfterItsTrigger(t *testing.T) {
	a := newWorkQueue()
	now := time.Unix(0, 0)
	refs := Refs{Pulls: map[int]string{1: "a"}}
	a.wantLook()
	a.beginLook()
	a.ask(item{pull: 1}, "hook")
	a.see(refs)
	if _, found := a.next(now, 1); found {
		t.Error("a look from before the trigger counts")
	}
	if !a.lookDue() {
		t.Fatal("no look is asked for")
	}
	a.beginLook()
	a.failLook()
	if a.lookDue() {
		t.Error("a look that failed is repeated without waiting")
	}
	a.wantLook("poll")
	if ids := a.beginLook(); !slices.Contains(ids, "hook") {
		t.Errorf("the look that failed took its trigger along: %v", ids)
	}
	a.see(refs)
	if i, found := a.next(now, 1); !found || i.pull != 1 {
		t.Error("no pass after a look that saw")
	}
}

// TestAMovedBaseIsLookedAtByItsPullRequests: those that are open, once.
func TestAMovedBaseIsLookedAtByItsPullRequests(t *testing.T) {
	a := newWorkQueue()
	now := time.Unix(0, 0)
	refs := Refs{Branches: map[string]string{"main": "1"}, Pulls: map[int]string{1: "closed", 2: "open"}}
	settle := func() (passed []string) {
		a.wantLook()
		a.beginLook()
		a.see(refs)
		for {
			i, found := a.next(now, 10)
			if !found {
				slices.Sort(passed)
				return passed
			}
			a.begin(i)
			a.end(i, 0, now)
			passed = append(passed, i.String())
		}
	}
	check := func(what string, want ...string) {
		t.Helper()
		if got := settle(); !slices.Equal(got, want) {
			t.Errorf("%s: passed %v, want %v", what, got, want)
		}
	}
	check("first", "branch main")
	a.swept([]int{2}, nil, false, "sweep")
	check("swept", "pull 2")
	refs.Pulls[3] = "new"
	check("opened", "pull 3")
	refs.Branches["main"] = "2"
	check("base moved", "branch main", "pull 2", "pull 3")
	check("settled")
	a.swept(nil, []int{3}, true, "sweep")
	check("one closed, and the webhook lost", "pull 2")
	a.swept([]int{3}, []int{3}, true, "sweep")
	check("a remark, and the webhook lost", "pull 3")
	refs.Branches["main"] = "3"
	check("base moved again", "branch main", "pull 3")
	refs.Ledgers = map[string]Ledger{"main": {Tip: "entry"}}
	check("somebody approved", "branch main")
	delete(refs.Branches, "main")
	check("the branch went")
	refs.Branches["main"] = "4"
	check("and came back", "branch main", "pull 3")
}

// TestOldPullRequestsAreNotPassed: a repository with thousands of closed pull
// requests is not gone through at the first look.
func TestOldPullRequestsAreNotPassed(t *testing.T) {
	a := newWorkQueue()
	refs := Refs{Pulls: map[int]string{}}
	for n := range 5000 {
		refs.Pulls[n+1] = fmt.Sprint(n)
	}
	a.wantLook()
	a.beginLook()
	a.see(refs)
	if _, found := a.next(time.Unix(0, 0), 1); found || len(a.tasks) != 0 {
		t.Errorf("%d pull requests to pass", len(a.tasks))
	}
	refs.Pulls[5001] = "new"
	a.wantLook("hook")
	a.beginLook()
	a.see(refs)
	if i, found := a.next(time.Unix(0, 0), 1); !found || i.pull != 5001 {
		t.Errorf("a new pull request is not seen: %v", i)
	}
}
