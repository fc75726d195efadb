// Answering: what a monitor found and recorded becomes a proposal to train again, where it asks for
// one and nothing speaks against it. Controllers and people at a terminal answer alike.

package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Answering is how a finding is answered.
type Answering struct {
	Bench   *measure.Bench
	Intent  *pass.Intent // of the tracked branch: nothing that a pull request declares is heard here
	Now     time.Time
	Refresh RefreshOptions
	// Ask opens a pull request, and Open lists those that are open onto the tracked branch; nil: people
	// open them.
	Ask  func(ctx context.Context, p port.Proposal) (port.PullRequest, error)
	Open func(ctx context.Context, base string) ([]port.PullRequest, error)
}

// Answer proposes what m asks for, and records that. Where nothing is proposed, why says it; it is
// "" of a monitor that asks for nothing.
func (p *Proposer) Answer(ctx context.Context, m *measure.Measured, a Answering) (made *ledger.Proposed, why string, err error) {
	training, spec, err := trainingBehind(a.Intent, m.Ref)
	if err != nil || spec.OnDrift == nil {
		return nil, "", err
	}
	if why := watch.Refuses(spec, m.Evidence, m.Watched, a.Now); why != "" {
		return nil, why, nil
	}
	if why, err := p.openAlready(ctx, m.Ref, training.Metadata.Name, a); err != nil || why != "" {
		return nil, why, err
	}
	got, err := p.Retrain(ctx, a.Intent, *m, m.At, a.Refresh, a.Ask)
	if none := (Needless{}); errors.As(err, &none) {
		return nil, none.Why, nil
	}
	if err != nil {
		return nil, "", err
	}
	return &got, "", a.Bench.RecordProposal(ctx, m, got, p.Head)
}

// openAlready says which other proposal for a training is open, of its calendar or another monitor; ""
// where none is. People who look at one are not given another under the same name.
func (p *Proposer) openAlready(ctx context.Context, monitor schemas.Ref, training string, a Answering) (string, error) {
	if a.Open == nil {
		return "", nil
	}
	open, err := a.Open(ctx, p.Base)
	if err != nil {
		return "", fmt.Errorf("look for open proposals: %w", err)
	}
	for _, pull := range open {
		switch {
		case pull.Fork:
		case pull.Head == Calendars+p.Base+"/"+training:
			return fmt.Sprintf("pull request %d, which the training's calendar asked for, is open", pull.Number), nil
		case pull.Head == Retrainings+p.Base+"/"+training:
			for _, ref := range slices.SortedFunc(maps.Keys(p.Facts.Observed), schemas.Ref.Compare) {
				if ref != monitor && proposedLast(p.Facts, ref) == pull.HeadSHA {
					return fmt.Sprintf("pull request %d, which %s proposed, is open", pull.Number, ref), nil
				}
			}
		}
	}
	return "", nil
}
