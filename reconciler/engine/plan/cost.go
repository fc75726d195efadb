// Cost: what the runs of a plan will cost, as far as prices and earlier runs tell, and what its infrastructure costs a month.

package plan

import (
	"cmp"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/schemas"
)

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

// Priced is p with what its runs will cost, those that score a model too: each as long as the last runs of
// its ref took, or where it never ran, those of the others of its declaration. Without prices, nothing is said.
func (p Plan) Priced(prices price.Prices, facts *ledger.Facts) Plan {
	if len(prices.Runners) == 0 {
		return p
	}
	p.Steps = slices.Clone(p.Steps)
	took := price.LastRuns(facts)
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
		hour, priced := prices.Runners[cmp.Or(on.Runner, schemas.LocalRunner)]
		if !priced {
			continue
		}
		hourly, known := hour.Hourly(on)
		long := price.Mean(took[s.Ref])
		if long == 0 {
			long = price.Mean(took[s.Ref.Whole()])
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
func (p Plan) Estimated(prices price.Prices, change func(schemas.Ref) []byte) Plan {
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
