// Pull requests that were merged into the tracked branch: each is told what became of it.

package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

// mostMerges is how many commits back merged pull requests are looked for.
const mostMerges = 50

// reportAllMerged brings the comments of merged pull requests up to what came of them.
func (o *Service) reportAllMerged(ctx context.Context, branch, head, since string) error {
	if o.Forge == nil {
		return nil
	}
	commits, err := o.Mirror.Merges(ctx, head, since, mostMerges)
	if err != nil {
		return err
	}
	told := map[int]bool{} // a rebased pull request is many commits
	for _, sha := range slices.Backward(commits) {
		pulls, err := o.Forge.MergedAs(ctx, sha)
		if err != nil {
			return fmt.Errorf("look for the pull requests merged as %.7s: %w", sha, err)
		}
		for _, p := range pulls {
			if p.Base != branch || !p.Merged || told[p.Number] {
				continue
			}
			told[p.Number] = true
			if err := o.reportMerged(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Service) reportMerged(ctx context.Context, p port.PullRequest) error {
	defer o.hold(p.Number)()
	v, err := o.visit(ctx, p)
	if err != nil {
		return err
	}
	_, err = v.merged(ctx)
	return err
}

// merged tells what came of a merged pull request so far, and takes the approvals
// that are given below it.
func (v *pullRequest) merged(ctx context.Context) (templates.Report, error) {
	r := templates.Report{Stage: templates.Merged, Pull: v.pull.Number, Base: v.pull.Base, Head: v.pull.HeadSHA, MergedAs: cmp.Or(v.pull.MergeSHA, v.pull.HeadSHA), Full: v.Full}
	// What is recorded here, approvals and retries, is said below the pull request
	// and not done on the branch: it needs no lease.
	h, err := v.Open(ctx, Scope{Branch: v.pull.Base, PullRequest: v.behalf(""), Merged: true})
	if err != nil {
		return r, err
	}
	defer h.Close()
	if v.rev, v.base, err = h.Head(ctx); err != nil {
		if r, err = broken(r, err); err != nil {
			return r, err
		}
		return r, v.publish(ctx, &r)
	}
	if v.pull.MergeSHA != "" {
		if in, err := v.Mirror.Contains(ctx, v.rev.SHA, v.pull.MergeSHA); err != nil || !in {
			return r, err // the branch was read before the merge: its next pass says what came of it
		}
	}
	if err := v.listen(ctx, v.base); err != nil {
		return r, err
	}
	if v.state.Stage == string(templates.Deployed) && !slices.ContainsFunc(v.orders, func(o order) bool { return o.fresh }) {
		r.Stage = templates.Deployed
		return r, nil // all was said
	}
	if err := v.backAndOn(ctx); err != nil {
		return r, err
	}
	p, err := h.Review(ctx, v.base, v.rev)
	if err != nil {
		return r, err
	}
	if p, err = v.retry(ctx, h, p); err != nil {
		return r, err
	}
	taken, err := v.assert(ctx, h, p)
	if err != nil {
		return r, err
	}
	if taken.recorded {
		if p, err = h.Review(ctx, v.base, v.rev); err != nil {
			return r, err
		}
	}
	shown := p.Plan
	r.Plan, r.Digest, r.BaseSHA = &shown, shown.Digest(), v.rev.SHA
	r.Approvals = approvals(p, taken.why)
	r.Records = records(p.World, func(e *ledger.Entry) bool {
		return e.Revision == v.rev.SHA || e.Revision == v.pull.MergeSHA || e.PullRequest != nil && e.PullRequest.Pull == v.pull.Number
	})
	switch r.Stage = stage(p, nil, true); {
	case len(p.Plan.Work()) == 0:
		r.Stage = templates.Deployed
	case r.Stage == templates.Settled:
		r.Stage = templates.Merged
		fallthrough
	default:
		r.Commands = commands(p, r.Stage, chatops.Retry, chatops.Explain, chatops.Approve, chatops.Help)
	}
	v.answers(&r, p)
	r.Again = slices.ContainsFunc(v.orders, func(o order) bool { return o.counts(v.careful) && (o.Verb == chatops.Apply || o.goesOn) })
	if err := v.publish(ctx, &r); err != nil {
		return r, err
	}
	return r, v.answer(ctx)
}

// Asks tells whether something below a merged pull request asks for another pass
// on its branch: an approval, or what somebody said who may, /vishwa apply or /vishwa resume.
func Asks(r templates.Report) bool { return r.Stage == templates.Merged || r.Again }
