// Of several objectives, one of the front is selected, the same one whatever the order of the candidates, their scale and their number.

package selection

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

func twoObjectives(tie string) schemas.Selection {
	return schemas.Selection{Metric: "auc", Objectives: []schemas.Objective{{Metric: "ms", Goal: "minimize"}}, TieBreak: tie}
}

func TestOneOfTheFrontIsSelected(t *testing.T) {
	metrics := map[string]map[string]float64{
		"precise":   {"auc": 0.95, "ms": 90},
		"balanced":  {"auc": 0.93, "ms": 20},
		"quick":     {"auc": 0.80, "ms": 5},
		"dominated": {"auc": 0.92, "ms": 21},
		"alone":     {"auc": 0.99},
	}
	refs := map[string]schemas.Ref{}
	for name := range metrics {
		refs[name] = schemas.Ref{Kind: schemas.KindTraining, Name: "t", Output: name}
	}
	made := func(r schemas.Ref) *ledger.Entry { return &ledger.Entry{Ref: r, Metrics: metrics[r.Output]} }
	for tie, want := range map[string]string{"order": "precise", schemas.TieIdeal: "balanced"} {
		best, e, without := Best(refs, twoObjectives(tie), made)
		if best.Output != want || e == nil || len(without) != 1 || without[0].Output != "alone" {
			t.Errorf("%s selects %s, want %s; without %v", tie, best, want, without)
		}
	}
	var front []string
	names := []string{"precise", "balanced", "quick", "dominated", "alone"}
	var all []map[string]float64
	for _, n := range names {
		all = append(all, metrics[n])
	}
	ranked := Rank(twoObjectives(schemas.TieIdeal), all)
	for _, r := range ranked {
		if r.Front {
			front = append(front, names[r.At])
		}
	}
	if !slices.Equal(front, []string{"balanced", "quick", "precise"}) && !slices.Equal(front, []string{"balanced", "precise", "quick"}) {
		t.Errorf("the front is %q", front)
	}
	if names[ranked[len(ranked)-1].At] != "alone" {
		t.Error("what does not report a metric is not last")
	}
}

// TestWhatIsSelectedIsOnTheFront: for any numbers, and whichever candidate comes first.
func TestWhatIsSelectedIsOnTheFront(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		value := rapid.OneOf(rapid.Float64Range(-3, 3), rapid.SampledFrom([]float64{0, 1, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64}))
		all := make([]map[string]float64, n)
		for i := range all {
			all[i] = map[string]float64{"auc": value.Draw(t, "auc"), "ms": value.Draw(t, "ms")}
		}
		by := twoObjectives(rapid.SampledFrom([]string{"order", schemas.TieIdeal}).Draw(t, "tie"))
		ranked := Rank(by, all)
		best := all[ranked[0].At]
		for _, other := range all {
			if dominates(upward(by.All(), other), upward(by.All(), best)) {
				t.Fatalf("%v is selected, and %v is better", best, other)
			}
		}
		for _, r := range ranked {
			beaten := slices.ContainsFunc(all, func(o map[string]float64) bool { return dominates(upward(by.All(), o), upward(by.All(), all[r.At])) })
			if r.Front == beaten {
				t.Fatalf("%v: on the front %v, beaten %v", all[r.At], r.Front, beaten)
			}
		}
		slices.Reverse(all)
		if again := all[Rank(by, all)[0].At]; again["auc"] != best["auc"] || again["ms"] != best["ms"] {
			t.Fatalf("in another order %v is selected, not %v", again, best)
		}
	})
}

func TestAFrontOfTenThousandIsRankedAtOnce(t *testing.T) {
	all := make([]map[string]float64, 10_000)
	for i := range all { // each tenth is on the front
		all[i] = map[string]float64{"auc": float64(i / 10 * 10), "ms": float64(i/10*10 + i%10)}
	}
	began := time.Now()
	front := 0
	for _, r := range Rank(twoObjectives(schemas.TieIdeal), all) {
		if r.Front {
			front++
		}
	}
	if d := time.Since(began); front != 1000 || d > 5*time.Second {
		t.Error(fmt.Sprint(front, " are on the front, in ", d))
	}
}
