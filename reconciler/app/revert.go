// Reverting: a release that was rolled back is declared still, and nothing tries it again. The commits that made it are taken back in one,
// for people to merge, or on the tracked branch where its declaration says so.

package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Reverts begins the names of branches on which reverts are proposed.
const Reverts = "vishwa/revert/"

// mostReverted bounds how many commits are looked through, back to the one that made what serves.
const mostReverted = 100

// Unreverted is why nothing is proposed to be reverted.
type Unreverted struct{ Why string }

func (u Unreverted) Error() string { return "no revert is proposed: " + u.Why }

// Revert proposes to take back the commits that made the release of ref that was rolled back, or, where direct, takes them back on the
// tracked branch. There is one branch a deployment, so that there is one open proposal. What takes them back declares what serves, or
// nothing is proposed.
func (p *Proposer) Revert(ctx context.Context, ref schemas.Ref, direct bool,
	ask func(ctx context.Context, p port.Proposal) (int, string, error)) (Proposed, error) {
	back, serves := p.Facts.Rollouts[ref], p.Facts.Latest[ref]
	if back == nil || back.Rollout == nil || serves == nil || serves.Action != ledger.Deploy {
		return Proposed{}, Unreverted{fmt.Sprintf("%s has no release that was rolled back", ref)}
	}
	want, err := p.served(ctx, ref, serves)
	if err != nil {
		return Proposed{}, err
	}
	made, err := p.made(ctx, ref, want)
	if err != nil {
		return Proposed{}, err
	}
	text := templates.RevertText{Deployment: ref, Entry: back.Seq, Why: back.Reason, Release: back.Key, Serves: serves.Seq,
		Canary: back.Rollout.Canary, Baseline: back.Rollout.Baseline, Pairs: back.Rollout.Pairs, Commits: made}
	if direct {
		out, err := p.revertHere(ctx, text, back.Time, want)
		if k := fault.Of(err); err == nil || k == fault.Transient || k == fault.Conflict || k == fault.Cancelled {
			return out, err
		}
		// More would go back than the release, or the branch takes no commits, or not this one's: people merge it.
	}
	branch := Reverts + p.Base + "/" + ref.Name
	same, err := p.undoneOn(ctx, branch, undoing{ref, made, text.Message(), back.Time}, want)
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

// revertHere takes the commits back on the tracked branch, where nothing else goes back with them: no person reads it before it counts.
func (p *Proposer) revertHere(ctx context.Context, text templates.RevertText, at time.Time, want stated) (Proposed, error) {
	sha, err := p.undo(ctx, undoing{text.Deployment, text.Commits, text.Message(), at}, want)
	if err != nil {
		return Proposed{}, err
	}
	if more, err := p.beside(ctx, p.Head, sha, text.Deployment); err != nil || len(more) > 0 {
		if err == nil {
			err = Unreverted{"with it would go back " + strings.Join(more, ", ") + "; people decide that"}
		}
		return Proposed{}, err
	}
	if err := p.Move(ctx, p.Base, p.Head, sha); err != nil {
		return Proposed{}, err
	}
	return Proposed{Branch: p.Base, SHA: sha}, nil
}

// undoing is a commit that takes others back.
type undoing struct {
	deployment schemas.Ref
	commits    []templates.RevertedCommit
	message    string
	at         time.Time
}

// undo is the commit, where it declares again what serves.
func (p *Proposer) undo(ctx context.Context, u undoing, want stated) (string, error) {
	d := repo.CommitDraft{Parent: p.Head, Message: u.message, Time: u.at, Sign: p.Sign}
	for _, c := range u.commits {
		d.Undo = append(d.Undo, c.SHA)
	}
	sha, err := p.Repo.Write(ctx, d)
	if errors.Is(err, repo.ErrUnchanged) {
		return "", Unreverted{fmt.Sprintf("without %s every file is as it is now; declare something else", shas(u.commits))}
	}
	if fault.Of(err) == fault.Conflict {
		return "", Unreverted{err.Error() + "; revert by hand: git revert " + strings.Join(d.Undo, " ")}
	}
	if err != nil {
		return "", err
	}
	if got, err := p.declares(ctx, sha, u.deployment); err != nil || got.all == "" || !got.same(want) {
		switch {
		case err != nil:
		case got.bad != "":
			err = Unreverted{fmt.Sprintf("without %s the branch is not valid: %s; declare something else", shas(u.commits), got.bad)}
		default:
			err = Unreverted{fmt.Sprintf("without %s the branch does not declare what is to serve; declare something else", shas(u.commits))}
		}
		return "", err
	}
	return sha, nil
}

func shas(commits []templates.RevertedCommit) string {
	var out []string
	for _, c := range commits {
		out = append(out, c.SHA[:min(len(c.SHA), 7)])
	}
	return strings.Join(out, ", ")
}

// made are the commits of the tracked branch, newest first, each of which changed what is declared of ref, back to where the branch
// declared what serves.
func (p *Proposer) made(ctx context.Context, ref schemas.Ref, want stated) ([]templates.RevertedCommit, error) {
	line, err := p.Repo.Merges(ctx, p.Head, want.at, mostReverted+1)
	if err != nil {
		return nil, err
	}
	if len(line) == 0 || len(line) > mostReverted {
		return nil, Unreverted{fmt.Sprintf("%d commits were looked through for the one that made what serves, %.7s; revert by hand", len(line), want.at)}
	}
	if in, err := p.Repo.Contains(ctx, p.Head, want.at); err != nil || !in {
		if err == nil || fault.Of(err) == fault.Missing {
			err = Unreverted{fmt.Sprintf("the branch does not hold %.7s any more, which made what serves; declare something else", want.at)}
		}
		return nil, err
	}
	var out []templates.RevertedCommit
	w := p.Remember.begin(ref)
	defer func() { p.Remember.end(ref, w) }()
	now, err := p.declared(ctx, w, line[0], ref)
	for i, sha := range line {
		if err != nil {
			return nil, err
		}
		if now.same(want) {
			break
		}
		before := want.at
		if i+1 < len(line) {
			before = line[i+1]
		}
		var was stated
		if was, err = p.declared(ctx, w, before, ref); err != nil || was.same(now) {
			continue
		}
		now = was
		message, err := p.Repo.Message(ctx, sha)
		if err != nil {
			return nil, err
		}
		subject, _, _ := strings.Cut(message, "\n")
		out = append(out, templates.RevertedCommit{SHA: sha, Subject: subject})
	}
	if err == nil && len(out) == 0 {
		err = Unreverted{"the branch declares what serves already"}
	}
	return out, err
}

// undone is a commit of a branch that takes others back, and what is told of it.
type undone struct {
	sha    string
	theirs bool     // others have put commits on it
	beside []string // what goes back with it
}

// undoneOn has branch be a commit that takes others back: the one that it is already, or a new one.
func (p *Proposer) undoneOn(ctx context.Context, branch string, u undoing, want stated) (undone, error) {
	was, err := p.Tip(ctx, branch)
	if err != nil {
		return undone{}, err
	}
	out, err := p.sameUndoing(ctx, was, u, want)
	if err != nil || out.sha != "" {
		return out, err
	}
	if out.sha, err = p.undo(ctx, u, want); err != nil {
		return undone{}, err
	}
	if out.beside, err = p.beside(ctx, p.Head, out.sha, u.deployment); err != nil {
		return undone{}, err
	}
	return out, p.Move(ctx, branch, was, out.sha)
}

// sameUndoing is the commit of the branch where a controller made it with u's message, and it declares what is to serve, or where others have
// put commits on it; none elsewhere. It is kept though the tracked branch has moved on: one that people closed stays closed. What goes back
// with it is told by its own parent then.
func (p *Proposer) sameUndoing(ctx context.Context, tip string, u undoing, want stated) (undone, error) {
	if tip == "" {
		return undone{}, nil
	}
	if parent, err := p.below(ctx, tip); err != nil || parent == tip {
		return undone{sha: parent, theirs: err == nil}, err
	}
	if ours, err := p.ours(ctx, tip); err != nil || !ours {
		return undone{}, err
	}
	is, err := p.Repo.Message(ctx, tip)
	if err != nil || is != u.message {
		return undone{}, err
	}
	if got, err := p.declares(ctx, tip, u.deployment); err != nil || got.all == "" || !got.same(want) {
		return undone{}, err // made by a program that did not look, or before what serves was another release
	}
	parents, err := p.Repo.Merges(ctx, tip, "", 2)
	if err != nil || len(parents) < 2 {
		return undone{}, err
	}
	beside, err := p.beside(ctx, parents[1], tip, u.deployment)
	return undone{sha: tip, beside: beside}, err
}
