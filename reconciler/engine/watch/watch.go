// Package watch judges a window of what a deployment is asked and answers: its columns, its
// performance, what gauges say, and all of it together. It is pure: rows come from readers,
// and what is found is evidence that is kept by its digest.
package watch

import (
	"fmt"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// Schema names the form of Evidence.
const Schema = "vishwa.dev/evidence/v1"

// Evidence is all that was found of one window. Equal data gives equal evidence: it holds no
// time of its own.
type Evidence struct {
	Schema     string          `json:"schema"`
	Monitor    schemas.Ref     `json:"monitor"`
	Deployment schemas.Ref     `json:"deployment"`
	Model      digest.Digest   `json:"model,omitempty"` // that was served
	Reference  Data            `json:"reference"`
	Window     Data            `json:"window"`
	FDR        float64         `json:"fdr"`
	Columns    []drift.Column  `json:"columns"`
	Labels     *Coverage       `json:"labels,omitempty"`
	Realized   []Metric        `json:"realized,omitempty"`  // of rows whose outcome is known
	Estimated  []Metric        `json:"estimated,omitempty"` // by the scores alone; never mixed with what is realized
	Gauges     []GaugeReading  `json:"gauges,omitempty"`
	Drift      drift.Verdict   `json:"drift"` // of the columns together
	Verdict    ledger.Standing `json:"verdict"`
	Why        []string        `json:"why,omitempty"`
}

// Data is what one side was read of.
type Data struct {
	From   string        `json:"from"`
	Digest digest.Digest `json:"digest,omitempty"`
	Rows   int64         `json:"rows"`
	First  time.Time     `json:"first,omitzero"` // of the rows' own times
	Last   time.Time     `json:"last,omitzero"`
	Future int64         `json:"future,omitempty"` // rows that were left out: their time has not come
}

// Metric is one number, and what is asked of it.
type Metric struct {
	Name   string        `json:"name"`
	Value  *drift.Number `json:"value"`
	N      int           `json:"n"`
	Min    *float64      `json:"min,omitempty"`
	Max    *float64      `json:"max,omitempty"`
	Broken bool          `json:"broken,omitempty"`
	Few    bool          `json:"few,omitempty"` // rows: whether a bound is broken cannot be told
	// Low and High are where the metric lay in the reference, three deviations to each side.
	Low  *drift.Number `json:"low,omitempty"`
	High *drift.Number `json:"high,omitempty"`
}

// Coverage is how many outcomes have come.
type Coverage struct {
	Rows       int     `json:"rows"`       // that are old enough for their outcome to be there
	Labelled   int     `json:"labelled"`   // whose outcome is there
	Share      float64 `json:"share"`      // of them
	Enough     bool    `json:"enough"`     // to be judged
	Unmatched  int     `json:"unmatched"`  // outcomes of rows that the window does not have
	Duplicates int     `json:"duplicates"` // ids that stand twice: none of their rows counts
	// Least is the share that is asked for, where fewer have come than that: of Overdue rows the outcome should be there by now,
	// and else gates wait for it.
	Least   float64 `json:"least,omitempty"`
	Overdue bool    `json:"overdue,omitempty"`
	// Lag is how late outcomes come that tell when they became known.
	Lag *Lag `json:"lag,omitempty"`
}

// Lag is how late outcomes come, and what of them does not count.
type Lag struct {
	Median  time.Duration `json:"median"`            // from prediction to outcome
	Tail    time.Duration `json:"ninetieth"`         // nine of ten come within it
	Late    int64         `json:"late,omitempty"`    // after the deadline
	Early   int64         `json:"early,omitempty"`   // before their prediction
	Future  int64         `json:"future,omitempty"`  // of a time that has not come
	Changed int64         `json:"changed,omitempty"` // before the deadline: the last counts
}

// lacking says that too few outcomes have come; "" where nothing waits for them.
func (c *Coverage) lacking() string {
	switch {
	case c == nil || c.Least == 0:
		return ""
	case c.Overdue:
		return fmt.Sprintf("outcomes have come for %.0f %% of %s whose outcome is due, and are asked for %.0f %%", 100*c.Share, plural.Of(c.Rows, "row"), 100*c.Least)
	}
	return fmt.Sprintf("outcomes have come for %.0f %% of %s, and gates are judged from %.0f %% on", 100*c.Share, plural.Of(c.Rows, "row"), 100*c.Least)
}

// GaugeReading is what another program measured.
type GaugeReading struct {
	Gauge   string        `json:"gauge"` // prometheus or evidently
	What    string        `json:"what"`  // the query, the file, the column
	Value   *drift.Number `json:"value,omitempty"`
	N       int64         `json:"n"`
	Broken  bool          `json:"broken,omitempty"`
	Unknown string        `json:"unknown,omitempty"` // why there is no value
}

// Judge is the verdict of the window: what is broken comes first, then drift that is new, and a
// window that tells nothing is none of them.
func (e *Evidence) Judge() {
	e.Drift = drift.Whole(e.Columns)
	say := func(s ledger.Standing, why string) {
		if e.Verdict == "" {
			e.Verdict = s
		}
		e.Why = append(e.Why, why)
	}
	for _, c := range e.Columns {
		if c.Verdict == drift.Fault {
			say(ledger.Faulty, "column "+c.Name+": "+c.Why)
		}
	}
	for _, m := range e.Realized {
		if m.Broken {
			say(ledger.Drifted, m.Name+" of the labelled rows is "+text(m.Value)+bounds(m))
		}
	}
	for _, g := range e.Gauges {
		if g.Broken {
			say(ledger.Drifted, g.Gauge+": "+g.What+" is "+text(g.Value))
		}
	}
	for _, c := range e.Columns {
		if c.Verdict == drift.Drift {
			say(ledger.Drifted, "column "+c.Name+" has drifted: "+c.Method+" "+text(c.Score))
		}
	}
	if why := e.Labels.lacking(); why != "" && e.Labels.Overdue {
		say(ledger.Faulty, why)
	} else if why != "" {
		say(ledger.Unknown, why)
	}
	for _, m := range e.Realized {
		if m.Few {
			say(ledger.Unknown, m.Name+" of the labelled rows is "+text(m.Value)+bounds(m)+": they are too few to tell")
		}
	}
	for _, g := range e.Gauges {
		if g.Unknown != "" {
			say(ledger.Unknown, g.Gauge+": "+g.What+": "+g.Unknown)
		}
	}
	switch {
	case e.Verdict != "":
	case e.Drift == drift.Insufficient:
		say(ledger.Unknown, "there is too little to tell")
	default:
		e.Verdict = ledger.Well
	}
}

// Persists tells whether a window's drift is enough to act on: so many windows have drifted,
// this one and those before.
func Persists(now ledger.Standing, before []ledger.Standing, violations int) bool {
	if now != ledger.Drifted {
		return false
	}
	n := 1
	for _, v := range before {
		if v == ledger.Drifted {
			n++
		}
	}
	return n >= violations
}

// Succeed has now come after last, as far as of windows go: windows of a day that are measured
// each hour share most of their rows, and the same rows twice are one finding. last may be nil.
func Succeed(last, now *ledger.Watched, of int) {
	var counted []ledger.Counted
	switch {
	case last == nil:
	case last.Evidence == now.Evidence: // the same window again
		now.Counted, now.Before = last.Counted, last.Before[:min(len(last.Before), of-1)]
		return
	case last.Counted == nil && last.First.IsZero(): // of before windows had times, or they have none
		counted = append(counted, ledger.Counted{Verdict: last.Verdict})
		for _, v := range last.Before {
			counted = append(counted, ledger.Counted{Verdict: v})
		}
	default:
		counted = slices.Clone(last.Counted)
		was := ledger.Counted{Verdict: last.Verdict, First: last.First, Last: last.Last}
		if len(counted) == 0 || !overlap(was, counted[0]) {
			counted = append([]ledger.Counted{was}, counted...)
		} else if !was.First.Before(counted[0].First) && !was.Last.After(counted[0].Last) { // the same time again, of other rows
			counted[0] = was
		}
	}
	this := ledger.Counted{First: now.First, Last: now.Last}
	now.Before = nil
	for _, c := range counted {
		if !overlap(c, this) && len(now.Before) < of-1 {
			now.Before = append(now.Before, c.Verdict)
		}
	}
	now.Counted = counted[:min(len(counted), of)]
}

// overlap tells whether two windows may have rows in common. Of those without times nobody can
// tell, and each is its own.
func overlap(a, b ledger.Counted) bool {
	return !a.First.IsZero() && !b.First.IsZero() && !a.First.After(b.Last) && !b.First.After(a.Last)
}
