// Planning and judging: what the policies are told about each step.
package loop

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/act"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/graph"
	"github.com/vishwaops/vishwa/reconciler/ledger"
	"github.com/vishwaops/vishwa/reconciler/plan"
	"github.com/vishwaops/vishwa/reconciler/trust"
	"github.com/vishwaops/vishwa/schemas"
)

// Plan computes what to do for w and has it judged.
func (h *House) Plan(ctx context.Context, w *World, o Orders) (plan.Plan, *desk, error) {
	p, err := h.compute(ctx, w)
	if err != nil {
		return p, nil, err
	}
	p.Policy = w.Policy.Digest()
	if w.Trust != nil {
		p.Trust = w.Trust.Digest()
	}
	if !w.Dirty {
		p.Revision = w.Revision.SHA
	}
	p, err = plan.Only(holdDestroy(p, o.AllowDestroy), o.Targets)
	if err != nil {
		return p, nil, fault.Hint(fault.New(fault.Invalid, "%w", err), "vishwa plan lists the refs")
	}
	d := &desk{House: h, world: w, orders: o, formats: map[digest.Digest][]policy.File{}}
	notes, err := d.approve(ctx, p)
	if err != nil {
		return p, nil, err
	}
	found, err := d.judge(ctx, p, policy.Planning, nil)
	if err != nil {
		return p, nil, err
	}
	return plan.Gate(p, append(found, notes...)), d, nil
}

// Check judges every step, kept ones too: what vishwa policy check shows.
func (h *House) Check(ctx context.Context, w *World) (plan.Plan, error) {
	p, d, err := h.Plan(ctx, w, Orders{})
	if err != nil {
		return p, err
	}
	d.all = true
	found, err := d.judge(ctx, p, policy.Planning, nil)
	if err != nil {
		return p, err
	}
	return plan.Gate(p, found), nil
}

// judge gathers the evidence for p's steps and asks the engine. What act knows of
// a step, where it is acting, comes in material.
func (d *desk) judge(ctx context.Context, p plan.Plan, phase policy.Phase, material *act.Material) ([]ledger.Finding, error) {
	subjects := make(map[schemas.Ref]policy.Subject, len(p.Steps))
	known := plan.Known{}
	for _, s := range p.Steps {
		n := d.world.Graph.Node(s.Ref)
		if n != nil && s.Do == plan.Keep && phase == policy.Planning {
			if e := d.world.entry(s); e != nil {
				known.Add(n, e)
			}
		}
		if s.Do == plan.Keep && !d.all {
			continue
		}
		if n != nil && s.Ref.Kind == "dataset" {
			known.Add(n, nil) // its pin is known before it is recorded
		}
		subject, err := d.subject(ctx, s, n, known, material)
		if err != nil {
			return nil, err
		}
		subjects[s.Ref] = subject
	}
	return d.world.Policy.Judge(ctx, p, policy.Evidence{
		Time: d.Now(), Phase: phase, Project: d.world.Project, All: d.all,
		Of: func(ref schemas.Ref) policy.Subject { return subjects[ref] },
	})
}

// entry is what stands under a kept step.
func (w *World) entry(s plan.Step) *ledger.Entry {
	if s.Ref.Kind == "deployment" || s.Ref.Kind == "infrastructure" {
		return w.Facts.Latest[s.Ref]
	}
	return w.Facts.ByKey[s.Key]
}

// subject is what is known of one step.
func (d *desk) subject(ctx context.Context, s plan.Step, n *graph.Node, known plan.Known, m *act.Material) (policy.Subject, error) {
	out := policy.Subject{AllowDestroy: d.orders.AllowDestroy != nil && d.orders.AllowDestroy(s.Ref)}
	if change, ok := d.world.Stacks[s.Ref]; ok {
		out.Terraform = change.Raw
	}
	if m != nil && m.Change != nil {
		out.Terraform = m.Change.Raw
	}
	out.Approvals = d.approvers[s.Ref]
	if n == nil {
		return out, nil
	}
	out.Declaration = n.Decl
	var err error
	switch spec := n.Decl.Spec.(type) {
	case *schemas.Dataset:
		out.Pin = n.Data.Digest
	case *schemas.Transform, *schemas.Training:
		for _, name := range sorted(n.Inputs) {
			in := policy.Input{Name: name, Ref: n.Inputs[name], Declared: true}
			if m != nil {
				in.Digest = m.Recipe.Inputs[name]
			} else {
				in.Digest, _ = known.Input(n.Inputs[name])
			}
			out.Inputs = append(out.Inputs, in)
		}
	case *schemas.Model:
		out.Model, err = d.candidate(ctx, s, n, spec, m)
	case *schemas.Deployment:
		out.Model, err = d.released(ctx, s, spec, m)
	}
	return out, err
}

// candidate is the evidence about a model that is to be selected: what act has
// chosen, or, while planning, what it would choose.
func (d *desk) candidate(ctx context.Context, s plan.Step, n *graph.Node, spec *schemas.Model, m *act.Material) (*policy.Model, error) {
	if m != nil && m.Model != nil {
		return d.model(ctx, s.Ref, m.Model, m.Metrics)
	}
	if s.Pending {
		return nil, nil
	}
	best, trained, _ := plan.Best(n.Inputs, spec.Select, func(ref schemas.Ref) *ledger.Entry {
		node := d.world.Graph.Node(ref)
		if node == nil {
			return nil
		}
		return d.world.Facts.ByKey[d.keys[ref]]
	})
	if trained == nil {
		return nil, nil
	}
	return d.model(ctx, s.Ref, &ledger.Model{Candidate: best, Artifact: trained.Outputs["model"]}, trained.Metrics)
}

// released is the evidence about a model that is to be deployed.
func (d *desk) released(ctx context.Context, s plan.Step, spec *schemas.Deployment, m *act.Material) (*policy.Model, error) {
	if m != nil && m.Model != nil {
		return d.signed(ctx, spec.Model, m.Model, m.Metrics)
	}
	if s.Pending {
		return nil, nil
	}
	e := d.world.Facts.ByKey[d.keys[spec.Model]]
	if e == nil || e.Model == nil {
		return nil, nil
	}
	return d.signed(ctx, spec.Model, e.Model, e.Metrics)
}

// signed is the evidence about a released model. Bytes or bundles that are gone
// or tampered with are evidence too: against it.
func (d *desk) signed(ctx context.Context, ref schemas.Ref, m *ledger.Model, metrics map[string]float64) (*policy.Model, error) {
	out, err := d.model(ctx, ref, m, metrics)
	by := ""
	if err == nil {
		by, err = d.Seal.Verify(ctx, m)
	}
	switch fault.Of(err) {
	case fault.Missing, fault.Corrupt, fault.Denied:
		out.Signature = &policy.Signature{Message: err.Error()}
		return out, nil
	}
	out.Signature = &policy.Signature{Verified: err == nil, By: by}
	return out, err
}

func (d *desk) model(ctx context.Context, ref schemas.Ref, m *ledger.Model, metrics map[string]float64) (*policy.Model, error) {
	out := &policy.Model{Digest: m.Artifact.Digest, Candidate: m.Candidate, Metrics: metrics, Live: d.world.live(ref)}
	var err error
	if out.Files, err = d.sniff(ctx, m.Artifact); err != nil {
		err = fmt.Errorf("read model %s: %w", m.Artifact.Digest.Short(), err)
	}
	return out, err
}

// live is the model that the newest deployment of ref serves.
func (w *World) live(model schemas.Ref) *policy.Live {
	var newest *ledger.Entry
	for ref, e := range w.Facts.Latest {
		n := w.Graph.Node(ref)
		if n == nil || e.Action != ledger.Deploy || e.Model == nil {
			continue
		}
		if spec, ok := n.Decl.Spec.(*schemas.Deployment); ok && spec.Model == model && (newest == nil || e.Seq > newest.Seq) {
			newest = e
		}
	}
	if newest == nil {
		return nil
	}
	return &policy.Live{Digest: newest.Model.Artifact.Digest, Metrics: newest.Metrics}
}

// approve finds the approvals that hold for p, a deployment at a time, and notes
// those that do not count, with the reason.
func (d *desk) approve(ctx context.Context, p plan.Plan) (notes []ledger.Finding, err error) {
	d.approvers = map[schemas.Ref][]trust.Approver{}
	d.keys = map[schemas.Ref]digest.Digest{}
	for _, s := range p.Steps {
		d.keys[s.Ref] = s.Key
	}
	models, err := Want(p)
	if err != nil || d.world.Trust == nil || len(d.world.Facts.Approvals) == 0 {
		return nil, nil // nothing to approve, or nobody who could
	}
	want := trust.Want{Plan: p.Digest(), Policy: p.Policy, Models: models}
	for ref := range models {
		authors, err := d.ChangeAuthors(ctx, d.world.Facts, ref, d.world.Revision.SHA)
		if err != nil {
			return nil, err
		}
		for _, e := range d.world.Facts.Approvals {
			if e.Plan != want.Plan || e.Approval == nil {
				continue // of another plan: void, and no news
			}
			a, err := d.world.Trust.Check(trust.Signed{Statement: e.Approval.Statement, Signature: e.Approval.Signature}, want, authors, d.Now())
			if err != nil {
				notes = append(notes, ledger.Finding{Rule: "approval/void", Level: ledger.Note, Ref: ref, Message: err.Error(), Way: fault.Way(err)})
				continue
			}
			d.approvers[ref] = append(d.approvers[ref], a)
		}
	}
	return notes, nil
}

// ChangeAuthors lists the authors of what is new at revision to since ref was last
// deployed, or since the ledger began: none of them may approve its deployment.
func (h *House) ChangeAuthors(ctx context.Context, f *ledger.Facts, ref schemas.Ref, to string) ([]string, error) {
	from := f.Started
	if e := f.Latest[ref]; e != nil && e.Action == ledger.Deploy {
		from = e.Revision
	}
	authors, err := h.Authors(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("list the authors of the change: %w", err)
	}
	return authors, nil
}

func (d *desk) approved() map[schemas.Ref][]string {
	out := map[schemas.Ref][]string{}
	for ref, all := range d.approvers {
		for _, a := range all {
			out[ref] = append(out[ref], "principal:"+a.Principal)
		}
	}
	return out
}
