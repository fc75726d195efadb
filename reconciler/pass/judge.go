// Planning and judging: what the policies are told about each step.

package pass

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/made"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/schemas"
)

// Plan computes what to do for w and has it judged.
func (h *Reconciler) Plan(ctx context.Context, w *Snapshot, o ApplyOptions) (plan.Plan, error) {
	p, _, err := h.prepare(ctx, w, o)
	return p, err
}

// prepare is Plan with what it takes to carry the plan out: services, whose world is w with
// what was found missing.
func (h *Reconciler) prepare(ctx context.Context, seen *Snapshot, o ApplyOptions) (plan.Plan, *stepServices, error) {
	return h.judged(ctx, seen, o, false)
}

// judged is prepare, where all steps are judged, kept ones too, or those alone that do something.
func (h *Reconciler) judged(ctx context.Context, seen *Snapshot, o ApplyOptions, all bool) (plan.Plan, *stepServices, error) {
	w := seen.clone()
	w.Pull, w.Now = h.PullRequest != nil, h.Now()
	p, err := h.compute(ctx, w)
	if err != nil {
		return p, nil, err
	}
	if o.Check {
		if err := w.Policy.Check(ctx); err != nil {
			return p, nil, err
		}
	}
	p.Policy = w.Policy.Digest()
	if w.Trust != nil {
		p.Trust = w.Trust.Digest()
	}
	if !w.Dirty {
		p.Revision = h.recorded(w.Revision.SHA)
	}
	p, err = plan.Subset(holdDestroy(p, o.AllowDestroy), o.Targets)
	if err != nil {
		return p, nil, fault.WithHint(fault.New(fault.Invalid, "%w", err), "vishwa plan lists the refs")
	}
	p = p.Priced(h.Prices, w.Facts).Estimated(h.Prices, func(ref schemas.Ref) []byte { return w.Stacks[ref].Raw })
	d := &stepServices{Reconciler: h, world: w, orders: o, all: all, cost: p.Cost, monthly: p.Monthly}
	notes, err := d.approve(ctx, &p)
	if err != nil {
		return p, nil, err
	}
	if d.judgement, err = d.judge(ctx, p, policy.Planning, nil); err != nil {
		return p, nil, err
	}
	beside, err := h.dataFindings(ctx, w, p)
	if err != nil {
		return p, nil, err
	}
	told := slices.Concat(d.judgement, w.warnings(p), w.doubts(p), beside, h.placeFindings(ctx, w, p), h.passFindings(w, p), h.untriable(w, p), notes)
	return d.linger(plan.Gate(p, told)), d, nil
}

// warnings are what the programs that plan p's infrastructure warned of. A rule that
// wants more of them than to be seen finds them in its input.
func (w *Snapshot) warnings(p plan.Plan) (out []ledger.Finding) {
	for _, s := range p.Steps {
		for _, text := range w.Stacks[s.Ref].Warnings {
			out = append(out, ledger.Finding{Rule: "terraform/warning", Level: ledger.Warn, Ref: s.Ref, Message: text, Hint: "see what the module says there, or terraform plan in it"})
		}
	}
	return out
}

// doubts are what will not work of the declarations that p carries out, once each, though it has several candidates.
func (w *Snapshot) doubts(p plan.Plan) (out []ledger.Finding) {
	told := map[*schemas.Declaration]bool{}
	for s := range p.Working() {
		n := w.Graph.Node(s.Ref)
		if n == nil || s.Do == plan.Retire || told[n.Decl] {
			continue
		}
		told[n.Decl] = true
		for _, d := range n.Decl.Doubts {
			hint := "correct it, and commit that: vishwa validate says what remains"
			out = append(out, ledger.Finding{Rule: "command/script", Level: ledger.Warn, Ref: s.Ref, Message: d.Error(), Hint: hint})
		}
	}
	return out
}

// Check judges every step, kept ones too: what vishwa policy check shows.
func (h *Reconciler) Check(ctx context.Context, w *Snapshot) (plan.Plan, error) {
	p, d, err := h.judged(ctx, w, ApplyOptions{Check: true}, true)
	if err != nil {
		return p, err
	}
	return plan.Gate(p, d.judgement), nil
}

// judge gathers the evidence for p's steps and asks the engine. What act knows of
// a step, where it is acting, comes in material.
func (d *stepServices) judge(ctx context.Context, p plan.Plan, phase policy.Phase, material *execute.Material) ([]ledger.Finding, error) {
	judged := 0
	for i := range p.Steps {
		if p.Steps[i].Judged(d.all) {
			judged++
		}
	}
	subjects := make(map[schemas.Ref]policy.Subject, judged)
	known, origins, taken := made.Known{}, d.origins(p), d.taken(p)
	for i := range p.Steps {
		s := &p.Steps[i]
		n := d.world.Graph.Node(s.Ref)
		if n != nil && s.Do == plan.Keep && phase == policy.Planning && taken[s.Ref] {
			if e := d.world.entry(*s); e != nil {
				known.Add(n, e)
			}
		}
		if !s.Judged(d.all) {
			continue
		}
		if n != nil && s.Ref.Kind.Traits().Pinned {
			known.Add(n, nil) // its pin is known before it is recorded
		}
		subject, err := d.subject(ctx, *s, n, known, material)
		if err != nil {
			return nil, err
		}
		if subject.Data, err = origins.of(ctx, s.Ref); err != nil {
			return nil, err
		}
		subjects[s.Ref] = subject
	}
	return d.world.Policy.Judge(ctx, p, policy.Evidence{
		Time: d.Now(), Phase: phase, Project: d.world.Project, All: d.all, Cost: d.cost, Monthly: d.monthly,
		Of: func(ref schemas.Ref) policy.Subject { return subjects[ref] },
	})
}

// taken are the refs of p of which a step that is judged takes something: of them it is found out what they came out as.
func (d *stepServices) taken(p plan.Plan) map[schemas.Ref]bool {
	out := map[schemas.Ref]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if !s.Judged(d.all) {
			continue
		}
		if n := d.world.Graph.Node(s.Ref); n != nil {
			for _, ref := range n.Inputs {
				out[ref], out[ref.Whole()] = true, true
			}
		}
	}
	return out
}

// entry is what stands under a kept step.
func (w *Snapshot) entry(s plan.Step) *ledger.Entry {
	if s.Ref.Kind.Traits().Observed {
		return cmp.Or(w.Facts.Standing(w.Machine, s.Ref, s.Key), w.Facts.Latest[s.Ref])
	}
	return w.Facts.ByKey[s.Key]
}

// reported lists the metrics that the candidates of n report.
func reported(n *graph.Node, made func(schemas.Ref) *ledger.Entry) []string {
	names := map[string]bool{}
	for _, ref := range n.Candidates() {
		if e := made(ref); e != nil {
			for name := range e.Metrics {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// subject is what is known of one step.
func (d *stepServices) subject(ctx context.Context, s plan.Step, n *graph.Node, known made.Known, m *execute.Material) (policy.Subject, error) {
	out := policy.Subject{AllowDestroy: d.orders.AllowDestroy != nil && d.orders.AllowDestroy(s.Ref)}
	if change, ok := d.world.Stacks[s.Ref]; ok {
		out.Terraform, out.Warnings, out.Tests = change.Raw, change.Warnings, change.Tests
	}
	out.Hint = d.world.stackHints[s.Ref]
	if m != nil && m.Change != nil {
		out.Terraform, out.Warnings, out.Tests = m.Change.Raw, m.Change.Warnings, m.Change.Tests
	}
	out.Approvals, out.Guards = d.approvers[s.Ref], d.verdicts[s.Ref]
	if n == nil {
		return out, nil
	}
	out.Declaration = n.Decl
	var err error
	switch spec := n.Decl.Spec.(type) {
	case schemas.Data:
		out.Pin = n.Data.Digest
		if n.Points != nil {
			out.Pointer = n.Points.Name
		}
	case schemas.Runnable:
		for _, name := range sorted(n.Inputs) {
			in := policy.Input{Name: name, Ref: n.Inputs[name], Declared: true}
			if m != nil {
				in.Digest = m.Recipe.Inputs[name]
			} else {
				in.Digest, _ = known.Input(n.Inputs[name])
			}
			out.Inputs = append(out.Inputs, in)
		}
		if r, ok := ran(d.world.planned(d.key)(s.Ref)); ok {
			out.Run = &r
		}
	case schemas.Selects:
		if out.Model, err = d.candidate(ctx, s, n, spec.Selects().By, m); out.Model == nil {
			out.Reported = reported(n, d.world.planned(d.key))
		} else {
			out.Model.Scores = d.scores(s, m)
		}
	case schemas.Serves:
		if e := d.world.Facts.Latest[s.Ref]; e != nil && e.Release != nil {
			out.Was = e.Release.Environment
		}
		out.Begun = d.begun(s)
		out.Model, err = d.released(ctx, s, spec.Serves(), m)
		d.origin(s, n, m, &out)
	}
	return out, err
}
