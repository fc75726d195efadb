// The work queue of one repository: what was seen, what was settled, and so what is to
// be passed. It is a plain value that one worker owns; time comes as an argument.
// It goes by looks: a ref that moves and moves back between two looks did not move.

package controller

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// item is what a pass is about: a branch, or else a pull request.
type item struct {
	branch string
	pull   int
}

func (i item) kind() string {
	if i.branch != "" {
		return "branch"
	}
	return "pull"
}

func (i item) String() string {
	if i.branch != "" {
		return "branch " + i.branch
	}
	return fmt.Sprintf("pull %d", i.pull)
}

// view is what a look sees of an item.
type view struct {
	Head   string `json:"head"`
	Beside string `json:"beside,omitempty"` // a branch's ledger; an open pull request's tracked branches
}

// task is an item with how it stands.
type task struct {
	want     view   // as of the last look
	settled  view   // as of the beginning of the last pass that settled it
	begun    view   // as of the beginning of the pass under way, or of the one that failed
	others   string // a branch's ledger as others left it, as of the last look
	gone     bool   // the last look did not see it
	open     bool   // a pull request that depends on its base
	guest    bool   // a stranger's pull request, as far as is known
	running  bool
	asked    bool   // somebody wants a pass, changed or not
	needs    uint64 // the look that must have ended before the pass begins
	owed     bool   // asked for, begun or failed, and not settled since
	tries    int    // passes that failed in a row
	retry    time.Time
	since    uint64 // when it became due, in order
	triggers []string
}

// workQueue is not safe for use side by side.
type workQueue struct {
	tasks map[item]*task
	quiet map[int]string // pull requests at rest, most of them closed -> settled head
	based bool           // quiet is filled: a pull request that is not in it is new
	bases string         // the tracked branches as of the last look

	begun, ended uint64   // looks
	looking      bool     // a look is under way
	wanted       bool     // another one is asked for
	lookFor      []string // by these triggers
	answers      []string // the triggers of the look under way
	order        uint64
	dirty        bool // there is something new to remember
}

func newWorkQueue() *workQueue { return &workQueue{tasks: map[item]*task{}, quiet: map[int]string{}} }

// wantLook asks for a look, which shows whether there is anything to do.
func (a *workQueue) wantLook(ids ...string) {
	a.wanted = true
	a.lookFor = joined(a.lookFor, ids...)
}

// ask wants a pass of i, after a look that begins from now on.
func (a *workQueue) ask(i item, ids ...string) {
	t := a.task(i)
	if !t.asked {
		t.asked = true
		a.order++
		t.since = a.order
	}
	t.needs, t.owed, t.retry = a.begun+1, true, time.Time{}
	a.dirty = true
	t.triggers = joined(t.triggers, ids...)
	a.wantLook(ids...)
}

// task is that of i; a pull request that was at rest comes back as it was left.
func (a *workQueue) task(i item) *task {
	t := a.tasks[i]
	if t == nil {
		t = &task{gone: i.branch != ""}
		if head, known := a.quiet[i.pull]; known && i.pull != 0 {
			t.want.Head, t.settled.Head = head, head
			delete(a.quiet, i.pull)
		}
		a.tasks[i] = t
	}
	return t
}

// lookDue tells whether a look should begin.
func (a *workQueue) lookDue() bool { return a.wanted && !a.looking }

func (a *workQueue) beginLook() []string {
	a.answers, a.lookFor = a.lookFor, nil
	a.wanted, a.looking = false, true
	a.begun++
	return a.answers
}

// failLook puts the triggers of a look that failed back: the next one answers them.
func (a *workQueue) failLook() {
	a.looking = false
	a.lookFor = joined(a.answers, a.lookFor...)
	a.answers = nil
}

// see ends a look with what it saw, and tells which tracked branches are no longer there.
func (a *workQueue) see(r Refs) (lost []string) {
	a.looking, a.ended = false, a.begun
	a.bases = ""
	for _, b := range slices.Sorted(maps.Keys(r.Branches)) {
		a.bases += b + "@" + r.Branches[b] + "\n"
	}
	for i, t := range a.tasks {
		if i.branch == "" || t.gone {
			continue
		}
		if _, there := r.Branches[i.branch]; !there {
			t.gone = true
			lost = append(lost, i.branch)
		}
	}
	for b, sha := range r.Branches {
		t := a.task(item{branch: b})
		t.gone = false
		t.wrote(r.Ledgers[b])
		a.observe(t, view{sha, r.Ledgers[b].Tip})
	}
	a.seePulls(r.Pulls)
	a.answers = nil
	a.tidy()
	slices.Sort(lost)
	return lost
}

// wrote takes the site's own entries on top of the ledger that was seen for seen: they
// are no change, neither for what is settled nor for what waits to be tried again.
func (t *task) wrote(l Ledger) {
	was := t.want.Beside
	if l.Before != "" && (l.Before == cmp.Or(was, NoLedger) || l.Before == t.others) {
		for _, v := range []*view{&t.want, &t.settled, &t.begun} {
			if v.Head != "" && v.Beside == was {
				v.Beside = l.Tip
			}
		}
	}
	t.others = cmp.Or(l.Before, l.Tip)
}

func (a *workQueue) observe(t *task, now view) {
	if t.open && now.Beside == "" && t.want.Beside != "" {
		now.Beside = t.want.Beside
	}
	if t.want == now {
		return
	}
	was := t.changed()
	t.want = now
	if t.changed() {
		if !was && !t.asked {
			a.order++
			t.since = a.order
		}
		t.retry, t.tries = time.Time{}, 0 // what failed may be mended
		t.triggers = joined(t.triggers, a.answers...)
	}
}

// changed tells whether there is more to see than what was settled.
func (t *task) changed() bool {
	return !t.gone && (t.want.Head != t.settled.Head || t.want.Beside != t.settled.Beside)
}

// ready tells whether a pass of i may begin.
func (a *workQueue) ready(t *task, now time.Time) bool {
	return !t.running && !t.gone && a.ended >= t.needs && a.ended > 0 &&
		(t.asked || t.owed || t.changed()) && !now.Before(t.retry)
}

// busy tells whether a pass of i is under way or about to be: one that failed is tried
// again in its own time, and is not hurried by what it failed to mend.
func (a *workQueue) busy(i item) bool {
	t := a.tasks[i]
	return t != nil && (t.running || t.asked || t.owed)
}

// running tells whether a pass of i is under way.
func (a *workQueue) running(i item) bool {
	t := a.tasks[i]
	return t != nil && t.running
}

// next is what should be passed next: branches first, then whoever waits longest.
// At most pulls pull requests are under way at once, strangers' aside.
func (a *workQueue) next(now time.Time, pulls int) (best item, found bool) {
	for i, t := range a.tasks {
		if t.guest {
			continue
		}
		if i.pull != 0 && t.running {
			pulls--
		}
		if !a.ready(t, now) {
			continue
		}
		if !found || (i.pull == 0) != (best.pull == 0) && i.pull == 0 || (i.pull == 0) == (best.pull == 0) && t.since < a.tasks[best].since {
			best, found = i, true
		}
	}
	return best, found && (best.pull == 0 || pulls > 0)
}

// nextGuest is the stranger's pull request that waits longest.
func (a *workQueue) nextGuest(now time.Time) (best item, found bool) {
	for i, t := range a.tasks {
		if t.guest && a.ready(t, now) && (!found || t.since < a.tasks[best].since) {
			best, found = i, true
		}
	}
	return best, found
}

// move notes that the pass of i found it to be a stranger's, or one's no longer, and did
// nothing: it waits for its turn there.
func (a *workQueue) move(i item, guest bool) {
	t := a.tasks[i]
	t.running, t.guest, t.asked = false, guest, true
	a.order++
	t.since = a.order
}

// begin notes that a pass of i begins, and tells the triggers that it answers.
func (a *workQueue) begin(i item) []string {
	t := a.tasks[i]
	ids := t.triggers
	t.running, t.asked, t.owed, t.triggers, t.begun = true, false, true, nil, t.want
	return ids
}

// end notes how a pass of i ended: wait is Next's.
func (a *workQueue) end(i item, wait time.Duration, now time.Time) {
	t := a.tasks[i]
	t.running = false
	if wait == 0 {
		t.settled, t.tries, t.owed = t.begun, 0, t.asked
		a.dirty = true
		a.order++
		t.since = a.order
		a.tidy()
		return
	}
	t.tries++
	if !t.asked && t.want == t.begun {
		t.retry = now.Add(wait)
	}
}

// tidy lets go of what is at rest.
func (a *workQueue) tidy() {
	for i, t := range a.tasks {
		if t.running || t.asked && !t.gone || t.owed && !t.gone || t.open || i.branch != "" && !t.gone {
			continue
		}
		if t.gone {
			if a.ended >= t.needs {
				delete(a.tasks, i)
			}
		} else if !t.changed() {
			if t.want.Head != "" {
				a.quiet[i.pull] = t.want.Head
			}
			delete(a.tasks, i)
		}
	}
}

// waits is how many items wait for a pass, and due is when the first of those that
// failed is tried again; zero: none is.
func (a *workQueue) waits(now time.Time) (depth int, due time.Time) {
	for _, t := range a.tasks {
		switch {
		case a.ready(t, now):
			depth++
		case !t.running && now.Before(t.retry) && (due.IsZero() || t.retry.Before(due)):
			due = t.retry
		}
	}
	return depth, due
}
