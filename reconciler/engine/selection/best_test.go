// One objective: the best by its goal, and among equals the first by name.

package selection

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

func TestBestIsTheBestByTheDeclaredGoal(t *testing.T) {
	refs := map[string]schemas.Ref{"a": trial("a"), "b": trial("b"), "c": trial("c")}
	for name, c := range map[string]struct {
		goal    string
		metrics map[string]map[string]float64 // nil: not made
		want    string
		without int
	}{
		"highest":              {"maximize", map[string]map[string]float64{"a": {"m": 1}, "b": {"m": 3}, "c": {"m": 2}}, "b", 0},
		"highest by default":   {"", map[string]map[string]float64{"a": {"m": 1}, "b": {"m": 3}}, "b", 0},
		"lowest":               {"minimize", map[string]map[string]float64{"a": {"m": 1}, "b": {"m": 3}, "c": {"m": 2}}, "a", 0},
		"a tie goes by name":   {"maximize", map[string]map[string]float64{"a": {"m": 1}, "b": {"m": 3}, "c": {"m": 3}}, "b", 0},
		"without the metric":   {"maximize", map[string]map[string]float64{"a": {"m": 1}, "b": {"other": 3}, "c": {}}, "a", 2},
		"nobody reports it":    {"maximize", map[string]map[string]float64{"a": {}, "b": {}}, "", 2},
		"not made":             {"maximize", nil, "", 0},
		"negative and minimal": {"minimize", map[string]map[string]float64{"a": {"m": -1}, "b": {"m": 0}}, "a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			best, e, without := Best(refs, schemas.Selection{Metric: "m", Goal: c.goal}, func(r schemas.Ref) *ledger.Entry {
				if m, ok := c.metrics[r.Output]; ok {
					return &ledger.Entry{Ref: r, Metrics: m}
				}
				return nil
			})
			if best.Output != c.want || len(without) != c.without || (e != nil) != (c.want != "") || e != nil && e.Ref != best {
				t.Errorf("best %v, %+v, without %v", best, e, without)
			}
		})
	}
}

func trial(name string) schemas.Ref {
	return schemas.Ref{Kind: schemas.KindTraining, Name: "t", Output: name}
}
