// Pull requests: what a change would do, judged as it will be when it is merged, by
// rules that it cannot change.

package pass

import (
	"cmp"
	"context"
	"io/fs"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Propose reads what tree declares, under the rules, the trust and the guards of
// base: a change does not judge itself. Alters names which of them the change
// alters; they count from the merge on. They must be in order nevertheless.
func Propose(ctx context.Context, tree fs.FS, base *Intent, how Reading) (in *Intent, alters []string, err error) {
	in = &Intent{Tree: tree}
	if how.Unvouched {
		err = in.named(ctx, base)
	} else {
		err = in.readAll(ctx, readAhead(ctx, tree))
	}
	if err != nil {
		return nil, nil, err
	}
	if in.Policy == nil || in.Policy.Digest() != base.Policy.Digest() {
		alters = append(alters, "policy")
		if in.Policy != nil {
			if err := in.Policy.Check(ctx); err != nil {
				return nil, nil, err
			}
		}
	}
	if (in.Trust == nil) != (base.Trust == nil) || in.Trust != nil && in.Trust.Digest() != base.Trust.Digest() {
		alters = append(alters, "trust")
	}
	own := in.Project
	was, err := digest.JSON(base.Project)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "name the project: %w", err)
	}
	now, err := digest.JSON(own)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "name the project: %w", err)
	}
	if was != now {
		alters = append(alters, "project")
	}
	in.Policy, in.Trust, in.Base = base.Policy, base.Trust, base
	guarded := *base.Project
	guarded.Environments = maps.Clone(own.Environments) // a new one guards nothing that there is
	if guarded.Environments == nil {
		guarded.Environments = map[string]schemas.Environment{}
	}
	maps.Copy(guarded.Environments, base.Project.Environments)
	in.Project = &guarded
	return in, alters, nil
}

// Reading says how the tree of a pull request is read.
type Reading struct {
	// Unvouched is the tree of somebody whom nobody vouches for: the rules that it changes
	// are not compiled. They count from the merge on, and their compiler, which knows
	// neither bound nor end, is not to be had before somebody has looked at them.
	Unvouched bool
}

// named is read, with the rules of base where the tree has the same, and none where it has others.
func (in *Intent) named(ctx context.Context, base *Intent) error {
	if err := in.readAll(ctx, nil); err != nil {
		return err
	}
	name, err := policy.Name(endingTree(ctx, in.Tree), in.Project.Policy.Paths)
	if err == nil && name == base.Policy.Digest() {
		in.Policy = base.Policy
	}
	return cmp.Or(stopped(ctx), err)
}

// Proposal is what a pull request asks for, planned and judged.
type Proposal struct {
	World    *Snapshot
	Plan     plan.Plan
	services *stepServices
}

// Review plans and judges in, as it would be at rev.
func (h *Reconciler) Review(ctx context.Context, in *Intent, rev port.Revision) (*Proposal, error) {
	w, err := Observe(ctx, in, rev, h.Observers)
	if err != nil {
		return nil, err
	}
	p, d, err := h.prepare(ctx, w, ApplyOptions{})
	if err != nil {
		return nil, err
	}
	return &Proposal{d.world, p, d}, nil
}

// PreMerge is the part of the plan that can be done before the merge. What pull requests may
// not run where it is declared to run is held there.
func (p *Proposal) PreMerge() plan.Plan {
	out := p.World.keepBack(p.Plan)
	out.Steps = slices.DeleteFunc(out.Steps, func(s plan.Step) bool {
		return s.Do == plan.Retire || !s.Ref.Kind.Traits().PreMerge
	})
	return out
}

// Runs tells whether something can be made before the merge: a step that is not held.
func (p *Proposal) Runs() bool {
	return slices.ContainsFunc(p.PreMerge().Work(), func(s plan.Step) bool { return s.Held == "" })
}

// Make makes what can be made before the merge. It records for whom.
func (h *Reconciler) Make(ctx context.Context, p *Proposal) []execute.Outcome {
	kit := h.kit(p.Plan, p.services)
	kit.Provisioner, kit.Server, kit.Packager = nil, nil, nil // nothing of Ahead asks for them
	return execute.Run(ctx, p.PreMerge(), kit)
}

// Approvers are the people whose approval of the plan counts, by deployment.
func (p *Proposal) Approvers() map[schemas.Ref][]trust.Approver { return p.services.approvers }

// Assert records that a forge says that a principal approved the plan. An approval
// that does not hold is an error, and one that is recorded already is not recorded
// again.
func (h *Reconciler) Assert(ctx context.Context, p *Proposal, r trust.Request) (recorded bool, err error) {
	r.After = Newest(p.World.Facts)
	statement, err := r.Statement()
	if err != nil {
		return false, err
	}
	for _, e := range p.World.Facts.Approvals {
		if asserts(e, r) && p.World.placed(e) == nil {
			return false, nil
		}
	}
	if err := p.World.Placed(trust.Signed{Statement: statement}, p.World.Facts.Count, h.Now()); err != nil {
		return false, err
	}
	for ref := range r.Models {
		if _, err := h.Approver(ctx, p.World, ref, trust.Signed{Statement: statement}, r.Want); err != nil {
			return false, err
		}
	}
	if h.PushersUnknown && p.asksOther() {
		return false, fault.WithHint(fault.New(fault.Denied, "trust.yaml does not know who wrote the change, and the forge does not say who pushed it: nobody can count as a second person"),
			"approve it by signature, with one person more (unknownAuthors: two), or have it committed by people of trust.yaml")
	}
	e := ledger.Entry{
		Action: ledger.Approve, Revision: r.Revision, Author: p.World.Revision.Author, Plan: r.Plan, Policy: r.Policy, Verdict: "allow",
		Actor:    h.Actor.String(),
		Approval: &ledger.Approval{Principal: r.Principal, Statement: statement},
	}
	e.ApprovedBy([]ledger.Approver{{Principal: r.Principal, Class: trust.Forge}})
	_, err = h.Ledger.Append(ctx, h.stamp(e))
	return err == nil, err
}

// asksOther tells whether a guard asks for the word of somebody who did not push.
func (p *Proposal) asksOther() bool {
	for _, all := range p.services.verdicts {
		if slices.ContainsFunc(all, func(v guard.Verdict) bool { return v.Unknown == schemas.UnknownOther && len(v.Strange) > 0 }) {
			return true
		}
	}
	return false
}

// Retry lets the failed keys of ref, as p has them, be tried again, and tells how many there were.
func (h *Reconciler) Retry(ctx context.Context, w *Snapshot, p plan.Plan, ref schemas.Ref, reason string) (entries []ledger.Entry, err error) {
	for _, s := range p.Steps {
		if s.Ref != ref && s.Ref.Whole() != ref && ref != (schemas.Ref{}) {
			continue
		}
		for _, key := range s.Keys() {
			back := w.Facts.RolloutOf(s.Ref)
			if w.Facts.Failed[key].N == 0 && (back.Phase != rollout.RolledBack || back.Key != key || h.PullRequest != nil) {
				continue
			}
			e, err := h.Ledger.Append(ctx, h.stamp(ledger.Entry{Action: ledger.Retry, Ref: s.Ref, Key: key, Revision: h.recorded(w.Revision.SHA), Author: w.Revision.Author, Actor: h.Actor.String(), Reason: reason}))
			if err != nil {
				return entries, err
			}
			h.Repeats.Forget(s.Ref)
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// Need is what a deployment of p asks of people.
type Need struct {
	Ref     schemas.Ref
	Where   string // environment
	Count   int
	Roles   []string
	Reviews bool // what a forge asserts counts
	Given   []trust.Approver
}

// Needs lists the deployments of p that people must approve, once for each guard that
// asks for something else.
func (p *Proposal) Needs() (out []Need) {
	for _, s := range p.Plan.Work() {
		for _, v := range p.services.verdicts[s.Ref] {
			n := Need{Ref: s.Ref, Where: v.Place, Count: v.Needs, Roles: v.Roles, Reviews: v.Reviews}
			for _, w := range v.Given {
				n.Given = append(n.Given, trust.Approver{Principal: w.Principal, Roles: v.Roles, Class: w.Class})
			}
			same := func(o Need) bool {
				return o.Ref == n.Ref && o.Where == n.Where && o.Count == n.Count && o.Reviews == n.Reviews && slices.Equal(o.Roles, n.Roles)
			}
			if i := slices.IndexFunc(out, same); i < 0 {
				out = append(out, n)
			} else if len(n.Given) < len(out[i].Given) {
				out[i].Given = n.Given
			}
		}
	}
	return out
}
