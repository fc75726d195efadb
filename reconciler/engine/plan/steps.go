// What is asked of the steps of a plan, of which there may be tens of thousands, without a copy of them.

package plan

import (
	"iter"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/schemas"
)

// Work is the steps that do something.
func (p Plan) Work() []Step {
	n := 0
	for range p.Working() {
		n++
	}
	if n == 0 {
		return nil
	}
	out := make([]Step, 0, n)
	for s := range p.Working() {
		out = append(out, *s)
	}
	return out
}

// Working is Work, in place.
func (p Plan) Working() iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		for i := range p.Steps {
			if p.Steps[i].Do != Keep && !yield(&p.Steps[i]) {
				return
			}
		}
	}
}

// Idle tells that none of p's steps does anything.
func (p Plan) Idle() bool {
	for range p.Working() {
		return false
	}
	return true
}

// KeysOf tells the key of each step of p, which is computed for want.
func (p Plan) KeysOf(want graph.Graph) func(schemas.Ref) digest.Digest {
	elsewhere := map[schemas.Ref]digest.Digest{} // of steps that do not stand in the place of their node
	for i := range p.Steps {
		if at, ok := want.Place(p.Steps[i].Ref); !ok || at != i {
			elsewhere[p.Steps[i].Ref] = p.Steps[i].Key
		}
	}
	return func(ref schemas.Ref) digest.Digest {
		if i, ok := want.Place(ref); ok && i < len(p.Steps) && p.Steps[i].Ref == ref {
			return p.Steps[i].Key
		}
		return elsewhere[ref]
	}
}
