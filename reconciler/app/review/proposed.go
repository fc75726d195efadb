// An open pull request: what it would do, and what it waits for.

package review

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/controller/turn"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	monitor "github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

func (v *pullRequest) proposed(ctx context.Context) (templates.Report, error) {
	r := templates.Report{Pull: v.pull.Number, Base: v.pull.Base, Head: v.pull.HeadSHA, Full: v.Full}
	r, undone := v.consider(ctx, r)
	if errors.As(undone, new(Unfinished)) {
		return r, undone
	}
	if undone != nil {
		var err error
		if r, err = broken(r, undone); err != nil {
			return r, fmt.Errorf("pull request %d: %w", v.pull.Number, err)
		}
	}
	if r.Stage == templates.Broken {
		v.answers(&r, nil)
		if err := v.publish(ctx, &r); err != nil {
			return r, err
		}
		if err := v.answer(ctx); err != nil || undone == nil || fault.Of(undone) == fault.Invalid {
			return r, err
		}
		return r, Unfinished{undone}
	}
	return r, nil
}

// consider plans the pull request and, where that is allowed, makes what can be
// made before the merge. Where it returns a broken report, that is still to be said.
func (v *pullRequest) consider(ctx context.Context, r templates.Report) (templates.Report, error) {
	may, err := v.trusted(ctx)
	if err != nil {
		return r, err
	}
	v.careful = !may
	h, err := v.Open(ctx, Scope{Branch: v.pull.Base, PullRequest: v.behalf("")})
	if err != nil {
		return r, err
	}
	defer h.Close()
	if v.rev, v.base, err = h.Head(ctx); err != nil {
		return r, fault.WithHint(fmt.Errorf("the branch %s cannot be read: %w", v.pull.Base, err), "fix it first: nothing is judged without its rules")
	}
	if err := v.listen(ctx, v.base); err != nil {
		return r, err
	}
	r.BaseSHA, h.PullRequest.Base = v.rev.SHA, v.rev.SHA
	told := v.told(chatops.Train)
	if err := v.turn(ctx, told); err != nil {
		return r, err
	}
	ours, err := v.ours(ctx, h)
	if err != nil {
		return r, err
	}
	if may = may || told || ours; !may {
		h.Provisioner = unseeing{}
	}
	in, rev, err := v.merge(ctx, h, &r)
	if err != nil || r.Stage == templates.Broken {
		return r, err
	}
	p, err := h.Review(ctx, in, rev)
	if err != nil {
		return r, err
	}
	if p, err = v.retry(ctx, h, p); err != nil {
		return r, err
	}
	return v.pursue(ctx, h, p, r, may)
}

// told tells whether a command was given that counts, and not taken back.
func (v *pullRequest) told(verb chatops.Verb) bool {
	last := v.newest(verb, chatops.Cancel)
	return last != nil && last.Verb == verb
}

// trusted tells whether the author's code may run unasked: they may push to the
// repository itself, and are a person.
func (v *pullRequest) trusted(ctx context.Context) (bool, error) {
	if v.pull.Fork || v.pull.Author.Bot {
		return false, nil
	}
	may, err := v.Forge.Permission(ctx, v.pull.Author.Login)
	if err != nil {
		return false, fmt.Errorf("look what %s may do: %w", v.pull.Author.Login, err)
	}
	return may >= port.Writing, nil
}

// merge reads what the pull request would make of its base.
func (v *pullRequest) merge(ctx context.Context, h *Session, r *templates.Report) (*pass.Intent, port.Revision, error) {
	rev := port.Revision{Branch: v.pull.Head, Subject: v.pull.Title, Author: "github:" + v.pull.Author.Login}
	sha, conflicts := v.group, []string(nil)
	if sha == "" {
		var err error
		if sha, conflicts, err = v.Mirror.Merge(ctx, v.rev.SHA, v.pull.HeadSHA); err != nil {
			return nil, rev, err
		}
	}
	if len(conflicts) > 0 {
		r.Stage, r.Conflict = templates.Broken, conflicts
		return nil, rev, nil
	}
	rev.SHA = sha
	tree, err := h.Repo.Open(ctx, sha)
	if err != nil {
		return nil, rev, err
	}
	guest, _ := turn.Admission(ctx)
	in, alters, err := pass.Propose(ctx, tree, v.base, pass.Reading{Unvouched: guest})
	if err != nil {
		return nil, rev, err
	}
	if guest && slices.Contains(alters, "policy") {
		r.Notes = append(r.Notes, "The rules that it changes were not read: that is done once somebody who may write to the repository says /vishwa train.")
	}
	if r.Alters = alters; len(alters) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("It changes what judges it (%s): that counts from the merge on, and approvals that are given before do not hold after it.", strings.Join(alters, ", ")))
	}
	return in, rev, nil
}

// retry lets be tried again what people asked for.
func (v *pullRequest) retry(ctx context.Context, h *Session, p *pass.Proposal) (*pass.Proposal, error) {
	again := false
	for _, o := range v.orders {
		if o.Verb != chatops.Retry || !o.fresh || !o.counts(v.careful) {
			continue
		}
		entries, err := h.Retry(ctx, p.World, p.Plan, o.Ref, "asked for by github:"+o.remark.By.Login)
		if err != nil {
			return nil, err
		}
		again = again || len(entries) > 0
	}
	if !again {
		return p, nil
	}
	return h.Review(ctx, p.World.Intent, p.World.Revision)
}

// pursue says what is planned, runs what may run, takes approvals, and says again.
func (v *pullRequest) pursue(ctx context.Context, h *Session, p *pass.Proposal, r templates.Report, may bool) (templates.Report, error) {
	if err := v.stopLoose(ctx, keysOf(p.Plan)); err != nil {
		return r, err
	}
	run, why := v.goes(p, may)
	if why != "" {
		r.Notes = append(r.Notes, why)
	}
	r.Notes = append(r.Notes, p.KeptBack()...)
	r.Notes = append(r.Notes, verdicts(v.base, p.World.Facts)...)
	var outcomes []execute.Outcome
	if run && p.Runs() {
		r.Stage = templates.Running
		if err := v.fillReport(ctx, h, p, &r, nil); err != nil {
			return r, err
		}
		if v.quiet = v.state.Head == r.Head && onlyAgain(p.World.Facts, p.PreMerge(), v.pull.Number); !v.quiet {
			if err := v.publish(ctx, &r); err != nil {
				return r, err
			}
		}
		err := v.answer(ctx)
		if err != nil {
			return r, err
		}
		v.shown, v.proposal = r, p
		if p, outcomes, err = v.ahead(ctx, h, p); err != nil {
			return r, err
		}
	}
	voids, err := v.assert(ctx, h, p)
	if err != nil {
		return r, err
	}
	if voids.recorded {
		if p, err = h.Review(ctx, p.World.Intent, p.World.Revision); err != nil {
			return r, err
		}
	}
	r.Stage = stage(p, outcomes, run)
	r.Notes = append(r.Notes, unmade(p.World.Intent, p.World.Facts, outcomes)...)
	if err := v.fillReport(ctx, h, p, &r, outcomes); err != nil {
		return r, err
	}
	r.Approvals = approvals(p, voids.why)
	if err := v.envelope(ctx, p, &r); err != nil {
		return r, err
	}
	v.answers(&r, p)
	if err := v.publish(ctx, &r); err != nil {
		return r, err
	}
	if err := v.answer(ctx); err != nil {
		return r, err
	}
	return r, cmp.Or(v.unfinished(p.World.Intent, outcomes, notTheirs), delayed(p))
}

// ours tells whether it is the very commit that a monitor of the base proposed, where the base lets
// such ones be merged without a person: nothing of its code is new, and it runs unasked.
func (v *pullRequest) ours(ctx context.Context, h *Session) (bool, error) {
	if v.Service.Envelope == nil {
		return false, nil
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return false, err
	}
	asks, err := v.retraining(ctx, facts)
	return err == nil && asks != nil && len(asks.Strange()) == 0, err
}

// retraining is what may be merged within an envelope; nil: nothing. Anybody who may push can give a
// branch the name of a merge queue's.
func (v *pullRequest) retraining(ctx context.Context, facts *ledger.Facts) (*monitor.Retraining, error) {
	asks, err := v.Service.Envelope(ctx, v.pull, v.rev, v.base, facts)
	if asks != nil {
		asks.Queued = v.group != ""
	}
	return asks, err
}

// envelope says whether a person is needed for the merge, where the base asks for that to be judged.
func (v *pullRequest) envelope(ctx context.Context, p *pass.Proposal, r *templates.Report) error {
	if v.Service.Envelope == nil || r.Stage != templates.Settled && r.Stage != templates.Awaiting && r.Stage != templates.Blocked {
		return nil
	}
	asks, err := v.retraining(ctx, p.World.Facts)
	if err != nil || asks == nil {
		return err
	}
	asks.Head, asks.Alters, asks.Plan = p.World.Graph, r.Alters, p.Plan
	for _, m := range r.Models {
		if m.Ref == asks.Model {
			asks.Scores = m.Scores
		}
	}
	if asks.Cancelled, err = v.cancelled(ctx); err != nil {
		return err
	}
	why := asks.Outside()
	if r.Stage == templates.Blocked {
		why = append(why, "something is held, or failed")
	}
	if len(why) == 0 {
		r.Within = asks
		r.Notes = append(r.Notes, fmt.Sprintf("It keeps within the envelope of %s as %s declares it: it is merged without a person, and the ledger says so.", asks.Names(), v.pull.Base))
		return nil
	}
	const most = 8
	if n := len(why) - most; n > 0 {
		why = append(why[:most], fmt.Sprintf("and %d more", n))
	}
	r.Notes = append(r.Notes, fmt.Sprintf("It waits for a person, as it is outside the envelope of %s: %s.", asks.Monitor, strings.Join(why, "; ")))
	return nil
}

// stage is how far the pull request has come.
func stage(p *pass.Proposal, outcomes []execute.Outcome, ran bool) templates.Stage {
	for _, o := range outcomes {
		if o.End == execute.Failed {
			return templates.Blocked
		}
	}
	if len(p.Plan.Failed()) > 0 {
		return templates.Blocked
	}
	waits, delayed := false, len(p.Plan.Passing()) > 0
	for _, s := range p.Plan.Work() {
		switch {
		case s.Held == "", s.Passing: // delayed says so of the latter
		case s.Timed(), waitsForPeople(s.Held):
			waits = true
		case strings.HasPrefix(s.Held, "needs "):
		default:
			return templates.Blocked
		}
	}
	switch {
	case p.Runs() && !ran, len(p.KeptBack()) > 0:
		return templates.Planned
	case delayed:
		return templates.Delayed
	case waits:
		return templates.Awaiting
	}
	return templates.Settled
}

// waitsForPeople tells whether a step is held for want of an approval or of another word alone, as a release that is tried is until somebody promotes it.
func waitsForPeople(held string) bool {
	return strings.HasPrefix(held, ledger.ApprovalRule+": ") || strings.HasPrefix(held, ledger.SuspendedBy) || strings.HasPrefix(held, plan.InCanary)
}

// Reasons to end the runs of a pull request.
var (
	errMoved     = errors.New("the pull request has a newer commit")
	errClosed    = errors.New("the pull request was closed")
	errCancelled = errors.New("cancelled by a command")
)
