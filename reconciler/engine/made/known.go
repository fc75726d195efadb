// Package made tells what the nodes of a graph came out as, so that keys can be had for what needs them.
// The plan and the act both ask it: a key has one way to come about.
package made

import (
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Known is what each node came out as.
type Known map[schemas.Ref]came

// came is what one node came out as.
type came struct {
	named map[string]digest.Digest // by output; "" for the node's only one
	entry *ledger.Entry            // nil: it is not recorded yet
	row   []byte                   // of a trial: what later rounds of its search are told of it; nil: not made yet
}

// Add takes in what e, the entry under a node's key, made.
func (k Known) Add(n *graph.Node, e *ledger.Entry) {
	out := map[string]digest.Digest{}
	switch n.Ref.Kind.Traits().Names {
	case schemas.NamedByData:
		d := n.Data.Digest
		if e != nil && e.Outputs["data"].Digest != "" {
			d = e.Outputs["data"].Digest
		}
		if d == "" {
			return // it is known when the data has been fetched
		}
		out[""] = d
	case schemas.NamedByOutputs:
		for name, a := range e.Outputs {
			out[name] = a.Digest
			if len(e.Outputs) == 1 {
				out[""] = a.Digest
			}
		}
	case schemas.NamedByResult:
		out[""] = candidate(e)
	case schemas.NamedByModel:
		if e.Model != nil {
			out[""] = e.Model.Artifact.Digest
		}
	case schemas.NamedByChange:
		out[""] = stack(e)
	case schemas.NamedByKey:
		out[""] = e.Key
	}
	k[n.Ref] = came{named: out, entry: e}
}

// candidate names a trained candidate: its model and its metrics, which decide
// together what is selected.
func candidate(e *ledger.Entry) digest.Digest {
	d, err := digest.JSON(map[string]any{"model": e.Outputs["model"].Digest, "metrics": e.Metrics})
	if err != nil {
		panic(err) // metrics are finite: the runner refuses others
	}
	return d
}

// stack names a provisioned stack. Its outputs may be secrets that are easy to
// guess, so what names them is the change that brought them about.
func stack(e *ledger.Entry) digest.Digest {
	var change digest.Digest
	if e.Stack != nil {
		change = e.Stack.Change
	}
	d, err := digest.JSON([]digest.Digest{e.Key, change})
	if err != nil {
		panic(err)
	}
	return d
}

// Input is what ref, as an input names it, came out as.
func (k Known) Input(ref schemas.Ref) (digest.Digest, bool) {
	if out, ok := k[ref]; ok {
		d, ok := out.named[""]
		return d, ok
	}
	d, ok := k[ref.Whole()].named[ref.Output]
	return d, ok
}

// Recipe is n's recipe with its inputs, and the nodes that it still waits for.
func (k Known) Recipe(n *graph.Node) (r port.Recipe, waits []schemas.Ref) {
	r = n.Recipe
	if n.Ask != nil {
		return k.ask(n)
	}
	if n.Trial != nil {
		if r.Params, waits = k.params(n); len(waits) > 0 {
			return r, waits
		}
	}
	if len(n.Inputs) == 0 {
		return r, nil
	}
	r.Inputs = make(map[string]digest.Digest, len(n.Inputs))
	for _, name := range slices.Sorted(maps.Keys(n.Inputs)) {
		ref := n.Inputs[name]
		if d, ok := k.Input(ref); ok {
			r.Inputs[name] = d
		} else {
			waits = append(waits, ref)
		}
	}
	return r, waits
}
