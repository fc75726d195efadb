// Answering: what a monitor found and recorded becomes a proposal to train again, where it asks for
// one and nothing speaks against it. Controllers and people at a terminal answer alike.

package app

import (
	"context"
	"errors"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Answering is how a finding is answered.
type Answering struct {
	Bench   *measure.Bench
	Intent  *pass.Intent // of the tracked branch: nothing that a pull request declares is heard here
	Now     time.Time
	Refresh RefreshOptions
	// Ask opens a pull request; nil: people do.
	Ask func(ctx context.Context, p port.Proposal) (port.PullRequest, error)
}

// Answer proposes what m asks for, and records that. Where nothing is proposed, why says it; it is
// "" of a monitor that asks for nothing.
func (p *Proposer) Answer(ctx context.Context, m *measure.Measured, a Answering) (made *ledger.Proposed, why string, err error) {
	_, spec, err := trainingBehind(a.Intent, m.Ref)
	if err != nil || spec.OnDrift == nil {
		return nil, "", err
	}
	if why := watch.Refuses(spec, m.Evidence, m.Watched, a.Now); why != "" {
		return nil, why, nil
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
