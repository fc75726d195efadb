// Proposing to train again: what a monitor found becomes a commit on a branch of its own, for
// people to merge.

package app

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Retrainings begins the names of branches on which retrainings are proposed.
const Retrainings = "vishwa/retrain/"

// Needless is why a retraining that was asked for is not proposed.
type Needless struct{ Why string }

func (n Needless) Error() string { return "no retraining is proposed: " + n.Why }

// retraining is a proposal under way.
type retraining struct {
	*Proposer
	in   *pass.Intent // of the tracked branch: nothing that a pull request declares is heard here
	spec *schemas.Monitor
	text templates.RetrainText
	at   time.Time // of the entry that records the finding: the same finding gives the same commit
	ask  func(ctx context.Context, p port.Proposal) (port.PullRequest, error)
}

// Retrain proposes that the training behind a monitor's deployment is done again. There is one
// branch a training, so that there is one open proposal.
func (p *Proposer) Retrain(ctx context.Context, in *pass.Intent, m measure.Measured, at time.Time, o RefreshOptions,
	ask func(ctx context.Context, p port.Proposal) (port.PullRequest, error)) (ledger.Proposed, error) {
	r := &retraining{Proposer: p, in: in, at: at, ask: ask}
	training, spec, err := trainingBehind(in, m.Ref)
	if err != nil {
		return ledger.Proposed{}, err
	}
	r.spec = spec
	r.text = templates.RetrainText{Training: training.Ref(), Evidence: m.Evidence, Name: m.Name, Entry: m.Seq, Cause: watch.Cause(m.Evidence)}
	branch := Retrainings + p.Base + "/" + training.Metadata.Name
	was, err := p.Tip(ctx, branch)
	if err != nil {
		return ledger.Proposed{}, err
	}
	parent, err := p.below(ctx, was)
	if err != nil {
		return ledger.Proposed{}, err
	}
	sha := was
	r.text.Theirs = was != "" && parent == was
	if !r.text.Theirs { // else people have put commits on the proposal
		if sha, err = r.commit(ctx, training, o); err != nil {
			return ledger.Proposed{}, err
		}
		if sha != was {
			if err := p.Move(ctx, branch, was, sha); err != nil {
				return ledger.Proposed{}, err
			}
		}
	}
	out := ledger.Proposed{Cause: r.text.Cause, Time: at, Branch: branch, SHA: sha, Others: r.text.Theirs}
	if ask == nil {
		return out, nil
	}
	pull, err := ask(ctx, port.Proposal{Base: p.Base, Head: branch, SHA: sha, Title: r.text.Subject(), Body: r.text.Body()})
	out.Pull = pull.Number
	return out, err
}

// trainingBehind is the training whose model a monitor's deployment serves.
func trainingBehind(in *pass.Intent, monitor schemas.Ref) (*schemas.Declaration, *schemas.Monitor, error) {
	find := func(ref schemas.Ref) *schemas.Declaration {
		for i := range in.Decls {
			if in.Decls[i].Ref() == ref {
				return &in.Decls[i]
			}
		}
		return nil
	}
	d := find(monitor)
	if d == nil {
		return nil, nil, fault.WithHint(fault.New(fault.Missing, "%s is not declared", monitor), "vishwa plan -v lists what is declared; the branch may have changed meanwhile")
	}
	spec := d.Spec.(schemas.Watches).Watches()
	if d = find(spec.Deployment); d == nil {
		return nil, nil, fault.WithHint(fault.New(fault.Missing, "%s is not declared", spec.Deployment), "vishwa plan -v lists what is declared; the branch may have changed meanwhile")
	}
	if d = find(d.Spec.(schemas.Serves).Serves().Model); d == nil {
		return nil, nil, fault.WithHint(fault.New(fault.Missing, "the model of %s is not declared", spec.Deployment), "vishwa plan -v lists what is declared; the branch may have changed meanwhile")
	}
	from := d.Spec.(schemas.Selects).Selects().From
	if d = find(from); d == nil {
		return nil, nil, fault.WithHint(fault.New(fault.Missing, "%s is not declared", from), "vishwa plan -v lists what is declared; the branch may have changed meanwhile")
	}
	return d, spec, nil
}

// commit is the pins of the data that has moved, or the training's next round where none has.
func (r *retraining) commit(ctx context.Context, training *schemas.Declaration, o RefreshOptions) (string, error) {
	files := map[string][]byte{}
	for _, ref := range r.spec.OnDrift.Data {
		moved, pin, err := r.pin(ctx, r.in, ref, o)
		if err != nil {
			return "", err
		}
		r.text.Pins = append(r.text.Pins, pin...)
		maps.Copy(files, moved)
	}
	if len(files) == 0 {
		next, err := r.nextRound(r.in, training, watch.Reason(r.text.Evidence, r.text.Entry), files)
		if err != nil {
			return "", err
		}
		r.text.Round = &next
	}
	return r.Repo.Write(ctx, repo.CommitDraft{Parent: r.Head, Files: files, Message: r.text.Message(), Time: r.at, Sign: r.Sign})
}

// nextRound puts the training's file with its next round into files. It is Needless where another
// round is known to give the same model.
func (p *Proposer) nextRound(in *pass.Intent, training *schemas.Declaration, reason string, files map[string][]byte) (schemas.Round, error) {
	next := schemas.Round{Number: 1, Reason: reason}
	if why := watch.Repeats(p.Facts, training.Ref()); why != "" {
		return next, Needless{why}
	}
	raw, err := fs.ReadFile(in.Tree, training.Pos.File)
	if err != nil {
		return next, fault.New(fault.Internal, "read %s: %w", training.Pos.File, err)
	}
	if was := training.Spec.(schemas.Rounds).Rounds(); was != nil {
		next.Number = was.Number + 1
	}
	if files[training.Pos.File], err = schemas.SetRound(raw, training.Ref(), next); err != nil {
		return next, fmt.Errorf("%s: %w", training.Pos.File, err)
	}
	return next, nil
}

// pin is the new pin of a dataset whose data has moved; nothing of one that has not.
func (p *Proposer) pin(ctx context.Context, in *pass.Intent, ref schemas.Ref, o RefreshOptions) (map[string][]byte, []templates.PinText, error) {
	for _, d := range in.Decls {
		if d.Ref() != ref {
			continue
		}
		s, err := o.inspectSource(ctx, in.Tree, d)
		if err != nil || !s.moved {
			return nil, nil, err
		}
		got, files, err := p.fetchForCommit(ctx, s, p.Head, o)
		if err != nil {
			return nil, nil, err
		}
		return files, []templates.PinText{PinText(got)}, nil
	}
	return nil, nil, fault.WithHint(fault.New(fault.Missing, "%s is not declared", ref), "vishwa plan -v lists what is declared; the branch may have changed meanwhile")
}
