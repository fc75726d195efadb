// Cost: what the runs of a plan will cost, as far as prices and earlier runs tell, and what its infrastructure costs a month.

package plan

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/schemas"
)

// Prices are what runners cost, by name, and resources of infrastructure, by type. A runner that is not there costs nothing.
type Prices struct {
	Runners   map[string]Price
	Resources terraform.Prices
}

// Price is what a runner costs, in whatever money.
type Price struct {
	CPUHour       float64
	MemoryGiBHour float64
	GPUHour       map[string]float64 // by kind; AnyGPU is all others
}

// AnyGPU is the kind of GPU that has no price of its own.
const AnyGPU = "any"

// Cost is an estimate. It is no part of what a plan does: prices void no approval.
type Cost struct {
	Amount float64 `json:"amount"`
	// Unknown are the runs that it leaves out: they never ran, or have a GPU without a price.
	Unknown []schemas.Ref `json:"unknown,omitempty"`
}

// Monthly is what resources are estimated to cost a month once a plan is carried out, and how much more than now.
type Monthly struct {
	Amount  float64  `json:"amount"`
	Change  float64  `json:"change"`
	Unknown []string `json:"unknown,omitempty"` // addresses that it leaves out
}

// newest is how many of the last runs of a ref count.
const newest = 3

// Priced is p with what its runs will cost, those that score a model too: each as long as the last runs of
// its ref took, or where it never ran, those of the others of its declaration. Without prices, nothing is said.
func (p Plan) Priced(prices Prices, facts *ledger.Facts) Plan {
	if len(prices.Runners) == 0 {
		return p
	}
	p.Steps = slices.Clone(p.Steps)
	took := lastRuns(facts)
	total := &Cost{}
	for i := range p.Steps {
		s := &p.Steps[i]
		runs := float64(s.runs())
		if runs == 0 {
			continue
		}
		var on schemas.RunsOn
		if s.RunsOn != nil {
			on = *s.RunsOn
		}
		price, priced := prices.Runners[cmp.Or(on.Runner, schemas.LocalRunner)]
		if !priced {
			continue
		}
		hourly, known := price.hourly(on)
		long := mean(took[s.Ref])
		if long == 0 {
			long = mean(took[s.Ref.Whole()])
		}
		if !known || long == 0 {
			total.Unknown = append(total.Unknown, s.Ref)
			continue
		}
		amount := cents(runs * hourly * long.Hours())
		s.Cost, total.Amount = &amount, total.Amount+runs*hourly*long.Hours()
	}
	total.Amount = cents(total.Amount)
	p.Cost = total
	return p
}

// Estimated is p with what its infrastructure costs a month; change is what is planned of a ref, as Terraform writes it.
// Without prices of resources, nothing is said.
func (p Plan) Estimated(prices Prices, change func(schemas.Ref) []byte) Plan {
	if len(prices.Resources) == 0 {
		return p
	}
	p.Steps = slices.Clone(p.Steps)
	total := &Monthly{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if !s.Ref.Kind.Traits().Provisioned {
			continue
		}
		found, err := terraform.Estimated(change(s.Ref), prices.Resources)
		if err != nil { // there is no plan to read
			if s.Do != Keep {
				total.Unknown = append(total.Unknown, s.Ref.String())
			}
			continue
		}
		total.Amount, total.Change = total.Amount+found.Amount, total.Change+found.Change
		total.Unknown = append(total.Unknown, found.Unknown...)
		if s.Do != Keep {
			s.Monthly = &Monthly{cents(found.Amount), cents(found.Change), found.Unknown}
		}
	}
	total.Amount, total.Change = cents(total.Amount), cents(total.Change)
	p.Monthly = total
	return p
}

// cents rounds to a ten-thousandth: an estimate has no more to say.
func cents(amount float64) float64 { return math.Round(amount*1e4) / 1e4 }

// hourly is what a run costs an hour, on all of its nodes. Where it declares no processors, it
// is taken to have one.
func (p Price) hourly(on schemas.RunsOn) (amount float64, known bool) {
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

// lastRuns are how long the last runs of each ref took, and of each declaration.
func lastRuns(facts *ledger.Facts) map[schemas.Ref][]time.Duration {
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

func mean(all []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	if len(all) == 0 {
		return 0
	}
	return sum / time.Duration(len(all))
}
