// What rules see of where a run is to be carried out.

package policy

import (
	"cmp"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

// runsOnDoc is schemas.RunsOn with every field there, and amounts as numbers.
type runsOnDoc struct {
	Runner    string       `json:"runner"`
	Tool      *string      `json:"tool"`
	Image     *string      `json:"image"`
	Nodes     int          `json:"nodes"`
	Resources resourcesDoc `json:"resources"`
	Priority  *string      `json:"priority"`
	Spot      bool         `json:"spot"`
}

type resourcesDoc struct {
	CPU              *float64 `json:"cpu"`
	Memory           *int64   `json:"memory"`
	EphemeralStorage *int64   `json:"ephemeralStorage"`
	GPU              int      `json:"gpu"`
	GPUKind          *string  `json:"gpuKind"`
}

// runsOn is where s is to be carried out; nil where nothing is run.
func runsOn(s plan.Step, spec any, p *schemas.Project) *runsOnDoc {
	scores, is := spec.(schemas.Evaluates)
	if !s.Ref.Kind.Traits().Runs && (!is || scores.Evaluates() == nil) || s.Do == plan.Retire {
		return nil
	}
	var on schemas.RunsOn
	if s.RunsOn != nil {
		on = *s.RunsOn
	}
	on.Runner = cmp.Or(on.Runner, schemas.LocalRunner)
	_, runner, _ := p.Runner(on.Runner)
	d := &runsOnDoc{Runner: on.Runner, Tool: orNull(runner.Tool), Image: orNull(on.Image), Nodes: max(1, on.Nodes), Priority: orNull(on.Priority), Spot: on.Spot}
	r := on.Resources
	d.Resources = resourcesDoc{Memory: bytesOf(r.Memory), EphemeralStorage: bytesOf(r.EphemeralStorage), GPU: r.GPU, GPUKind: orNull(r.GPUKind)}
	if n, ok := schemas.Millicores(r.CPU); ok && r.CPU != "" {
		cpu := float64(n) / 1000
		d.Resources.CPU = &cpu
	}
	return d
}

func bytesOf(amount string) *int64 {
	if n, ok := schemas.Bytes(amount); ok && amount != "" {
		return &n
	}
	return nil
}

// planDoc is what rules see of the whole plan.
type planDoc struct {
	// EstimatedCost is null where nobody gives prices.
	EstimatedCost *float64 `json:"estimatedCost"`
	// UnknownCost are the runs that it leaves out.
	UnknownCost []string `json:"unknownCost"`
	// MonthlyCost is null where nobody gives prices of resources; MonthlyChange then is zero.
	MonthlyCost   *float64 `json:"monthlyCost"`
	MonthlyChange float64  `json:"monthlyChange"`
	// UnknownMonthlyCost are the resources that it leaves out.
	UnknownMonthlyCost []string `json:"unknownMonthlyCost"`
}

func costs(c *plan.Cost, m *plan.Monthly) planDoc {
	d := planDoc{UnknownCost: []string{}, UnknownMonthlyCost: []string{}}
	if c != nil {
		d.EstimatedCost = &c.Amount
		for _, ref := range c.Unknown {
			d.UnknownCost = append(d.UnknownCost, ref.String())
		}
	}
	if m != nil {
		d.MonthlyCost, d.MonthlyChange = &m.Amount, m.Change
		d.UnknownMonthlyCost = append(d.UnknownMonthlyCost, m.Unknown...)
	}
	return d
}
