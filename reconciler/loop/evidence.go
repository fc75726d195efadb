// What is known of a dataset's rows: its profile, as it was recorded with its pin.
package loop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/tables"
	"github.com/vishwaops/vishwa/schemas"
)

// Profile reads a profile; nil where the store has it no more.
func Profile(ctx context.Context, store port.Store, name digest.Digest) (*tables.Profile, error) {
	in, err := store.Get(ctx, name)
	if fault.Of(err) == fault.Missing && err != nil {
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
	var p tables.Profile
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fault.New(fault.Corrupt, "read profile %s: %w", name.Short(), err)
	}
	return &p, nil
}

// note remembers what was found of a dataset in this pass.
func (d *desk) note(ref schemas.Ref, p tables.Profile) {
	d.examined.Store(ref, evidence(ref, &p))
}

func evidence(ref schemas.Ref, p *tables.Profile) policy.Data {
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

// data is what was found of the datasets that s is, or comes from.
func (d *desk) data(ctx context.Context, p plan.Plan, s plan.Step) ([]policy.Data, error) {
	needs := make(map[schemas.Ref][]schemas.Ref, len(p.Steps))
	for _, o := range p.Steps {
		needs[o.Ref] = o.Needs
	}
	seen := map[schemas.Ref]bool{}
	var out []policy.Data
	for todo := []schemas.Ref{s.Ref}; len(todo) > 0; {
		ref := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		todo = append(todo, needs[ref]...)
		if ref.Kind != "dataset" {
			continue
		}
		found, err := d.found(ctx, ref)
		if err != nil {
			return nil, err
		}
		if found != nil {
			out = append(out, *found)
		}
	}
	slices.SortFunc(out, func(a, b policy.Data) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return out, nil
}

// found is what was found of a dataset: in this pass, or when it was recorded.
func (d *desk) found(ctx context.Context, ref schemas.Ref) (*policy.Data, error) {
	if now, ok := d.examined.Load(ref); ok {
		v := now.(policy.Data)
		return &v, nil
	}
	e := d.world.Facts.ByKey[d.keys[ref]]
	if e == nil || e.Outputs["profile"].Digest == "" {
		return nil, nil
	}
	profile, err := Profile(ctx, d.Store, e.Outputs["profile"].Digest)
	if err != nil {
		return nil, err
	}
	if profile == nil {
		n := d.world.Graph.Node(ref)
		if n == nil {
			return nil, nil
		}
		if spec, ok := n.Decl.Spec.(*schemas.Dataset); !ok || spec.Violations != "warn" {
			return nil, nil // what breaks a promise is not recorded at all
		}
		return &policy.Data{Ref: ref, Unknown: true}, nil
	}
	v := evidence(ref, profile)
	d.examined.Store(ref, v)
	return &v, nil
}
