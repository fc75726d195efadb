// Histories of a repository, drawn at random, that the laws of the queue are held against.

package controller

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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
