// Performance: of rows whose outcome is known, and, apart from it, as a classifier's own
// scores would have it once they are calibrated (CBPE, as NannyML has it).

package watch

import (
	"cmp"
	"math"
	"slices"
)

// Case is one row with what the model answered.
type Case struct {
	Score    float64 // of the positive class; NaN: there is none
	Answer   float64 // of a regression, or 1 and 0 of a class
	Outcome  float64 // the same of what came true
	Labelled bool
	// Missed says that the answer and what came true are different classes, neither of which is the positive one.
	Missed bool
}

// Usable are the cases that a metric can be of: those with an answer, or for roc_auc with a score.
func Usable(metric string, cases []Case) []Case {
	lacks := func(c Case) bool {
		return math.IsNaN(c.Outcome) || metric == "roc_auc" && math.IsNaN(c.Score) || metric != "roc_auc" && math.IsNaN(c.Answer)
	}
	if !slices.ContainsFunc(cases, lacks) {
		return cases
	}
	return slices.DeleteFunc(slices.Clone(cases), lacks)
}

// Realized is a metric of the labelled rows; NaN where it has no value, as recall where nothing
// is positive.
func Realized(metric string, cases []Case) float64 {
	var tp, fp, tn, fn, n, missed, abs, squares float64
	for _, c := range cases {
		n++
		if c.Missed {
			missed++
		}
		d := c.Answer - c.Outcome
		abs += math.Abs(d)
		squares += d * d
		switch {
		case c.Answer == 1 && c.Outcome == 1:
			tp++
		case c.Answer == 1:
			fp++
		case c.Outcome == 1:
			fn++
		default:
			tn++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	switch metric {
	case "mae":
		return abs / n
	case "rmse":
		return math.Sqrt(squares / n)
	case "roc_auc":
		return area(cases, func(c Case) float64 { return c.Outcome })
	case "accuracy":
		return (tp + tn - missed) / n
	}
	return confusion(metric, tp, fp, tn, fn)
}

// confusion is a metric of counts, which may be expected ones.
func confusion(metric string, tp, fp, tn, fn float64) float64 {
	switch metric {
	case "accuracy":
		return (tp + tn) / (tp + fp + tn + fn)
	case "precision":
		return tp / (tp + fp)
	case "recall":
		return tp / (tp + fn)
	case "specificity":
		return tn / (tn + fp)
	case "f1":
		return 2 * tp / (2*tp + fp + fn)
	}
	return math.NaN()
}

// area is the area below the ROC curve where each row is positive by a weight from 0 to 1; rows
// of one score count as one step.
func area(cases []Case, positive func(Case) float64) float64 {
	order := slices.Clone(cases)
	for _, c := range order {
		if math.IsNaN(c.Score) {
			return math.NaN()
		}
	}
	slices.SortFunc(order, func(a, b Case) int { return cmp.Compare(a.Score, b.Score) })
	var below, pos, neg, sum float64
	for i := 0; i < len(order); {
		var p, n float64
		j := i
		for ; j < len(order) && order[j].Score == order[i].Score; j++ {
			w := positive(order[j])
			p += w
			n += 1 - w
		}
		sum += p * (below + n/2)
		below += n
		pos, neg = pos+p, neg+n
		i = j
	}
	return sum / (pos * neg)
}

// Calibration maps a score to the share of outcomes that came true: isotonic regression, by
// pooling neighbours that are out of order.
type Calibration struct{ from, to, share []float64 }

// Calibrate fits labelled rows of the reference.
func Calibrate(cases []Case) Calibration {
	order := slices.Clone(cases)
	slices.SortFunc(order, func(a, b Case) int { return cmp.Compare(a.Score, b.Score) })
	type pool struct{ from, to, sum, n float64 }
	var pools []pool
	for i := 0; i < len(order); {
		p := pool{from: order[i].Score, to: order[i].Score}
		for ; i < len(order) && order[i].Score == p.from; i++ {
			p.sum += order[i].Outcome
			p.n++
		}
		for len(pools) > 0 && pools[len(pools)-1].sum*p.n >= p.sum*pools[len(pools)-1].n {
			last := pools[len(pools)-1]
			p = pool{last.from, p.to, last.sum + p.sum, last.n + p.n}
			pools = pools[:len(pools)-1]
		}
		pools = append(pools, p)
	}
	var c Calibration
	for _, p := range pools {
		c.from, c.to, c.share = append(c.from, p.from), append(c.to, p.to), append(c.share, p.sum/p.n)
	}
	return c
}

// At is the calibrated score: between two pools it is linear, and beyond the ends it is theirs.
func (c Calibration) At(score float64) float64 {
	if len(c.share) == 0 {
		return math.NaN()
	}
	i, _ := slices.BinarySearch(c.to, score)
	switch {
	case i == len(c.to):
		return c.share[i-1]
	case score >= c.from[i] || i == 0:
		return c.share[i]
	}
	f := (score - c.to[i-1]) / (c.from[i] - c.to[i-1])
	return c.share[i-1] + f*(c.share[i]-c.share[i-1])
}

// Estimated is a metric as the calibrated scores have it: each row counts as positive by its
// chance to be. It holds as long as what is asked changes, and not what comes of it.
func Estimated(metric string, cases []Case, by Calibration) float64 {
	if metric == "roc_auc" {
		return area(cases, func(c Case) float64 { return by.At(c.Score) })
	}
	var tp, fp, tn, fn float64
	for _, c := range cases {
		p := by.At(c.Score)
		if c.Answer == 1 {
			tp, fp = tp+p, fp+1-p
		} else {
			fn, tn = fn+p, tn+1-p
		}
	}
	return confusion(metric, tp, fp, tn, fn)
}

// Band is where a metric lay in ten chunks of the reference: three deviations around its mean.
func Band(metric string, reference []Case) (low, high float64) {
	const chunks = 10
	size := len(reference) / chunks
	if size < 10 {
		return math.NaN(), math.NaN()
	}
	var values []float64
	for i := range chunks {
		if v := Realized(metric, reference[i*size:(i+1)*size]); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) < 6 {
		return math.NaN(), math.NaN()
	}
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	d := 3 * math.Sqrt(squares/float64(len(values)-1))
	return mean - d, mean + d
}
