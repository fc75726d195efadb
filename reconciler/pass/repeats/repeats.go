// Package repeats has the same failure of the same step, tried again and again, be one entry an hour: it
// carries how often it failed since. The ledger only grows, and whoever can make
// something fail would else decide how fast.
package repeats

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	refreshed = time.Hour // between two entries about the same
	MostWays  = 4         // in which a step may fail an hour and have an entry for each
	mostKnown = 10_000    // failures that are remembered; beyond, the oldest hour is let go
)

// Known remembers what a process has recorded of failures and refusals. The zero
// value is ready, and safe for use by several goroutines.
type Known struct {
	mu    sync.Mutex
	known map[string]*repeat // by the step, and the way in which it failed
}

type repeat struct {
	step  string
	seq   int64
	at    time.Time // of the entry
	times int       // since the entry
}

// Again counts e, and tells the entry that says the same, where that is less than an
// hour old. Where it is not, or there is none, e is to be recorded, with the count.
func (r *Known) Again(e ledger.Entry, facts *ledger.Facts, now time.Time) (seq int64, known bool, times int) {
	step, way := stepOf(e), wayOf(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(facts)
	last := r.known[way]
	if last != nil && fresh(last.at, now) {
		last.times++
		return last.seq, true, last.times
	}
	if n, newest := r.ways(step, now); n >= MostWays { // it fails in ever other words
		newest.times++
		return newest.seq, true, newest.times
	}
	if last == nil {
		return 0, false, 1
	}
	last.times++
	return 0, false, last.times
}

// fresh tells whether an entry of then still speaks for now. A clock that was set back
// makes none stale.
func fresh(then, now time.Time) bool { return now.Sub(then) < refreshed }

// ways counts the ways in which a step failed that have a fresh entry.
func (r *Known) ways(step string, now time.Time) (n int, newest *repeat) {
	for _, k := range r.known {
		if k.step != step || !fresh(k.at, now) {
			continue
		}
		if n++; newest == nil || k.seq > newest.seq {
			newest = k
		}
	}
	return n, newest
}

// learn takes in what the ledger says that this process has not recorded itself.
func (r *Known) learn(facts *ledger.Facts) {
	if r.known == nil {
		r.known = map[string]*repeat{}
	}
	for _, e := range facts.Stuck {
		way := wayOf(*e)
		if last := r.known[way]; last == nil || last.seq < e.Seq {
			r.known[way] = &repeat{step: stepOf(*e), seq: e.Seq, at: e.Time}
		}
	}
}

// Recorded notes that e is on the ledger.
func (r *Known) Recorded(e ledger.Entry, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]*repeat{}
	}
	r.known[wayOf(e)] = &repeat{step: stepOf(e), seq: e.Seq, at: now}
	if len(r.known) <= mostKnown {
		return
	}
	for way, k := range r.known {
		if !fresh(k.at, now) || len(r.known) > 2*mostKnown {
			delete(r.known, way)
		}
	}
}

// Succeeded forgets what is known of e's step: if it fails again, that is news.
func (r *Known) Succeeded(e ledger.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for way, k := range r.known {
		if k.step == stepOf(e) {
			delete(r.known, way)
		}
	}
}

// Forget lets all failures of ref be news again.
func (r *Known) Forget(ref schemas.Ref) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for way, k := range r.known {
		if strings.HasPrefix(k.step, ref.String()+" ") {
			delete(r.known, way)
		}
	}
}

// stepOf names the step of an entry: a ref under a key, on the tracked branch or in a
// pull request.
func stepOf(e ledger.Entry) string {
	pull := 0
	if e.PullRequest != nil {
		pull = e.PullRequest.Pull
	}
	return fmt.Sprintf("%s %s %d", e.Ref, ledger.KeyOf(e), pull)
}

// wayOf names the way in which a step failed or was refused.
func wayOf(e ledger.Entry) string {
	way := stepOf(e) + " " + string(e.Action)
	if e.Failure != nil {
		way += " " + e.Failure.Cause + " " + ledger.Gist(e.Failure.Message)
	}
	if e.Action == ledger.Deny {
		found, err := digest.JSON(e.PlainFindings())
		if err != nil {
			found = ""
		}
		way += " " + string(e.Policy) + " " + string(found)
	}
	return way
}
