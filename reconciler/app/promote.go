// Promoting: somebody gave an environment another release in a registry of others, as by an alias of MLflow. That is a wish and no more: what
// declares that release is proposed, for people to merge, and guards and approvals are as ever.

package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Promotions begins the names of branches on which releases are proposed that registries of others were told to serve.
const Promotions = "vishwa/promote/"

// Promote proposes to take back the commits since which ref declares another release than the one that it was given in a tracker. Each
// release has a branch of its own: whoever moves an alias again changes nothing that people read.
func (p *Proposer) Promote(ctx context.Context, ref schemas.Ref, tracker string, m port.TrackerMoved,
	ask func(ctx context.Context, p port.Proposal) (int, string, error)) (Proposed, error) {
	by := p.Facts.ByKey[m.To]
	if by == nil || by.Action != ledger.Select || by.Model == nil {
		return Proposed{}, Unreverted{"the ledger does not know that release"}
	}
	want, err := p.declaring(ctx, ref, by)
	if err != nil {
		return Proposed{}, err
	}
	made, err := p.made(ctx, ref, want)
	if err != nil {
		return Proposed{}, err
	}
	text := templates.PromoteText{Deployment: ref, Model: by.Ref, Environment: m.Environment, Tracker: tracker, From: m.From, To: m.At,
		Release: by.Seq, Digest: by.Model.Artifact.Digest, Commits: made}
	branch := Promotions + p.Base + "/" + ref.Name + "/" + by.Key.Short()
	same, err := p.undoneOn(ctx, branch, undoing{ref, made, text.Message(), by.Time}, want)
	if err != nil {
		return Proposed{}, err
	}
	text.Theirs, text.Beside = same.theirs, same.beside
	out := Proposed{Branch: branch, SHA: same.sha}
	if ask != nil {
		out.Pull, out.URL, err = ask(ctx, port.Proposal{Base: p.Base, Head: branch, SHA: out.SHA, Title: text.Subject(), Body: text.Body()})
	}
	return out, err
}

// declaring is what a commit declares of ref that is known to declare the release that by selected: one that ref, or another deployment, was
// made to serve it from, or the one that it was selected from.
func (p *Proposer) declaring(ctx context.Context, ref schemas.Ref, by *ledger.Entry) (stated, error) {
	var revisions []string
	serve := func(e *ledger.Entry) {
		if e.Action == ledger.Deploy && e.Release != nil && e.Release.Selected == by.Key && !e.Rollback() && !slices.Contains(revisions, e.Revision) {
			revisions = append(revisions, e.Revision)
		}
	}
	if p.Releases != nil {
		releases, err := p.Releases(ctx, ref)
		if err != nil {
			return stated{}, err
		}
		for _, e := range slices.Backward(releases) {
			serve(&e)
		}
	}
	for _, e := range p.Facts.Latest {
		serve(e)
	}
	slices.Sort(revisions[min(len(revisions), 1):])
	if by.PullRequest == nil && !slices.Contains(revisions, by.Revision) {
		revisions = append(revisions, by.Revision)
	}
	for _, sha := range revisions[:min(len(revisions), mostServed)] {
		selects, err := p.selects(ctx, sha, by.Ref)
		if fault.Of(err) == fault.Missing { // of a history that was written anew
			continue
		}
		if err != nil {
			return stated{}, err
		}
		if selects != by.Key {
			continue
		}
		if d, err := p.declares(ctx, sha, ref); err != nil || d.all != "" {
			return d, err
		}
	}
	return stated{}, Unreverted{fmt.Sprintf("no commit of the branch declares the release of entry %d for %s, as far as is known; declare it", by.Seq, ref)}
}

// selects is the key by which the declarations of a commit select model; "" where it is not known.
func (p *Proposer) selects(ctx context.Context, sha string, model schemas.Ref) (digest.Digest, error) {
	tree, err := p.Repo.Open(ctx, sha)
	if err != nil {
		return "", err
	}
	in, err := pass.Read(ctx, tree)
	if fault.Of(err) == fault.Invalid {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, s := range plan.Compute(in.Graph, plan.Observed{Facts: p.Facts}).Steps {
		if s.Ref == model && !s.Pending {
			return s.Key, nil
		}
	}
	return "", nil
}
