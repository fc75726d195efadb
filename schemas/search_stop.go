// Early stopping: trials of a search that are behind the others are ended while they run, by what they print. Which rule it is goes into the
// keys of the trials: what came of a trial under another rule, or under none, is another thing.

package schemas

import "math"

// EarlyStop ends trials that are behind the others, by the lines that they print while they run. What was ended so is recorded, is not run again, and is never selected.
type EarlyStop struct {
	// Metric is the dotted name of a metric in the lines that a running trial prints, such as valid.rmse.
	Metric string `json:"metric" jsonschema:"required,minLength=1" part:"recipe"`
	// Goal is the direction of better.
	Goal string `json:"goal,omitempty" jsonschema:"enum=maximize,enum=minimize,default=maximize" part:"recipe"`
	// Median ends a trial that is worse than the median of the others.
	Median *MedianStop `json:"median,omitempty" part:"recipe"`
	// ASHA lets only the best part of the trials go on from each comparison (asynchronous successive halving).
	ASHA *ASHAStop `json:"asha,omitempty" part:"recipe"`
}

// MedianStop ends a trial whose best value by a step is worse than the median of the best values that the others had by that step.
type MedianStop struct {
	// After is the first step at which trials are compared.
	After int64 `json:"after,omitempty" jsonschema:"minimum=1,maximum=1000000000,default=1" part:"recipe"`
	// Every is how many steps lie between two comparisons.
	Every int64 `json:"every,omitempty" jsonschema:"minimum=1,maximum=1000000000,default=1" part:"recipe"`
	// Trials is how many others must have come as far before one is ended.
	Trials int `json:"trials,omitempty" jsonschema:"minimum=1,maximum=10000,default=4" part:"recipe"`
}

// ASHAStop compares trials at the step first, and then each time at factor times the step before. A trial goes on where its best value is among the best one in factor of those that came as far.
type ASHAStop struct {
	// First is the step of the first comparison.
	First int64 `json:"first,omitempty" jsonschema:"minimum=1,maximum=1000000000,default=1" part:"recipe"`
	// Factor is how many times as far the next comparison is, and one in how many goes on.
	Factor int64 `json:"factor,omitempty" jsonschema:"minimum=2,maximum=100,default=3" part:"recipe"`
}

// MostChecks is how often a trial is compared at most.
const MostChecks = 256

// Maximizes tells whether more of the metric is better.
func (s *EarlyStop) Maximizes() bool { return s.Goal != "minimize" }

// Check is the step of the nth comparison, from 0; false where there is none any more.
func (s *EarlyStop) Check(n int) (step int64, more bool) {
	if n >= MostChecks {
		return 0, false
	}
	if m := s.Median; m != nil {
		return max(1, m.After) + int64(n)*max(1, m.Every), true
	}
	first, factor := int64(1), s.ASHA.Shares()
	if s.ASHA != nil {
		first = max(1, s.ASHA.First)
	}
	for ; n > 0; n-- {
		if first > math.MaxInt64/factor {
			return 0, false
		}
		first *= factor
	}
	return first, true
}

// Shares is one in how many goes on.
func (a *ASHAStop) Shares() int64 {
	if a == nil || a.Factor < 2 {
		return 3
	}
	return a.Factor
}

// Others is how many others must have come as far before a trial is ended.
func (m *MedianStop) Others() int {
	if m.Trials < 1 {
		return 4
	}
	return m.Trials
}

// StopsEarly is what may end trials early.
type StopsEarly interface {
	// Stop is the rule; nil where there is none.
	Stop() *EarlyStop
}

// Stop implements StopsEarly.
func (s *Training) Stop() *EarlyStop {
	if s.Search == nil {
		return nil
	}
	return s.Search.Stop
}

func (s *EarlyStop) check(d *document, external bool) {
	if s == nil {
		return
	}
	if (s.Median == nil) == (s.ASHA == nil) {
		d.problem("spec.search.stop", "needs one of median and asha")
	}
	if external {
		d.problem("spec.search.stop", "needs what a command prints while it runs, and spec.external begins none; remove one of them")
	}
}
