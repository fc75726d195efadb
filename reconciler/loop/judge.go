// Planning and judging: what the policies are told about each step.
package loop

import (
	"context"
	"fmt"
	"slices"

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
	w.Pull = h.Behalf != nil
	p, err := h.compute(ctx, w)
	if err != nil {
		return p, nil, err
	}
	p.Policy = w.Policy.Digest()
	if w.Trust != nil {
		p.Trust = w.Trust.Digest()
	}
	if !w.Dirty {
		p.Revision = h.recorded(w.Revision.SHA)
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
	known, origins := plan.Known{}, d.origins(p)
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
		if subject.Data, err = origins.of(ctx, s.Ref); err != nil {
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
		if n.Points != nil {
			out.Pointer = string(n.Points.MD5)
		}
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
		if r, ok := ran(d.world.planned(d.keys)(s.Ref)); ok {
			out.Run = &r
		}
	case *schemas.Model:
		out.Model, err = d.candidate(ctx, s, n, spec, m)
	case *schemas.Deployment:
		if e := d.world.Facts.Latest[s.Ref]; e != nil && e.Release != nil {
			out.Was = e.Release.Environment
		}
		out.Model, err = d.released(ctx, s, spec, m)
		d.origin(s, n, m, &out)
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
	out.Signature = &policy.Signature{Verified: err == nil, By: by, Revoked: d.world.revoked(by)}
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

// live is the model that is served of ref: in production where it is, else by the
// newest deployment.
func (w *World) live(model schemas.Ref) *policy.Live {
	var newest *ledger.Entry
	guarded := func(e *ledger.Entry) bool {
		return e.Release != nil && (e.Release.Environment == "production" || w.Project.Environments[e.Release.Environment].Approvals > 0)
	}
	for ref, e := range w.Facts.Latest {
		n := w.Graph.Node(ref)
		if n == nil || e.Action != ledger.Deploy || e.Model == nil {
			continue
		}
		if spec, ok := n.Decl.Spec.(*schemas.Deployment); ok && spec.Model == model &&
			(newest == nil || guarded(e) && !guarded(newest) || guarded(e) == guarded(newest) && e.Seq > newest.Seq) {
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
		for _, e := range d.world.Facts.Approvals {
			if e.Plan != want.Plan || e.Approval == nil {
				continue // of another plan: void, and no news
			}
			if last := d.world.Facts.Latest[ref]; last != nil && last.Seq > e.Seq {
				continue // spent: something was released since, and the way back to it is a release of its own
			}
			signed := trust.Signed{Statement: e.Approval.Statement, Signature: e.Approval.Signature}
			a, err := d.holds(ctx, ref, e, approval{Signed: signed, want: want})
			switch fault.Of(err) {
			case fault.Denied, fault.Conflict, fault.Invalid:
				notes = append(notes, ledger.Finding{Rule: "approval/void", Level: ledger.Note, Ref: ref, Message: err.Error(), Way: fault.Way(err)})
				continue
			}
			if err != nil {
				return nil, err
			}
			d.approvers[ref] = append(d.approvers[ref], a)
		}
	}
	return notes, nil
}

// holds is Approver for an approval that is recorded. One that was given for a pull
// request was held against its authors then, and is bound to the same plan: whoever
// merged it has written nothing by that.
func (d *desk) holds(ctx context.Context, ref schemas.Ref, e *ledger.Entry, x approval) (trust.Approver, error) {
	if err := d.world.placed(e); err != nil {
		return trust.Approver{}, err
	}
	if e.Behalf == nil {
		return d.Approver(ctx, d.world, ref, x.Signed, x.want)
	}
	x.from = d.world.begins(ref)
	return d.counted(ctx, d.world, ref, x)
}

// Approver tells who signed, where the signature counts for the deployment ref: it
// is a principal's of the revision's trust file and of the one before the change,
// and no author's of the change. Whoever writes a change cannot name its approvers.
func (h *House) Approver(ctx context.Context, w *World, ref schemas.Ref, signed trust.Signed, want trust.Want) (trust.Approver, error) {
	from := w.begins(ref)
	authors, err := h.Authors(ctx, from, w.Revision.SHA)
	if err != nil {
		return trust.Approver{}, fmt.Errorf("list the authors of the change: %w", err)
	}
	return h.counted(ctx, w, ref, approval{signed, want, from, authors})
}

// approval is what somebody approved, and what it is held against.
type approval struct {
	trust.Signed
	want    trust.Want
	from    string // revision that the change begins at
	authors []string
}

// counted is Approver once it is known who wrote the change.
func (h *House) counted(ctx context.Context, w *World, ref schemas.Ref, x approval) (trust.Approver, error) {
	signed, want, from, authors := x.Signed, x.want, x.from, x.authors
	if w.Trust == nil {
		return trust.Approver{}, fault.Hint(fault.New(fault.Denied, "the repository has no trust.yaml: nobody's approval can count"), "add one that names the principals and their keys")
	}
	a, err := w.Trust.Check(signed, want, authors, h.Now())
	if err != nil {
		return a, err
	}
	before, err := w.trustBefore(ctx, ref, from)
	if before == nil || err != nil {
		return a, err
	}
	old, err := before.Check(signed, want, authors, h.Now())
	if err != nil {
		return a, fault.Hint(fault.New(fault.Denied, "%s does not count: by the trust file of revision %.7s, before the change: %w", a.Principal, from, err),
			"have somebody approve whom the trust file named before this change")
	}
	a.Roles = slices.DeleteFunc(a.Roles, func(r string) bool { return !slices.Contains(old.Roles, r) })
	return a, nil
}

// begins is the revision that a change of ref begins at: what was deployed last.
func (w *World) begins(ref schemas.Ref) string {
	if e := w.Facts.Latest[ref]; e != nil && e.Action == ledger.Deploy {
		return e.Revision
	}
	if w.Facts.Started != w.Revision.SHA {
		return w.Facts.Started
	}
	return ""
}

// trustBefore is the trust file of the revision that the change begins at. There is
// none where the change is all there is, or where that file let nobody approve a
// first release: then this one has to do.
func (w *World) trustBefore(ctx context.Context, ref schemas.Ref, from string) (*trust.Trust, error) {
	if from == "" || from == w.Revision.SHA {
		return nil, nil
	}
	tree, err := w.trees(ctx, from)
	if err != nil {
		return nil, err
	}
	_, t, err := Settings(tree)
	if t == nil || err != nil {
		return nil, nil // that revision was applied by nobody who asked for approvals
	}
	e := w.Facts.Latest[ref]
	if e == nil || e.Action != ledger.Deploy {
		for _, p := range t.Principals {
			if slices.ContainsFunc(p.Roles, func(r string) bool { return slices.Contains(w.roles(ref), r) }) {
				return t, nil
			}
		}
		return nil, nil
	}
	return t, nil
}

// roles are those whose approval counts where ref is deployed.
func (w *World) roles(ref schemas.Ref) []string {
	if n := w.Graph.Node(ref); n != nil {
		if spec, ok := n.Decl.Spec.(*schemas.Deployment); ok {
			if roles := w.Project.Environments[spec.Environment].Roles; len(roles) > 0 {
				return roles
			}
		}
	}
	return []string{"approver"}
}

// asserted follows an approver whose word a forge gives, in the ledger.
const asserted = " (as the forge asserts)"

func (d *desk) approved() map[schemas.Ref][]string {
	out := map[schemas.Ref][]string{}
	for ref, all := range d.approvers {
		for _, a := range all {
			by := "principal:" + a.Principal
			if a.Class == trust.Forge {
				by += asserted
			}
			out[ref] = append(out[ref], by)
		}
	}
	return out
}
