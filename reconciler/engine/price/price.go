// Package price is what machines cost, and how long the last runs took: what an estimate of a plan is made of.
package price

import (
	"cmp"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/schemas"
)

// Prices are what runners cost, by name, and resources of infrastructure, by type. A runner that is not there costs nothing.
type Prices struct {
	Runners   map[string]Runner
	Resources terraform.Prices
}

// Runner is what a runner costs, in whatever money.
type Runner struct {
	CPUHour       float64
	MemoryGiBHour float64
	GPUHour       map[string]float64 // by kind; AnyGPU is all others
}

// AnyGPU is the kind of GPU that has no price of its own.
const AnyGPU = "any"

// newest is how many of the last runs of a ref count.
const newest = 3

// Hourly is what a run costs an hour, on all of its nodes. Where it declares no processors, it
// is taken to have one.
func (p Runner) Hourly(on schemas.RunsOn) (amount float64, known bool) {
	cpu, ok := schemas.Millicores(cmp.Or(on.Resources.CPU, "1"))
	memory, also := schemas.Bytes(on.Resources.Memory)
	if !ok || !also {
		return 0, false
	}
	amount = float64(cpu)/1000*p.CPUHour + float64(memory)/(1<<30)*p.MemoryGiBHour
	if n := on.Resources.GPU; n > 0 {
		gpu, ok := p.GPUHour[on.Resources.GPUKind]
		if !ok {
			gpu, ok = p.GPUHour[AnyGPU]
		}
		if !ok {
			return 0, false
		}
		amount += float64(n) * gpu
	}
	return amount * float64(max(1, on.Nodes)), true
}

// LastRuns are how long the last runs of each ref took, and of each declaration.
func LastRuns(facts *ledger.Facts) map[schemas.Ref][]time.Duration {
	all := map[schemas.Ref][]*ledger.Entry{}
	for _, e := range facts.ByKey {
		if (e.Ran() || e.Action == ledger.Evaluate) && e.Run != nil && e.Run.Finished.After(e.Run.Started) {
			all[e.Ref] = append(all[e.Ref], e)
			if whole := e.Ref.Whole(); whole != e.Ref {
				all[whole] = append(all[whole], e)
			}
		}
	}
	out := make(map[schemas.Ref][]time.Duration, len(all))
	for ref, runs := range all {
		slices.SortFunc(runs, func(a, b *ledger.Entry) int { return cmp.Compare(b.Seq, a.Seq) })
		for _, e := range runs[:min(newest, len(runs))] {
			out[ref] = append(out[ref], e.Run.Finished.Sub(e.Run.Started))
		}
	}
	return out
}

// Mean is that of durations; 0 of none.
func Mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	if len(all) == 0 {
		return 0
	}
	return sum / time.Duration(len(all))
}
