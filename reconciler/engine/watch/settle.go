// Bounds of metrics: a metric of a few rows may be anywhere, so that a bound is broken only where
// chance does not explain it.

package watch

import "math"

const (
	deviations = 1.645 // of one side, which chance passes in one of twenty windows
	fewShares  = 5     // rows a share is of: of fewer Wilson's interval is too narrow
	fewCases   = 10    // of which no deviation is known
	someCases  = 30    // from which on a metric within its bounds is taken at its word
)

// Settle says of each metric of these rows whether its bounds are broken, or whether there are too
// few rows to tell.
func Settle(metrics []Metric, cases []Case) {
	for i := range metrics {
		m, cases := &metrics[i], Usable(metrics[i].Name, cases)
		m.Broken, m.Few = false, false
		if m.Min == nil && m.Max == nil {
			continue
		}
		if m.Value == nil { // no row has what it is of
			m.Few = true
			continue
		}
		v := float64(*m.Value)
		low, high, n := around(m.Name, v, cases)
		outside := func(x, y float64) bool { return m.Min != nil && y < *m.Min || m.Max != nil && x > *m.Max }
		m.Broken = n >= fewShares && outside(low, high)
		crosses := m.Min != nil && low < *m.Min || m.Max != nil && high > *m.Max
		m.Few = !m.Broken && (math.IsNaN(v) || outside(v, v) || n < someCases && crosses)
	}
}

// around is where a metric may lie, by as many rows as it is of: Wilson's interval of a share
// (1927), the deviation of a mean of errors.
func around(metric string, v float64, cases []Case) (low, high, n float64) {
	var positive, answered, right float64
	for _, c := range cases {
		positive += c.Outcome
		answered += c.Answer
		right += c.Answer * c.Outcome
	}
	all := float64(len(cases))
	switch metric {
	case "mae", "rmse":
		return ofErrors(metric, cases)
	case "precision":
		n = answered
	case "recall":
		n = positive
	case "specificity":
		n = all - positive
	case "f1":
		n = answered + positive - right
	case "roc_auc": // of which the rarer class has the say
		n = min(positive, all-positive)
	default:
		n = all
	}
	if math.IsNaN(v) || !(n >= 1) {
		return math.Inf(-1), math.Inf(1), 0
	}
	const z = deviations * deviations
	middle, half := (v+z/(2*n))/(1+z/n), deviations*math.Sqrt(v*(1-v)/n+z/(4*n*n))/(1+z/n)
	return middle - half, middle + half, n
}

// ofErrors is where a mean of errors may lie.
func ofErrors(metric string, cases []Case) (low, high, n float64) {
	n = float64(len(cases))
	if n < fewCases {
		return math.Inf(-1), math.Inf(1), n
	}
	of := func(c Case) float64 {
		d := math.Abs(c.Answer - c.Outcome)
		if metric == "rmse" {
			return d * d
		}
		return d
	}
	mean, squares := 0.0, 0.0
	for _, c := range cases {
		mean += of(c) / n
	}
	for _, c := range cases {
		squares += (of(c) - mean) * (of(c) - mean)
	}
	half := deviations * math.Sqrt(squares/(n-1)/n)
	low, high = mean-half, mean+half
	if metric == "rmse" {
		low, high = math.Sqrt(max(0, low)), math.Sqrt(high)
	}
	return low, high, n
}
