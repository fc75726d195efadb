// Laws of successors: who wants an address waits until it is left, at a cost that grows with the steps alone.

package pass

import (
	"fmt"
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

// moving are n deployments, each of which moves to the address of the next.
func moving(t *testing.T, n int) (*stepServices, plan.Plan) {
	t.Helper()
	const first = 20_000
	declare := func(by int) *Intent {
		tree := tree()
		for i := range n {
			another(fmt.Sprintf("d%04d", i), "staging", first+i+by)(tree)
		}
		in, err := Read(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	facts := &ledger.Facts{Latest: map[schemas.Ref]*ledger.Entry{}}
	for _, node := range declare(0).Graph.Nodes {
		if node.Ref.Kind == "deployment" && node.Ref.Name != "s" {
			facts.Latest[node.Ref] = &ledger.Entry{Action: ledger.Deploy, Ref: node.Ref, MadeBy: &node.Recipe}
		}
	}
	in, p := declare(1), plan.Plan{}
	for _, node := range in.Graph.Nodes {
		p.Steps = append(p.Steps, plan.Step{Ref: node.Ref, Do: plan.Remake})
	}
	w := &Snapshot{Intent: in}
	w.Facts = facts
	return &stepServices{world: w}, p
}

func TestWhoWantsAnAddressWaitsUntilItIsLeft(t *testing.T) {
	d, p := moving(t, 3)
	d.queue(&p)
	for _, s := range p.Steps {
		want := map[string][]schemas.Ref{
			"d0000": {{Kind: "deployment", Name: "d0001"}},
			"d0001": {{Kind: "deployment", Name: "d0002"}},
		}[s.Ref.Name]
		if !slices.Equal(s.Needs, want) {
			t.Errorf("%s waits for %v, want %v", s.Ref, s.Needs, want)
		}
	}
}

// Ten times the deployments take ten times the work, counted in what is allocated: what a release was is read once for each.
func TestWaitingForAddressesGrowsWithTheSteps(t *testing.T) {
	work := func(n int) float64 {
		d, p := moving(t, n)
		return testing.AllocsPerRun(1, func() {
			p := p
			p.Steps = slices.Clone(p.Steps)
			d.queue(&p)
		})
	}
	few, many := work(20), work(200)
	if many > 11.3*few { // an exponent of 1.05
		t.Errorf("%.0f allocations for 20 deployments, and %.0f for 200", few, many)
	}
}
