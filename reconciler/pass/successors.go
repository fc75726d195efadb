// What takes the place of what goes: a deployment that is no longer declared serves until its
// heir does, and whoever wants an address waits until it is left.

package pass

import (
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
)

// outlive keeps what is served, and no longer declared, until what takes its place may: where
// one takes its address, that one takes over from it, port and all; else, where a guard
// stands before it, it goes when those that stay in its environment answer.
func (d *stepServices) outlive(p *plan.Plan) {
	d.over = map[schemas.Ref]schemas.Ref{}
	for i := range p.Steps {
		old := &p.Steps[i]
		last := d.world.Facts.Latest[old.Ref]
		if old.Do != plan.Retire || !old.Ref.Kind.Traits().Serves || last == nil || last.Release == nil {
			continue
		}
		heirs, beside := d.heirs(*p, last)
		switch {
		case len(heirs) > 0:
			d.over[heirs[0]] = old.Ref
			old.Needs = append(slices.Clone(old.Needs), heirs...)
		case len(d.verdicts[old.Ref]) > 0:
			old.Needs = append(slices.Clone(old.Needs), beside...)
		}
	}
}

// queue has whoever wants the address of a deployment that moves to another wait until it
// has moved. Two that want each other's wait for nobody: there is no order in which to.
func (d *stepServices) queue(p *plan.Plan) {
	left := map[string][]schemas.Ref{} // by address, who leaves it
	for _, s := range p.Steps {
		if was, leaves := d.moves(s); leaves {
			left[was] = append(left[was], s.Ref)
		}
	}
	if len(left) == 0 {
		return
	}
	at := make(map[schemas.Ref]int, len(p.Steps))
	for i, s := range p.Steps {
		at[s.Ref] = i
	}
	for i := range p.Steps {
		next := &p.Steps[i]
		to, _ := d.goes(next.Ref)
		for _, other := range left[to] {
			if other != next.Ref && !needs(*p, at, other, next.Ref) {
				next.Needs = append(slices.Clone(next.Needs), other)
			}
		}
	}
}

// moves tells which address a deployment leaves for another.
func (d *stepServices) moves(s plan.Step) (was string, leaves bool) {
	last := d.world.Facts.Latest[s.Ref]
	to, there := d.goes(s.Ref)
	if last == nil || last.Action != ledger.Deploy || !there || s.Do == plan.Keep {
		return "", false
	}
	was = guard.Recorded(last)
	return was, was != "" && was != to
}

// goes is the address that a deployment is declared at.
func (d *stepServices) goes(ref schemas.Ref) (to string, there bool) {
	n := d.world.Graph.Node(ref)
	if n == nil {
		return "", false
	}
	spec, ok := n.Decl.Spec.(schemas.Serves)
	if !ok {
		return "", false
	}
	return guard.Address(spec), true
}

// needs tells whether a step waits for another, near or far; at is where each is among the steps.
func needs(p plan.Plan, at map[schemas.Ref]int, step, other schemas.Ref) bool {
	seen := map[schemas.Ref]bool{}
	var visit func(ref schemas.Ref) bool
	visit = func(ref schemas.Ref) bool {
		if ref == other {
			return true
		}
		if seen[ref] {
			return false
		}
		seen[ref] = true
		i, ok := at[ref]
		return ok && slices.ContainsFunc(p.Steps[i].Needs, visit)
	}
	return visit(step)
}

// heirs are the deployments that want the address of a release which goes, and those that
// are in its environment.
func (d *stepServices) heirs(p plan.Plan, last *ledger.Entry) (heirs, beside []schemas.Ref) {
	for _, next := range p.Steps {
		n := d.world.Graph.Node(next.Ref)
		if n == nil || next.Do == plan.Keep {
			continue
		}
		spec, ok := n.Decl.Spec.(schemas.Serves)
		if !ok {
			continue
		}
		switch address := guard.Address(spec); {
		case address != "" && address == guard.Recorded(last):
			heirs = append(heirs, next.Ref)
		case schemas.Place(spec.Serves().Environment) == schemas.Place(last.Release.Environment):
			beside = append(beside, next.Ref)
		}
	}
	return heirs, beside
}

// linger holds what would go for a successor that may not come yet, and the other way round.
func (d *stepServices) linger(p plan.Plan) plan.Plan {
	if len(d.over) == 0 {
		return p
	}
	at := map[schemas.Ref]*plan.Step{}
	for i := range p.Steps {
		at[p.Steps[i].Ref] = &p.Steps[i]
	}
	for i := range p.Steps {
		next := &p.Steps[i]
		old := at[d.over[next.Ref]]
		if old == nil {
			continue
		}
		if next.Held != "" || next.Pending {
			old.Held = fmt.Sprintf("goes on serving: %s, which takes its address, may not go yet", next.Ref)
		}
		if old.Held != "" && next.Held == "" {
			next.Held = "takes the address of " + old.Ref.String() + ", which is held"
		}
	}
	return plan.Gate(p, p.Findings)
}
