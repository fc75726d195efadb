// Labels come late: what came of a prediction is joined to its row by id, and how many have
// come, and how late, is said.

package predictions

import (
	"slices"
	"time"
)

// Outcome is what came of a prediction.
type Outcome struct {
	ID    string
	Value Value
	At    time.Time // when it became known; zero: not told
}

// Labels are outcomes by ID. Of several of one id the last before the deadline counts; of
// those that tell no time, the last that was added. An id takes some hundred bytes.
type Labels struct {
	within  time.Duration
	by      time.Time // when it is; zero: not to be looked at
	of      map[string][]stamped
	added   int64
	texts   map[string]string // one copy of a class that comes again and again
	matched map[string]int    // how many predictions an id has
	report  Coverage
	lags    []time.Duration
}

type stamped struct {
	at    time.Time
	value Value
}

// mostLags are kept to tell the median and the tail of how late labels are.
const mostLags = 1 << 16

// Coverage says how a log and its labels fit together.
type Coverage struct {
	Predictions int64         `json:"predictions"`            // rows that could have a label
	Labelled    int64         `json:"labelled"`               // of them, those that have one
	Pending     int64         `json:"pending,omitempty"`      // without one, whose time is not over
	Labels      int64         `json:"labels"`                 // outcomes that were read
	Orphans     int64         `json:"orphans,omitempty"`      // ids that no prediction has
	Changed     int64         `json:"changed,omitempty"`      // predictions whose label changed before the deadline: the last counts
	Repeated    int64         `json:"repeated,omitempty"`     // outcomes that say again what was known
	Late        int64         `json:"late,omitempty"`         // outcomes after the deadline, which count for nothing
	Early       int64         `json:"early,omitempty"`        // outcomes from before the prediction, which count for nothing
	Future      int64         `json:"future,omitempty"`       // outcomes of a time that has not come, which count for nothing
	Nameless    int64         `json:"nameless,omitempty"`     // outcomes without an id or a value
	Twice       int64         `json:"twice,omitempty"`        // predictions of an id that was met before: each has the label
	LagMedian   time.Duration `json:"lagMedian,omitempty"`    // from prediction to label
	LagTail     time.Duration `json:"lagNinetieth,omitempty"` // nine of ten labels come within it
}

// Share is the part of the predictions that has a label; 0 of none.
func (c Coverage) Share() float64 {
	if c.Predictions == 0 {
		return 0
	}
	return float64(c.Labelled) / float64(c.Predictions)
}

// NewLabels are none yet. A label counts where it comes within this time of its prediction;
// zero is without a bound.
func NewLabels(within time.Duration) *Labels {
	return &Labels{within: within, of: map[string][]stamped{}, texts: map[string]string{}, matched: map[string]int{}}
}

// By says when it is: an outcome that says to have become known later counts for nothing yet.
func (l *Labels) By(now time.Time) *Labels {
	l.by = now
	return l
}

// Add takes an outcome in. All are added before the first prediction is joined.
func (l *Labels) Add(o Outcome) {
	l.report.Labels++
	if o.ID == "" || o.Value.Kind == Null {
		l.report.Nameless++
		return
	}
	if o.Value.Kind == Text {
		if same, ok := l.texts[o.Value.text]; ok {
			o.Value.text = same
		} else if len(l.texts) < 1<<16 {
			l.texts[o.Value.text] = o.Value.text
		}
	}
	id := ID([]byte(o.ID))
	l.of[id] = append(l.of[id], stamped{o.At, o.Value})
}

// Join finds the label of a prediction; false where it has none yet. Of one that tells no time
// no label is early or late. now says whether one may
// still come.
func (l *Labels) Join(id string, predicted, now time.Time) (Value, bool) {
	l.report.Predictions++
	id = ID([]byte(id))
	deadline, timed := predicted.Add(l.within), !predicted.IsZero()
	var found *stamped
	known := l.of[id]
	if l.matched[id]++; l.matched[id] > 1 {
		l.report.Twice++
	}
	first := l.matched[id] == 1 // what is odd about its labels is counted once
	changed := false
	for i := range known {
		o := &known[i]
		switch {
		case !l.by.IsZero() && o.at.After(l.by):
			l.count(first, &l.report.Future)
		case timed && !o.at.IsZero() && o.at.Before(predicted):
			l.count(first, &l.report.Early)
		case timed && l.within > 0 && !o.at.IsZero() && o.at.After(deadline):
			l.count(first, &l.report.Late)
		case found == nil:
			found = o
		default:
			if o.value.same(found.value) {
				l.count(first, &l.report.Repeated)
			} else {
				changed = true
			}
			if !o.at.Before(found.at) {
				found = o
			}
		}
	}
	if changed {
		l.count(first, &l.report.Changed)
	}
	if found == nil {
		if l.within == 0 || timed && now.Before(deadline) {
			l.report.Pending++
		}
		return Value{}, false
	}
	l.report.Labelled++
	if timed && !found.at.IsZero() {
		l.late(found.at.Sub(predicted))
	}
	return found.value, true
}

func (l *Labels) count(first bool, n *int64) {
	if first {
		*n++
	}
}

// late keeps lags; of more than are kept, every second, fourth and so on.
func (l *Labels) late(lag time.Duration) {
	if l.added++; len(l.lags) < mostLags {
		l.lags = append(l.lags, lag)
		return
	}
	// By a fixed walk through what is kept: the same log gives the same figures.
	l.lags[(uint64(l.added)*0x9e3779b97f4a7c15)>>48] = lag
}

// Coverage tells how it went so far.
func (l *Labels) Coverage() Coverage {
	c := l.report
	for id := range l.of {
		if l.matched[id] == 0 {
			c.Orphans++
		}
	}
	if n := len(l.lags); n > 0 {
		sorted := slices.Sorted(slices.Values(l.lags))
		c.LagMedian, c.LagTail = sorted[(n-1)/2], sorted[(n-1)*9/10]
	}
	return c
}
