// Best is the selection among candidates: the plan previews it, the act carries it out.

package plan

import (
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// Best is the candidate with the best metric and the entry of its training; among
// equals, the first by name. Without lists those that report no such metric. No
// candidate that does leaves the entry nil.
func Best(candidates map[string]schemas.Ref, by schemas.Selection, made func(schemas.Ref) *ledger.Entry) (best schemas.Ref, trained *ledger.Entry, without []schemas.Ref) {
	for _, name := range slices.Sorted(maps.Keys(candidates)) {
		ref := candidates[name]
		e := made(ref)
		if e == nil {
			continue
		}
		v, ok := e.Metrics[by.Metric]
		if !ok {
			without = append(without, ref)
			continue
		}
		if trained == nil || better(by.Goal, v, trained.Metrics[by.Metric]) {
			best, trained = ref, e
		}
	}
	return best, trained, without
}

func better(goal string, v, than float64) bool {
	if goal == "minimize" {
		return v < than
	}
	return v > than
}
