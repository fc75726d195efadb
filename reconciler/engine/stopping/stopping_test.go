package stopping

import (
	"math"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

type report struct {
	trial string
	step  int64
	value float64
	stops string // a part of why, "" goes on
}

// TestTrialsThatAreBehindAreStopped: by the median of those that came as far, or where they are not among the best; what has no
// number is behind all that have one.
func TestTrialsThatAreBehindAreStopped(t *testing.T) {
	median := &schemas.EarlyStop{Metric: "loss", Goal: "minimize", Median: &schemas.MedianStop{After: 2, Every: 2, Trials: 2}}
	asha := &schemas.EarlyStop{Metric: "acc", ASHA: &schemas.ASHAStop{First: 2, Factor: 2}}
	for name, c := range map[string]struct {
		by      *schemas.EarlyStop
		reports []report
	}{
		"median: too few others": {median, []report{{"a", 2, 0.1, ""}, {"b", 2, 9, ""}}},
		"median: before after":   {median, []report{{"a", 2, 0.1, ""}, {"b", 2, 0.2, ""}, {"c", 1, 9, ""}}},
		"median: worse":          {median, []report{{"a", 2, 0.1, ""}, {"b", 2, 0.3, ""}, {"c", 2, 0.21, "stopped early at step 2: loss came to 0.21, and the median of 2 other trials that came as far is 0.2"}}},
		"median: as good":        {median, []report{{"a", 2, 0.2, ""}, {"b", 2, 0.2, ""}, {"c", 2, 0.2, ""}}},
		"median: best so far":    {median, []report{{"a", 2, 0.2, ""}, {"b", 2, 0.2, ""}, {"c", 1, 0.1, ""}, {"c", 2, 5, ""}, {"a", 4, 0.01, ""}, {"b", 4, 0.02, ""}, {"c", 4, 5, "step 4"}}},
		"median: no number":      {median, []report{{"a", 2, 0.2, ""}, {"b", 2, 0.2, ""}, {"c", 2, math.NaN(), "came to no number"}}},
		"median: none has one":   {median, []report{{"a", 2, math.NaN(), ""}, {"b", 2, math.Inf(1), ""}, {"c", 2, math.NaN(), ""}}},
		"median: once a check":   {median, []report{{"a", 2, 0.1, ""}, {"b", 2, 0.1, ""}, {"c", 3, 0.1, ""}, {"c", 3, 9, ""}}},
		"asha: first of all":     {asha, []report{{"a", 2, 0.1, ""}}},
		"asha: half go on": {asha, []report{{"a", 2, 0.5, ""}, {"b", 2, 0.4, "1 of the 2 trials"}, {"c", 2, 0.6, ""},
			{"d", 2, 0.55, ""}, {"e", 2, 0.54, "stopped early at step 2: acc came to 0.54, and 2 of the 5 trials that came as far go on, from 0.55"}}},
		"asha: a tie goes on":         {asha, []report{{"a", 2, 0.5, ""}, {"b", 2, 0.5, ""}}},
		"asha: the next comparison":   {asha, []report{{"a", 2, 0.5, ""}, {"a", 4, 0.7, ""}, {"b", 2, 0.6, ""}, {"b", 3, 0.6, ""}, {"b", 4, 0.65, "step 4"}}},
		"asha: comparisons passed by": {asha, []report{{"a", 2, 0.5, ""}, {"a", 4, 0.7, ""}, {"b", 5, 0.65, "step 4"}}},
		"asha: no number":             {asha, []report{{"a", 2, math.NaN(), ""}, {"b", 2, 0.1, ""}, {"c", 2, math.NaN(), "no number"}}},
	} {
		t.Run(name, func(t *testing.T) {
			trials := New(c.by)
			for _, r := range c.reports {
				trials.Report(r.trial, r.step, r.value)
				got := trials.Judge(r.trial)
				if (got != nil) != (r.stops != "") || got != nil && !strings.Contains(got.String(), r.stops) {
					t.Errorf("%v: %v", r, got)
				}
			}
		})
	}
}

// TestWhatIsRecordedDecides: trials that were recorded count as those that run, whatever became of them, and one that begins anew counts from
// its beginning.
func TestWhatIsRecordedDecides(t *testing.T) {
	by := &schemas.EarlyStop{Metric: "acc", ASHA: &schemas.ASHAStop{}}
	first := New(by)
	first.Report("a", 1, 0.9)
	first.Report("a", 3, 0.95)
	second := New(by)
	second.Know("a", first.Checks("a"))
	second.Report("b", 1, 0.8)
	if got := second.Judge("b"); got == nil || got.Of != 1 || got.Bound != 0.9 {
		t.Errorf("against what is recorded: %v", got)
	}
	second.Forget("b")
	second.Report("b", 1, 0.91)
	if got := second.Judge("b"); got != nil {
		t.Errorf("begun anew: %v", got)
	}
	if got := second.Checks("b"); len(got) != 1 || *got[0].Best != 0.91 {
		t.Errorf("%v", got)
	}
}

// TestATrialIsJudgedByWhereItIs: one that is found as it runs, or whose lines come many at a time, is judged by the last comparison that it
// came past, and once by each.
func TestATrialIsJudgedByWhereItIs(t *testing.T) {
	trials := New(&schemas.EarlyStop{Metric: "loss", Goal: "minimize", Median: &schemas.MedianStop{}})
	for _, other := range []string{"a", "b", "c", "d"} {
		for step := range int64(10) {
			trials.Report(other, step+1, 1)
		}
	}
	for step := range int64(10) { // worse than all others at first, and then better than any
		trials.Report("slow", step+1, 10/float64((step+1)*(step+1)))
	}
	if got := trials.Judge("slow"); got != nil {
		t.Errorf("the best of all: %v", got)
	}
	for _, other := range []string{"a", "b", "c", "d"} {
		trials.Report(other, 10, 0.01)
		trials.Report(other, 11, 0.01)
	}
	if got := trials.Judge("slow"); got != nil {
		t.Errorf("judged twice by one comparison: %v", got)
	}
	trials.Report("slow", 11, 1)
	if got := trials.Judge("slow"); got == nil || got.Step != 11 {
		t.Errorf("behind by now: %v", got)
	}
}

// TestComparisonsEnd: what is recorded of a trial has a bound, by any declaration.
func TestComparisonsEnd(t *testing.T) {
	for _, by := range []*schemas.EarlyStop{
		{ASHA: &schemas.ASHAStop{First: 1e9, Factor: 100}},
		{ASHA: &schemas.ASHAStop{First: 1, Factor: 2}},
		{Median: &schemas.MedianStop{}},
		{},
	} {
		trials := New(by)
		trials.Report("a", math.MaxInt64, 1)
		if n := len(trials.Checks("a")); n == 0 || n > schemas.MostChecks {
			t.Errorf("%+v: %d", by, n)
		}
	}
}
