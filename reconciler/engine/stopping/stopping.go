// Package stopping says which trials of a search are ended while they run: those that are behind what the others had come to by the same step.
// It goes by what was reported so far, in the order in which that came; what it decided is recorded, and is never decided anew.
package stopping

import (
	"cmp"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// Trials are those of one search.
type Trials struct {
	by       *schemas.EarlyStop
	known    int // grows with every comparison that any came past
	checks   map[string][]ledger.Check
	best     map[string]*float64 // of each that runs, so far; nil: it has reported no number
	due      map[string]bool     // which have reported since they were judged
	judged   map[string]int      // what was known when each that runs was judged
	compared map[string]int      // how many comparisons of each that runs were behind it then
}

// New has the trials of a search that ends them by a rule.
func New(by *schemas.EarlyStop) *Trials {
	return &Trials{by: by, checks: map[string][]ledger.Check{}, best: map[string]*float64{}, due: map[string]bool{}, judged: map[string]int{}, compared: map[string]int{}}
}

// Know takes in what a trial came to that is recorded.
func (t *Trials) Know(trial string, checks []ledger.Check) {
	t.checks[trial] = checks
	t.known++
}

// Forget takes out a trial that begins anew, or came to nothing.
func (t *Trials) Forget(trial string) {
	delete(t.checks, trial)
	delete(t.best, trial)
	delete(t.due, trial)
	delete(t.judged, trial)
	delete(t.compared, trial)
	t.known++
}

// Checks are what a trial had come to at each comparison.
func (t *Trials) Checks(trial string) []ledger.Check { return t.checks[trial] }

// Report takes in the value of a trial that runs. A value that is no finite number counts as none.
func (t *Trials) Report(trial string, step int64, value float64) {
	if finite := !math.IsNaN(value) && !math.IsInf(value, 0); finite && (t.best[trial] == nil || t.up(&value) > t.up(t.best[trial])) {
		t.best[trial] = &value
	}
	had := t.checks[trial]
	for {
		at, more := t.by.Check(len(had))
		if !more || at > step {
			break
		}
		had = append(had, ledger.Check{Step: at, Best: t.best[trial]})
		t.known++
	}
	t.checks[trial], t.due[trial] = had, true
}

// Judge tells whether a trial that runs is to be ended, once all is taken in that it reported so far. Of the comparisons that it came past,
// the last counts that enough others came past, too: what it had come to at those before says little of where it is. One that came there
// ahead of others went on by the few that were there before it, so whenever it reports again it is held against all that came there since,
// and then with what it has come to by now: who leads is not ended for how it began.
func (t *Trials) Judge(trial string) *ledger.Stopped {
	all, before := len(t.checks[trial]), t.compared[trial]
	if !t.due[trial] {
		return nil
	}
	t.due[trial], t.compared[trial] = false, all
	if t.judged[trial] == t.known {
		return nil
	}
	t.judged[trial] = t.known
	n := t.comparable(trial)
	if n == 0 {
		return nil
	}
	if n < all || n <= before {
		return t.judge(trial, n-1, t.best[trial])
	}
	return t.judge(trial, n-1, t.checks[trial][n-1].Best)
}

// comparable is how many comparisons of a trial's there are up to the last that enough others came past.
func (t *Trials) comparable(trial string) int {
	enough := 1
	if m := t.by.Median; m != nil {
		enough = m.Others()
	}
	var far []int
	for name, checks := range t.checks {
		if name != trial {
			far = append(far, len(checks))
		}
	}
	if len(far) < enough {
		return 0
	}
	slices.Sort(far)
	return min(len(t.checks[trial]), far[len(far)-enough])
}

// up is a value where more is better; none is worse than all.
func (t *Trials) up(v *float64) float64 {
	switch {
	case v == nil:
		return math.Inf(-1)
	case t.by.Maximizes():
		return *v
	}
	return -*v
}

// judge holds a trial, which has come to now, against the others at the nth comparison.
func (t *Trials) judge(trial string, n int, now *float64) *ledger.Stopped {
	own := t.checks[trial][n]
	var others []float64 // the best first
	for name, checks := range t.checks {
		if name != trial && len(checks) > n {
			others = append(others, t.up(checks[n].Best))
		}
	}
	slices.SortFunc(others, func(x, y float64) int { return cmp.Compare(y, x) })
	bound, on := 0.0, 0
	if t.by.Median != nil {
		bound = others[len(others)/2]
		if len(others)%2 == 0 {
			bound = bound/2 + others[len(others)/2-1]/2 // halves, as the sum may be larger than any number
		}
	} else {
		on = max(1, (len(others)+1)/int(t.by.ASHA.Shares()))
		bound = others[on-1] // as many are as good or better: where it is worse, it is not among the best
	}
	if !(t.up(now) < bound) {
		return nil
	}
	if !t.by.Maximizes() {
		bound = 0 - bound // and no zero with a sign
	}
	return &ledger.Stopped{Metric: t.by.Metric, Step: own.Step, Best: own.Best, Bound: bound, Of: len(others), On: on}
}
