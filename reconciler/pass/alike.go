// Of several entries under one key, made where there is no store that all share, the one
// counts whose bytes are to be had here; where several are, the ledger's first. So every
// machine goes on with what it has, and none undoes what another did.

package pass

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

// Here is facts as this machine goes by them for what graphs declare. Facts itself stays.
func (o Observers) Here(ctx context.Context, facts *ledger.Facts, graphs ...graph.Graph) (*ledger.Facts, error) {
	if len(facts.Others) == 0 {
		return facts, nil
	}
	out := facts.Clone()
	asked := map[digest.Digest]bool{}
	for _, g := range graphs {
		for moved := true; moved; { // what one counts as decides on the keys of what needs it
			moved = false
			for _, s := range plan.Compute(g, plan.Observed{Facts: out}).Steps {
				if asked[s.Key] || len(out.Others[s.Key]) == 0 {
					continue
				}
				asked[s.Key] = true
				e, err := o.counts(ctx, out, s.Key)
				if err != nil {
					return nil, fmt.Errorf("look for what was made of %s: %w", s.Ref, err)
				}
				if e != out.ByKey[s.Key] {
					out.Choose(e)
					moved = true
				}
			}
		}
	}
	return out, nil
}

// counts is the entry under key that counts on this machine; nil where there is none. Where
// the bytes of none are to be had, this machine's newest stays what it goes by: what it
// serves was made from them.
func (o Observers) counts(ctx context.Context, facts *ledger.Facts, key digest.Digest) (*ledger.Entry, error) {
	all := facts.Under(key)
	if len(all) < 2 {
		return facts.ByKey[key], nil
	}
	for _, e := range all {
		if has, err := o.has(ctx, e); err != nil || has {
			return e, err
		}
	}
	for _, e := range slices.Backward(all) {
		if e.Machine == o.Machine {
			return e, nil
		}
	}
	return all[0], nil
}
