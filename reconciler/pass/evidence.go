// What is known of a dataset's rows: its profile, as it was recorded with its pin.

package pass

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Profile reads a profile; nil where the store has it no more.
func Profile(ctx context.Context, store port.Store, name digest.Digest) (*table.Profile, error) {
	in, err := store.Get(ctx, name)
	if err != nil && (fault.Of(err) == fault.Missing || port.WasUnasked(err)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name.Short(), err)
	}
	defer in.Close()
	raw, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name.Short(), err)
	}
	var p table.Profile
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fault.New(fault.Corrupt, "read profile %s: %w", name.Short(), err)
	}
	return &p, nil
}

// note remembers what was found of a dataset in this pass.
func (d *stepServices) note(ref schemas.Ref, p table.Profile) {
	d.examined.Store(ref, evidence(ref, &p))
}

func evidence(ref schemas.Ref, p *table.Profile) policy.Data {
	out := policy.Data{Ref: ref, Rows: p.Rows, Bytes: p.Bytes}
	for _, v := range p.Violations {
		broken := policy.Violation{Column: v.Column, Rule: v.Rule, Count: v.Count}
		if len(v.Examples) > 0 {
			broken.File, broken.Row = v.Examples[0].File, v.Examples[0].Row
		}
		out.Violations = append(out.Violations, broken)
	}
	return out
}

// origins is what was found of the datasets that the steps of a plan are, or come from.
// What is known of a step is known of all that need it: nothing is walked twice.
type origins struct {
	services *stepServices
	needs    func() map[schemas.Ref][]schemas.Ref // made when it is asked for
	known    map[schemas.Ref][]policy.Data        // sorted by ref
}

func (d *stepServices) origins(p plan.Plan) origins {
	return origins{services: d, known: map[schemas.Ref][]policy.Data{}, needs: sync.OnceValue(func() map[schemas.Ref][]schemas.Ref {
		needs := make(map[schemas.Ref][]schemas.Ref, len(p.Steps))
		for i := range p.Steps {
			needs[p.Steps[i].Ref] = p.Steps[i].Needs
		}
		return needs
	})}
}

// of is what was found of the datasets that ref is, or comes from.
func (o origins) of(ctx context.Context, ref schemas.Ref) ([]policy.Data, error) {
	if known, ok := o.known[ref]; ok {
		return known, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "gather what is known of %s: %w", ref, context.Cause(ctx))
	}
	var out []policy.Data
	if ref.Kind.Traits().Pinned {
		found, err := o.services.found(ctx, ref)
		if err != nil {
			return nil, err
		}
		if found != nil {
			out = append(out, *found)
		}
	}
	for _, need := range o.needs()[ref] {
		above, err := o.of(ctx, need)
		if err != nil {
			return nil, err
		}
		out = union(out, above)
	}
	o.known[ref] = out
	return slices.Clone(out), nil
}

// union is what is in either of two that are sorted by ref.
func union(a, b []policy.Data) []policy.Data {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	out := slices.Concat(a, b)
	slices.SortFunc(out, func(a, b policy.Data) int { return a.Ref.Compare(b.Ref) })
	return slices.CompactFunc(out, func(a, b policy.Data) bool { return a.Ref == b.Ref })
}

// found is what was found of a dataset: in this pass, or when it was recorded.
func (d *stepServices) found(ctx context.Context, ref schemas.Ref) (*policy.Data, error) {
	if now, ok := d.examined.Load(ref); ok {
		v := now.(policy.Data)
		return &v, nil
	}
	e := d.world.Facts.ByKey[d.key(ref)]
	if e == nil || e.Outputs.Named("profile").Digest == "" {
		return nil, nil
	}
	profile, err := Profile(ctx, d.Store, e.Outputs.Named("profile").Digest)
	if err != nil {
		return nil, err
	}
	if profile == nil {
		n := d.world.Graph.Node(ref)
		if n == nil {
			return nil, nil
		}
		if spec, ok := n.Decl.Spec.(schemas.Data); !ok || spec.Data().Violations != "warn" {
			return nil, nil // what breaks a promise is not recorded at all
		}
		return &policy.Data{Ref: ref, Unknown: true}, nil
	}
	v := evidence(ref, profile)
	d.examined.Store(ref, v)
	return &v, nil
}
