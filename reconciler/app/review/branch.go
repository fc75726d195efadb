// The tracked branch: what is carried out there is shown beside its commit, and as
// deployments.

package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Branch carries out a tracked branch as it is now. Since is the revision that was
// carried out before, as far as the caller knows; the pull requests that were merged
// after it get their last word. A step that is held or fails is told in the report;
// an error is a reason to look again.
func (o *Service) Branch(ctx context.Context, branch, since string) (templates.Report, error) {
	r := templates.Report{Base: branch, Full: o.Full}
	if err := o.await(ctx); err != nil {
		return r, err
	}
	h, err := o.Open(ctx, Scope{Branch: branch})
	if err != nil {
		return r, err
	}
	defer h.Close()
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return r, err
	}
	r.Head, r.BaseSHA = rev.SHA, rev.SHA
	var mine chan struct{}
	result, applyErr := h.Apply(ctx, pass.ApplyOptions{Check: true, Confirm: func(p plan.Plan) error {
		mine = o.begin(branch, p)
		return o.announce(ctx, h, p)
	}})
	o.end(branch, mine)
	if len(result.Plan.Steps) > 0 {
		r.Looked = &result.Plan
	}
	if applyErr != nil {
		if r, err = broken(r, applyErr); err != nil {
			return r, err
		}
		if err := o.markBranch(ctx, r); err != nil {
			return r, err
		}
		return r, Unfinished{applyErr}
	}
	if err := o.settle(ctx, h, result); err != nil {
		return r, err
	}
	if err := o.left(ctx, h); err != nil {
		return r, err
	}
	if r, err = o.carried(ctx, h, r, result.Outcomes); err != nil {
		return r, err
	}
	r.Freed = plan.Freed(result.Plan, *r.Plan)
	if err := o.markBranch(ctx, r); err != nil {
		return r, err
	}
	if err := o.reportAllMerged(ctx, branch, rev.SHA, since); err != nil {
		return r, err
	}
	_, in, err := h.Head(ctx)
	if err != nil {
		return r, err
	}
	return r, o.passing(in, result)
}

// await lets the runs of merged pull requests end: what they make is wanted here, and
// is not made a second time.
func (o *Service) await(ctx context.Context) error {
	o.mu.Lock()
	var under []int
	for n := range o.runs {
		under = append(under, n)
	}
	o.mu.Unlock()
	for _, n := range under {
		p, err := o.Forge.Pull(ctx, n)
		if err != nil {
			return fmt.Errorf("look at pull request %d, whose runs are under way: %w", n, err)
		}
		if p.Merged {
			o.hold(n)()
		}
	}
	return ctx.Err()
}

// begin notes what is being made on a branch, until end. Who begins holds the
// repository's lock, so that whoever began before has made all of theirs.
func (o *Service) begin(branch string, p plan.Plan) (done chan struct{}) {
	keys := map[digest.Digest]bool{}
	for _, s := range p.Work() {
		keys[s.Key] = s.Key != ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready()
	if before, ok := o.acts[branch]; ok {
		close(before.done)
	}
	done = make(chan struct{})
	o.acts[branch] = action{keys, done}
	return done
}

func (o *Service) end(branch string, done chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a, ok := o.acts[branch]; ok && a.done == done {
		close(a.done)
		delete(o.acts, branch)
	}
}

// clash is closed when what the tracked branch makes of p is made; nil: nothing of it
// is being made there.
func (o *Service) clash(branch string, p plan.Plan) chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range p.Work() {
		if a, ok := o.acts[branch]; ok && a.keys[s.Key] {
			return a.done
		}
	}
	return nil
}

// passing is the error of a pass of which steps failed. What may pass by itself is worth
// another look right away; the rest is Unfinished.
func (o *Service) passing(in *pass.Intent, result pass.Result) error {
	err := o.unfinished(in, result.Outcomes, anyKind)
	if err == nil {
		return unasked(result.Plan)
	}
	var u Unfinished
	if !errors.As(err, &u) {
		return err
	}
	switch fault.Of(err) {
	case fault.Transient, fault.Conflict, fault.Cancelled:
		return u.Err
	}
	return err
}

// carried is the report of a branch as it stands after a pass.
func (o *Service) carried(ctx context.Context, h *Session, r templates.Report, outcomes []execute.Outcome) (templates.Report, error) {
	_, in, err := h.Head(ctx)
	if err != nil {
		return r, err
	}
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return r, err
	}
	p, err := h.Review(ctx, in, rev)
	if err != nil {
		return r, err
	}
	if o.Declared != nil {
		o.Declared(r.Base, in)
	}
	shown := p.Plan
	r.Plan, r.Digest = &shown, shown.Digest()
	r.Unobserved = len(p.World.Facts.Observed) == 0
	r.Approvals = approvals(p, nil)
	r.Records = records(p.World, func(e *ledger.Entry) bool { return e.Revision == rev.SHA })
	r.Runs = runs(p, outcomes, 0)
	r.Stage = templates.Deployed
	if len(p.Plan.Work()) > 0 {
		switch r.Stage = stage(p, outcomes, true); r.Stage {
		case templates.Settled:
			r.Stage = templates.Merged
		}
	}
	return r, nil
}

// records are the entries that of accepts, of what stands and of what was made, in
// the ledger's order.
func records(w *pass.Snapshot, of func(*ledger.Entry) bool) (out []templates.Record) {
	found := map[int64]*ledger.Entry{}
	for _, e := range w.Facts.Latest {
		found[e.Seq] = e
	}
	for e := range w.Facts.Made() { // a newer one of the same ref may be another's
		found[e.Seq] = e
	}
	maps.DeleteFunc(found, func(_ int64, e *ledger.Entry) bool { return !of(e) })
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		e := found[seq]
		rec := templates.Record{Seq: e.Seq, Action: e.Action, Ref: e.Ref, Made: made(e)}
		if e.Release != nil {
			rec.URL = e.Release.URL
		}
		out = append(out, rec)
	}
	return out
}

// made names what an entry is about: a model, the only output, or what was made
// under its key.
func made(e *ledger.Entry) digest.Digest {
	switch {
	case e.Model != nil:
		return e.Model.Artifact.Digest
	case len(e.Outputs) == 1:
		return e.Outputs[0].Digest
	}
	return e.Key
}

func (o *Service) markBranch(ctx context.Context, r templates.Report) error {
	if o.Forge == nil {
		return nil
	}
	m, err := markOf(applyMark, r)
	if err != nil {
		return err
	}
	if err := o.Forge.ReportStatus(ctx, m); err != nil {
		return fmt.Errorf("mark %.7s: %w", r.Head, err)
	}
	return nil
}

// announce shows the deployments that are about to change.
func (o *Service) announce(ctx context.Context, h *Session, p plan.Plan) error {
	if o.Forge == nil {
		return nil
	}
	_, in, err := h.Head(ctx)
	if err != nil {
		return err
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	for _, s := range p.Work() {
		if s.Held != "" || s.Pending || s.Do == plan.Retire || failing(facts, s.Ref, s.Key, 0) != nil {
			continue
		}
		if err := o.rollout(ctx, in, s, port.Deployment{SHA: p.Revision, State: port.Pending, Description: s.Why}); err != nil {
			return err
		}
	}
	return nil
}

// rollout shows a deployment's step; other steps are none.
func (o *Service) rollout(ctx context.Context, in *pass.Intent, s plan.Step, r port.Deployment) error {
	n := in.Graph.Node(s.Ref)
	if n == nil {
		return nil
	}
	serves, ok := n.Decl.Spec.(schemas.Serves)
	if !ok {
		return nil
	}
	r.Environment = serves.Serves().Environment
	_, err := o.deployment(ctx, s.Ref, s.Key, r)
	return err
}

// deployment shows that of a ref, with a key, and tells whether the forge took it.
func (o *Service) deployment(ctx context.Context, ref schemas.Ref, key digest.Digest, r port.Deployment) (taken bool, err error) {
	r.Key, r.Production = ref.String()+"@"+string(key), schemas.Production(r.Environment)
	switch err := o.Forge.ReportDeployment(ctx, r); {
	case fault.Of(err) == fault.Denied && err != nil: // what is shown decides nothing
		o.Log.Warn("deployments cannot be shown on the forge", "ref", ref.String(), "error", err, "hint", fault.WayOut(err))
		return false, nil
	case err != nil:
		return false, fmt.Errorf("show deployment %s: %w", ref, err)
	}
	failpoint.At(failpoint.Shown)
	return true, nil
}

// settle shows how the deployments ended.
func (o *Service) settle(ctx context.Context, h *Session, result pass.Result) error {
	if o.Forge == nil || len(result.Outcomes) == 0 {
		return nil
	}
	planned := map[schemas.Ref]plan.Step{}
	for _, s := range result.Plan.Steps {
		planned[s.Ref] = s
	}
	rev, in, err := h.Head(ctx)
	if err != nil {
		return err
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	for _, oc := range result.Outcomes {
		e := facts.Latest[oc.Ref]
		r := port.Deployment{SHA: rev.SHA, State: port.Succeeded, Description: oc.Text}
		switch {
		case !oc.Ref.Kind.Traits().Serves, oc.Do == plan.Retire: // left tells of these
			continue
		}
		s := planned[oc.Ref]
		switch {
		case oc.End == execute.Failed:
			r.State, r.Description = port.Failure, steady(facts, oc)
			if last := newest(facts, oc); last != nil && s.Key == "" { // it was not known when it was planned
				s.Key = ledger.KeyOf(*last)
			}
		case strings.HasPrefix(oc.Text, plan.RolledBack) && oc.End == execute.Held:
			r.State, r.Description = port.Failure, oc.Text
			s.Key = facts.RolloutOf(oc.Ref).Key
		case oc.End == execute.Held || e == nil:
			continue
		case facts.RolloutOf(oc.Ref).Phase.UnderWay(): // a part of the requests is no deployment yet
			r.State, s.Key = port.Pending, facts.RolloutOf(oc.Ref).Key
		default:
			s.Key = e.Key
			if e.Release != nil {
				r.URL = e.Release.URL
			}
		}
		if err := o.rollout(ctx, in, s, r); err != nil {
			return err
		}
	}
	return nil
}
