// Package made tells what the nodes of a graph came out as, so that keys can be had for what needs them.
// The plan and the act both ask it: a key has one way to come about.
package made

import (
	"cmp"
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
	only  digest.Digest // what names the node's only output
	is    bool          // that there is one, and no more
	each  bool          // each output of entry is named by its own
	entry *ledger.Entry // nil: it is not recorded yet
	row   []byte        // of a trial: what later rounds of its search are told of it; nil: not made yet
}

// named tells that d names the only output.
func (c *came) named(d digest.Digest) { c.only, c.is = d, true }

// Add takes in what e, the entry under a node's key, made.
func (k Known) Add(n *graph.Node, e *ledger.Entry) {
	out := came{entry: e}
	switch n.Ref.Kind.Traits().Names {
	case schemas.NamedByData:
		d := n.Data.Digest
		if e != nil {
			d = cmp.Or(e.Outputs.Named("data").Digest, d)
		}
		if d == "" {
			return // it is known when the data has been fetched
		}
		out.named(d)
	case schemas.NamedByOutputs:
		out.each = true
		if len(e.Outputs) == 1 {
			out.named(e.Outputs[0].Digest)
		}
	case schemas.NamedByResult:
		out.named(candidate(e))
	case schemas.NamedByModel:
		if e.Model != nil {
			out.named(e.Model.Artifact.Digest)
		}
	case schemas.NamedByChange:
		out.named(stack(e))
	case schemas.NamedByKey:
		out.named(e.Key)
	}
	k[n.Ref] = out
}

// candidate names a trained candidate: its model and its metrics, which decide
// together what is selected.
func candidate(e *ledger.Entry) digest.Digest {
	d, err := digest.JSON(map[string]any{"model": e.Outputs.Named("model").Digest, "metrics": e.Metrics})
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
		return out.only, out.is
	}
	if whole := k[ref.Whole()]; whole.each {
		a, ok := whole.entry.Outputs.Find(ref.Output)
		return a.Digest, ok
	}
	return "", false
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
