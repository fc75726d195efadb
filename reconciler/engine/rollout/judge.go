// Package rollout decides how a new release goes on beside the one that serves: from its declared
// steps, from what is recorded of it, from what was seen of both, and from the time. It is pure.
package rollout

import (
	"fmt"
	"math"

	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Sample is what was seen of one release by one metric: how many values there were, and what they
// came to. Values are such that less is better, as 1 for a request that failed and 0 for another.
type Sample struct {
	N       int64   `json:"n"`
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`           // the sum of their squares
	Unknown int64   `json:"unknown,omitempty"` // values besides these that there are and that nobody knows
}

// Add takes in a value. One that is no number says nothing, and is left out.
func (s *Sample) Add(value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	s.N, s.Sum, s.Squares = s.N+1, s.Sum+value, s.Squares+value*value
}

// Share is the sample of hits among n requests.
func Share(hits, n int64) Sample { return Sample{N: n, Sum: float64(hits), Squares: float64(hits)} }

// Mean is the mean value; of no values it is not a number.
func (s Sample) Mean() float64 { return s.Sum / float64(s.N) }

// variance of the values. Two are thought to have been seen besides, the least and the greatest
// possible: so a metric of which nothing bad was seen yet is not taken to be free of it.
func (s Sample) variance(t Test) float64 {
	n := float64(s.N) + 2
	sum, squares := s.Sum, s.Squares
	sum += t.Least + t.Most
	squares += t.Least*t.Least + t.Most*t.Most
	return max(0, squares/n-sum/n*sum/n)
}

// Test compares the means of two releases, as often as anybody looks.
type Test struct {
	Alpha  float64 // how often at most it errs, whenever and however often it is asked
	Margin float64 // how much worse the new release may be
	// Least and Most are the bounds of a value: 0 and 1 for what a request is or is not.
	Least, Most float64
}

// Values of a test that a declaration does not choose.
const (
	// DefaultAlpha is how often a verdict may be wrong.
	DefaultAlpha = 0.05
	// tuned is for how many values of each release the interval is the narrowest.
	tuned = 2000
	// fewest values of each are asked for before anything is said: the interval holds for means of many.
	fewest = 50
)

// Interval is how much worse the new release is, and how far that may be off.
type Interval struct {
	Worse  float64 `json:"worse"`
	Radius float64 `json:"radius"`
}

// Low and High are the ends of the interval.
func (i Interval) Low() float64  { return i.Worse - i.Radius }
func (i Interval) High() float64 { return i.Worse + i.Radius }

// Compare is the interval that holds the true difference of means with probability 1 - Alpha at all
// times at once; false while too little was seen of either.
//
// It is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
// (Time-uniform central limit theory and asymptotic confidence sequences, 2021), for a difference of means. For
// releases of which not equally much was seen, t is the harmonic mean of their counts.
func (t Test) Compare(canary, baseline Sample) (Interval, bool) {
	if canary.N < fewest || baseline.N < fewest {
		return Interval{}, false
	}
	a, b := float64(canary.N), float64(baseline.N)
	n := 2 * a * b / (a + b)
	spread := n * (max(canary.variance(t), t.bare(baseline))/a + baseline.variance(t)/b)
	out := Interval{canary.Mean() - baseline.Mean(), t.radius(n, spread)}
	if math.IsNaN(out.Worse) || math.IsNaN(out.Radius) {
		return Interval{}, false
	}
	return out, true
}

// Pairs is the interval that holds the true mean of s with probability 1 - Alpha at all times at once; false while too little was seen. Its
// values are how much worse the new release's answer to a request is than the old one's to the same request.
func (t Test) Pairs(s Sample) (Interval, bool) {
	if s.N < fewest {
		return Interval{}, false
	}
	spread := s.variance(t)
	if p := min(max(t.Margin, 0), 1); t.Most == 1 { // that of one that is worse by just the margin, as with Compare
		spread = max(spread, p*(1-p))
	}
	out := Interval{s.Mean(), t.radius(float64(s.N), spread)}
	return out, !math.IsNaN(out.Worse) && !math.IsNaN(out.Radius)
}

// radius is that of the interval around a mean of n values with a variance.
func (t Test) radius(n, variance float64) float64 {
	l := -2 * math.Log(t.Alpha)
	rho := (l + math.Log(1+l)) / tuned
	return math.Sqrt(variance) * math.Sqrt(2*(n*rho+1)/(n*n*rho)*math.Log(math.Sqrt(n*rho+1)/t.Alpha))
}

// bare is the variance that a new release would have which is worse by just the margin, where values say what a
// request is or is not: of one that had luck with its first requests, its own variance tells too little.
func (t Test) bare(baseline Sample) float64 {
	if t.Least != 0 || t.Most != 1 || baseline.Sum != baseline.Squares {
		return 0
	}
	p := min(max(baseline.Mean()+t.Margin, 0), 1)
	return p * (1 - p)
}

// Verdict is what can be said of a new release by one metric.
type Verdict string

const (
	Undecided   Verdict = "undecided"    // too little was seen, or it may be either
	NonInferior Verdict = "non-inferior" // it is not worse by more than the margin
	Inferior    Verdict = "inferior"     // it is
)

// Judge says what canary is against baseline. Nothing seen is never success.
func (t Test) Judge(canary, baseline Sample) (Verdict, string) {
	i, told := t.Compare(canary, baseline)
	if !told {
		return Undecided, fmt.Sprintf("%d and %d values were seen, and %d of each are needed", canary.N, baseline.N, fewest)
	}
	return t.verdict(i), fmt.Sprintf("%.4g against %.4g: worse by %.3g to %.3g, with a margin of %.3g", canary.Mean(), baseline.Mean(), i.Low(), i.High(), t.Margin)
}

// JudgePairs says what a release is by what it answered to requests that another one answered too. Nothing seen is never success, and what is not
// known is evidence for neither: a release is worse by what was seen alone, and no worse only if what was not seen cannot change that. So nobody
// decides anything by keeping requests from being compared.
func (t Test) JudgePairs(s Sample) (Verdict, string) {
	i, told := t.Pairs(s)
	if !told {
		return Undecided, fmt.Sprintf("%d pairs of answers were seen, and %d are needed%s", s.N, fewest, besides(s))
	}
	verdict := t.verdict(i)
	says := fmt.Sprintf("%.4g on average over %d pairs: worse by %.3g to %.3g, with a margin of %.3g", s.Mean(), s.N, i.Low(), i.High(), t.Margin)
	if verdict != NonInferior || s.Unknown == 0 {
		return verdict, says
	}
	if j, told := t.Pairs(s.worst(t)); !told || t.verdict(j) != NonInferior {
		return Undecided, says + besides(s) + ": if these were worse, so would be the release"
	}
	return verdict, says
}

// worst is s as it were if all that is not known of it were as bad as may be.
func (s Sample) worst(t Test) Sample {
	n := float64(s.Unknown)
	return Sample{N: s.N + s.Unknown, Sum: s.Sum + n*t.Most, Squares: s.Squares + n*t.Most*t.Most}
}

// besides tells of what is not known of s.
func besides(s Sample) string {
	if s.Unknown == 0 {
		return ""
	}
	return fmt.Sprintf("; %s could not be compared", plural.Of(s.Unknown, "more request"))
}

func (t Test) verdict(i Interval) Verdict {
	switch {
	case i.Low() > t.Margin:
		return Inferior
	case i.High() < t.Margin:
		return NonInferior
	default:
		return Undecided
	}
}
