// The laws of the work queue, over random histories of a repository: nothing that
// changed is left out, nothing runs twice at once, and what is settled stays so.

package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

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
