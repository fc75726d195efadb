// Rolling back: what served before serves again, as it was recorded, until somebody
// resumes what the branch declares. Nothing is trained or released for it, and nobody is
// asked again: it is what was approved and carried out then.

package pass

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Rollback is what is to serve again.
type Rollback struct {
	To      *ledger.Entry         // the deploy entry of the release
	Reason  string                // for everybody who meets the deployment, 1 to 500 bytes
	Confirm func(plan.Plan) error // asked before anything is done; an error stops
}

// Rollback suspends a deployment and serves the release of an earlier entry of it again, so
// that no apply undoes it, whatever is interrupted in between. Today's rules judge it; a release that its revision no longer
// makes, or whose model is not in the store, is a Conflict and nothing is done.
func (h *Reconciler) Rollback(ctx context.Context, o Rollback) (Result, error) {
	if strings.TrimSpace(o.Reason) == "" || len(o.Reason) > mostReason {
		return Result{}, fault.WithHint(fault.New(fault.Invalid, "a rollback needs a reason of 1 to %d bytes, which status and the log show", mostReason), "give one: --reason TEXT")
	}
	note := func(text string) { h.sendEvent(execute.Event{Kind: execute.Output, Text: text}) }
	ctx, unlock, err := h.Lock(ctx, note)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if h.Lease != nil {
		held, release, err := h.Lease(ctx, note)
		if err != nil {
			return Result{}, err
		}
		defer release()
		ctx = held
	}
	rev, head, err := h.Head(ctx)
	if err != nil {
		return Result{}, err
	}
	declined := false
	if ask := o.Confirm; ask != nil {
		o.Confirm = func(p plan.Plan) error {
			err := ask(p)
			declined = err != nil
			return err
		}
	}
	out, held, err := h.goBack(ctx, head, rev, o)
	failed := err
	if failed == nil {
		failed = out.Err()
	}
	switch {
	case failed == nil && len(out.Outcomes) == 0:
		return out, nil
	case failed == nil:
		return out, h.retell(ctx, rev, o)
	case h.letGo(ctx, rev, o, held, declined, failed):
		return out, fault.WithHint(fmt.Errorf("%s is suspended, and its rollback is not done: %w", o.To.Ref, failed), "run the same rollback again; to give it up: vishwa resume %s", o.To.Ref)
	}
	return out, err
}

// goBack serves the release again. What it suspended for that is told also where it fails.
func (h *Reconciler) goBack(ctx context.Context, head *Intent, rev port.Revision, o Rollback) (out Result, held *ledger.Entry, err error) {
	w, err := h.asOf(ctx, head, rev, o.To)
	if err != nil {
		return Result{}, nil, err
	}
	p, services, err := h.prepare(ctx, w, ApplyOptions{Targets: []schemas.Ref{o.To.Ref}})
	if err != nil {
		return Result{Plan: p}, nil, err
	}
	if len(p.Work()) == 0 {
		if p, err = h.unrecorded(ctx, p, o.To); err != nil || len(p.Work()) == 0 {
			return Result{Plan: p}, nil, err
		}
	}
	work := p.Work()
	if s := work[0]; len(work) > 1 || s.Ref != o.To.Ref || !s.Restores {
		return Result{Plan: p}, nil, fault.WithHint(fault.New(fault.Conflict, "the release of entry %d cannot be served as it was: %s", o.To.Seq, unlike(work, o.To)),
			"revert the commit that changed it, and apply that")
	}
	err = claimsItsOwn(w, o.To)
	if err == nil {
		err = h.takesNothing(ctx, w, o.To)
	}
	if err != nil {
		return Result{Plan: p}, nil, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(p); err != nil {
			return Result{Plan: p}, nil, err
		}
	}
	silent := work[0].Unanswered()
	if work[0].Held == "" || silent { // else nothing of it is done
		if held, err = h.hold(ctx, rev, o); err != nil {
			return Result{Plan: p}, held, err
		}
	}
	if silent { // whoever asked for it tries again
		return Result{Plan: p}, held, notAsked(work[0])
	}
	services.rollback = &o
	return Result{Plan: p, Outcomes: execute.Run(ctx, p, h.kit(p, services))}, held, nil
}

// unrecorded is p with a step that records what serves as it is to, where the ledger says that another release does: whoever had it go
// back was killed before they recorded that.
func (h *Reconciler) unrecorded(ctx context.Context, p plan.Plan, to *ledger.Entry) (plan.Plan, error) {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return p, err
	}
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Ref == to.Ref && s.Key == to.Key })
	if last := facts.Latest[to.Ref]; last == nil || last.Key == to.Key || i < 0 {
		return p, nil
	}
	p.Steps = slices.Clone(p.Steps)
	p.Steps[i].Do, p.Steps[i].Restores, p.Steps[i].Why = plan.Remake, true, "is served, but not recorded"
	return p, nil
}

// hold suspends what is to go back, before anything of it does: a pass that comes after whoever is killed on the way undoes nothing.
// What is suspended already is held as well, by whomever: nothing is said over that. Nil: nothing was recorded.
func (h *Reconciler) hold(ctx context.Context, rev port.Revision, o Rollback) (*ledger.Entry, error) {
	for try := 0; ; try++ {
		facts, err := h.Ledger.Facts(ctx)
		if err != nil || facts.Suspension(o.To.Ref) != nil {
			return nil, err
		}
		e, err := h.recordWord(ctx, rev, ledger.HoldFor(o.To.Ref, o.To.Seq, o.Reason), ledger.First)
		if err == nil || fault.Of(err) != fault.Conflict || try == 2 { // else somebody suspended it at the same moment
			return &e, err
		}
	}
}

// retell has the suspension tell what serves, where it tells of an earlier rollback. What a person said for a reason of their own stays, and so
// does what somebody said meanwhile.
func (h *Reconciler) retell(ctx context.Context, rev port.Revision, o Rollback) error {
	facts, err := h.Ledger.Facts(ctx)
	if err == nil {
		was := facts.Suspension(o.To.Ref)
		if to := was.HeldFor(); to == 0 || to == o.To.Seq {
			return nil
		}
		_, err = h.recordWord(ctx, rev, ledger.HoldFor(o.To.Ref, o.To.Seq, o.Reason), was.Seq)
	}
	if err == nil || fault.Of(err) == fault.Conflict {
		return nil
	}
	return fmt.Errorf("%s serves the release of entry %d again, and what its suspension says cannot be brought up to date: %w", o.To.Ref, o.To.Seq, err)
}

// letGo takes back the suspension of a rollback that failed for good, so that what is declared goes on, whichever try recorded it. What
// is to be tried again, and what the release serves after already, stays held: it tells whether that is so. What is suspended for something
// else, or for a rollback that was done before, is as it was.
func (h *Reconciler) letGo(ctx context.Context, rev port.Revision, o Rollback, held *ledger.Entry, declined bool, failed error) bool {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return held != nil
	}
	hold, last := facts.Suspension(o.To.Ref), facts.Latest[o.To.Ref]
	if hold.HeldFor() != o.To.Seq || last != nil && last.Rollback() && last.Release.Restores == o.To.Seq {
		return false
	}
	if k := fault.Of(failed); declined || k == fault.Transient || k == fault.Cancelled || hold.Release == nil { // by words alone a person may have suspended it
		return true
	}
	if live, err := h.Server.Observe(ctx, o.To.Ref.Name); err != nil || live.Key == o.To.Key {
		return true
	}
	_, err = h.recordWord(ctx, rev, ledger.Entry{Action: ledger.Resume, Ref: o.To.Ref, Reason: fmt.Sprintf("the rollback to entry %d failed", o.To.Seq)}, hold.Seq)
	return err != nil && fault.Of(err) != fault.Conflict // else somebody said meanwhile what is to be
}

// asOf is what e's revision declared, under the rules and the trust of the tracked
// branch, and as if its deployment had been left as e recorded it.
func (h *Reconciler) asOf(ctx context.Context, head *Intent, rev port.Revision, e *ledger.Entry) (*Snapshot, error) {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	last := facts.Latest[e.Ref]
	if last == nil || last.Action != ledger.Deploy || last.Release == nil || e.Release == nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is not deployed: there is nothing to roll back", e.Ref), "vishwa log %s --action deploy lists its releases", e.Ref)
	}
	if was, is := e.Release.Environment, last.Release.Environment; schemas.Place(was) != schemas.Place(is) {
		return nil, fault.WithHint(fault.New(fault.Denied, "entry %d released %s to %s, and it is in %s now: nobody approved that release there", e.Seq, e.Ref, was, is), "choose a release of %s, or declare the change and have it approved", is)
	}
	tree, err := h.Repo.Open(ctx, e.Revision)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("open revision %.7s of entry %d: %w", e.Revision, e.Seq, err), "fetch the full history of the tracked branch")
	}
	in, _, err := Propose(ctx, tree, head, Reading{})
	if err != nil {
		return nil, fmt.Errorf("read revision %.7s of entry %d: %w", e.Revision, e.Seq, err)
	}
	in.Project = head.Project
	then := facts.Clone()
	then.Stand(e)
	if p := packageThen(in, then, e); p != nil {
		then.Stand(p)
	}
	maps.DeleteFunc(then.Suspended, func(ref schemas.Ref, _ *ledger.Entry) bool { return ref == e.Ref || e.Ref.Whole() == ref })
	return observe(ctx, in, rev, h.Observers, func() (*ledger.Facts, error) { return then, nil })
}

// packageThen is the package that e's release was served from; nil: from none.
func packageThen(in *Intent, facts *ledger.Facts, e *ledger.Entry) *ledger.Entry {
	n := in.Graph.Node(e.Ref)
	if n == nil || e.Model == nil {
		return nil
	}
	spec, ok := n.Decl.Spec.(schemas.Serves)
	if !ok || spec.Serves().Package == (schemas.Ref{}) {
		return nil
	}
	if r := e.Recipe(); r != nil { // of one model there may be several, with other code
		for p := range facts.Packages(spec.Serves().Package) {
			if p.Key == r.Inputs["package"] {
				return p
			}
		}
	}
	return facts.PackageOf(spec.Serves().Package, e.Model.Artifact.Digest)
}

// unlike says why the work that serves e again is not only that.
func unlike(work []plan.Step, e *ledger.Entry) string {
	for _, s := range work {
		switch {
		case s.Ref != e.Ref:
			return fmt.Sprintf("%s would have to be made again (%s)", s.Ref, s.Why)
		case s.Do == plan.Retire:
			return fmt.Sprintf("revision %.7s does not declare it", e.Revision)
		}
	}
	return fmt.Sprintf("revision %.7s makes another release of it (%s)", e.Revision, work[0].Why)
}

// restored says in e, the entry of a release that serves again, what it was rolled back
// to and what it replaces.
func (d *stepServices) restored(ctx context.Context, e *ledger.Entry) error {
	facts, err := d.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	r := *e.Release
	r.Restores, r.Replaced = d.rollback.To.Seq, ""
	if last := facts.Latest[e.Ref]; last != nil && last.Model != nil && last.Model.Artifact.Digest != e.Model.Artifact.Digest {
		r.Replaced = last.Model.Artifact.Digest
	}
	e.Release, e.Approved, e.Approvers = &r, d.rollback.To.Approved, d.rollback.To.Approvers
	e.Reason = fmt.Sprintf("rolled back to entry %d: %s", d.rollback.To.Seq, d.rollback.Reason)
	return nil
}
