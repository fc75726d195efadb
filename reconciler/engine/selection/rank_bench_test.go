// What the order of a large board costs.

package selection

import (
	"fmt"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

func BenchmarkRankOfTenThousand(b *testing.B) {
	all := make([]map[string]float64, 10_000)
	for i := range all {
		all[i] = map[string]float64{"auc": float64(i * 7919 % 10_007), "ms": float64(i * 104_729 % 10_007)}
	}
	tied := make([]map[string]float64, len(all))
	for i := range tied {
		tied[i] = map[string]float64{"auc": 1}
	}
	for name, c := range map[string]struct {
		by  schemas.Selection
		all []map[string]float64
	}{
		"one metric":   {schemas.Selection{Metric: "auc"}, all},
		"all are tied": {schemas.Selection{Metric: "auc"}, tied},
		"a front":      {twoObjectives(schemas.TieIdeal), all},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := Rank(c.by, c.all); len(got) != len(c.all) {
					b.Fatal(fmt.Sprint(len(got)))
				}
			}
		})
	}
}
