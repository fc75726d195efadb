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

// TestATrialThatWasAheadIsJudgedByThoseThatCameLater: one that came to a comparison before the others is held against them as it reports
// again, by either rule, also on its way to the next comparison, and by what is recorded meanwhile. Without a report it is not.
func TestATrialThatWasAheadIsJudgedByThoseThatCameLater(t *testing.T) {
	for name, by := range map[string]*schemas.EarlyStop{
		"median": {Metric: "acc", Median: &schemas.MedianStop{After: 2, Every: 10, Trials: 3}},
		"asha":   {Metric: "acc", ASHA: &schemas.ASHAStop{First: 2, Factor: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			trials := New(by)
			goesOn := func(trial string, step int64, value float64) {
				t.Helper()
				trials.Report(trial, step, value)
				if got := trials.Judge(trial); got != nil {
					t.Fatalf("%s at %d: %v", trial, step, got)
				}
			}
			goesOn("ahead", 2, 0.5)
			goesOn("ahead", 3, 0.5)
			goesOn("b", 2, 0.6)
			goesOn("c", 2, 0.7)
			goesOn("best", 2, 0.9)
			recorded := New(by)
			recorded.Report("d", 2, 0.8)
			trials.Know("d", recorded.Checks("d"))
			if got := trials.Judge("ahead"); got != nil {
				t.Errorf("without a report: %v", got)
			}
			trials.Report("ahead", 4, 0.55)
			if got := trials.Judge("ahead"); got == nil || got.Step != 2 || got.Of != 4 || *got.Best != 0.5 {
				t.Errorf("ahead: %v", got)
			}
			goesOn("best", 3, 0.1) // what it had come to by then counts
			goesOn("best", 4, 0.1)
			goesOn("b", 5, 0.95) // it leads by now
		})
	}
}

// TestATrialFarAheadIsJudgedWhereOthersHaveCome: one that is alone at later comparisons is held against the others at the last where there
// are enough of them, by all that it has come to since.
func TestATrialFarAheadIsJudgedWhereOthersHaveCome(t *testing.T) {
	for name, by := range map[string]*schemas.EarlyStop{
		"median": {Metric: "loss", Goal: "minimize", Median: &schemas.MedianStop{Trials: 2}},
		"asha":   {Metric: "loss", Goal: "minimize", ASHA: &schemas.ASHAStop{Factor: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			trials := New(by)
			for _, far := range []string{"behind", "ahead"} {
				trials.Report(far, 1, 9)
			}
			for step := range int64(8) {
				trials.Report("ahead", step+1, 1/float64(step+1))
			}
			for step := range int64(8) {
				trials.Report("behind", step+1, 9-float64(step)/2)
			}
			for _, other := range []string{"b", "c", "d"} {
				trials.Report(other, 1, 4)
				trials.Report(other, 2, 3)
			}
			trials.Forget("ahead") // it has not begun
			if got := trials.Judge("behind"); got == nil || got.Step != 2 || got.Of != 3 || got.Bound != 3 || *got.Best != 8.5 {
				t.Errorf("behind: %v", got)
			}
			trials.Forget("behind")
			trials.Report("ahead", 1, 9)
			trials.Judge("ahead")
			trials.Report("ahead", 8, 1)
			trials.Judge("ahead")
			trials.Report("d", 2, 2)
			trials.Report("e", 2, 2)
			trials.Report("ahead", 9, 1)
			if got := trials.Judge("ahead"); got != nil {
				t.Errorf("ahead: %v", got)
			}
		})
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
