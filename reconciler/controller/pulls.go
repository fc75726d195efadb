// The work queue's pull requests: which are at rest, which are new, and which are open
// and so depend on their base.

package controller

import (
	"slices"
	"strings"
)

// seePulls compares the pull requests. The first look that nothing is remembered of
// takes those that it sees for settled: a repository has thousands that are closed,
// and a sweep tells the open ones.
func (a *workQueue) seePulls(pulls map[int]string) {
	for n, head := range pulls {
		if t := a.tasks[item{pull: n}]; t != nil {
			t.open = t.open || t.want.Head == "" // asked for before it was ever seen: it is new
			a.observe(t, view{head, ""})
			continue
		}
		was, known := a.quiet[n]
		if known && was == head {
			continue
		}
		if !known && !a.based {
			a.quiet[n] = strings.Clone(head)
			continue
		}
		t := a.task(item{pull: n})
		t.open = t.open || !known
		a.observe(t, view{head, ""})
	}
	for i, t := range a.tasks {
		if i.pull != 0 && t.open {
			a.observe(t, view{t.want.Head, a.bases})
		}
	}
	for n := range a.quiet {
		if _, there := pulls[n]; !there {
			delete(a.quiet, n)
		}
	}
	a.dirty = a.dirty || !a.based
	a.based = true
}

// swept takes up a sweep: listed is to be passed. Where it is known which pull
// requests are open, those that no longer are get a last pass.
func (a *workQueue) swept(listed, open []int, known bool, id string) {
	if !known {
		open = listed
	}
	for i, t := range a.tasks {
		if known && i.pull != 0 && t.open && !slices.Contains(open, i.pull) {
			t.open = false
			t.want.Beside, t.settled.Beside, t.begun.Beside = "", "", ""
			a.ask(i, id)
		}
	}
	for _, n := range listed {
		if n > 0 {
			a.ask(item{pull: n}, id)
		}
	}
	for _, n := range open {
		if n <= 0 {
			continue
		}
		if t := a.task(item{pull: n}); !t.open {
			t.open = true
			a.ask(item{pull: n}, id)
		}
	}
}
