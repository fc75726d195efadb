// Package selection says which candidate is the best: the plan previews it, the act carries it out, and the board shows all in its order.
package selection

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// Best is the candidate that is selected and the entry of its training: the one with the best metric, or, with several objectives, the one of
// their Pareto front that the tie-break takes; among equals, the first by name. A trial that was ended early is none of them. Without lists those that do not report all the metrics. No
// candidate that does leaves the entry nil.
func Best(candidates map[string]schemas.Ref, by schemas.Selection, made func(schemas.Ref) *ledger.Entry) (best schemas.Ref, trained *ledger.Entry, without []schemas.Ref) {
	all := by.All()
	var refs []schemas.Ref
	var entries []*ledger.Entry
	var metrics []map[string]float64
	for _, name := range slices.Sorted(maps.Keys(candidates)) {
		ref := candidates[name]
		e := made(ref)
		if e == nil || e.Stopped() != nil {
			continue
		}
		if upward(all, e.Metrics) == nil {
			without = append(without, ref)
			continue
		}
		refs, entries, metrics = append(refs, ref), append(entries, e), append(metrics, e.Metrics)
	}
	if len(refs) == 0 {
		return best, nil, without
	}
	i := Rank(by, metrics)[0].At
	return refs[i], entries[i], without
}

// Ranked is a candidate at its rank.
type Ranked struct {
	At    int  // which one it is, of those that were given
	Front bool // no other one is as good by all objectives and better by one
	far   float64
}

// Rank puts candidates in order, the one that is selected first: those of the front, as the tie-break has it, then the others, and last those
// that do not report all the metrics. Among equals, the order is that in which they were given.
func Rank(by schemas.Selection, metrics []map[string]float64) []Ranked {
	all := by.All()
	out, values := make([]Ranked, len(metrics)), make([][]float64, len(metrics))
	for i, m := range metrics {
		out[i].At, values[i] = i, upward(all, m)
	}
	slices.SortStableFunc(out, func(x, y Ranked) int {
		a, b := values[x.At], values[y.At]
		if a == nil || b == nil {
			return number(a == nil) - number(b == nil)
		}
		return slices.Compare(b, a)
	})
	var front [][]float64 // each once; what comes first in this order is beaten by none that comes later
	at := make([]int, len(out))
	for i, r := range out {
		v := values[r.At]
		switch {
		case v == nil:
		case i > 0 && slices.Equal(v, values[out[i-1].At]):
			out[i].Front = out[i-1].Front
		case !slices.ContainsFunc(front, func(f []float64) bool { return dominates(f, v) }):
			out[i].Front, front = true, append(front, v)
		}
		at[i] = len(front) - 1
	}
	if by.TieBreak == schemas.TieIdeal {
		far := distances(front)
		for i := range out {
			if out[i].Front {
				out[i].far = far[at[i]]
			}
		}
	}
	slices.SortStableFunc(out, func(x, y Ranked) int {
		if x.Front != y.Front {
			return number(y.Front) - number(x.Front)
		}
		return cmp.Compare(x.far, y.far)
	})
	return out
}

// upward are the values that count, where more is better; nil where one is not reported.
func upward(all []schemas.Objective, metrics map[string]float64) []float64 {
	out := make([]float64, len(all))
	for i, o := range all {
		v, there := metrics[o.Metric]
		if !there {
			return nil
		}
		if out[i] = v; !o.Maximizes() {
			out[i] = -v
		}
	}
	return out
}

// dominates tells whether x is as good as y by all objectives, and better by one.
func dominates(x, y []float64) bool {
	better := false
	for i := range x {
		if x[i] < y[i] {
			return false
		}
		better = better || x[i] > y[i]
	}
	return better
}

// distances are how far each of a front is from the best that the front has, squared, where by each objective the worst that it has is at 1.
func distances(front [][]float64) []float64 {
	out := make([]float64, len(front))
	for o := 0; len(front) > 0 && o < len(front[0]); o++ {
		low, high := math.Inf(1), math.Inf(-1)
		for _, v := range front {
			low, high = min(low, v[o]/2), max(high, v[o]/2) // halves, as the span of any two numbers is one
		}
		for i, v := range front {
			if span := high - low; span > 0 {
				d := (high - v[o]/2) / span
				out[i] += float64(d * d) // every kind of processor rounds here
			}
		}
	}
	return out
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
