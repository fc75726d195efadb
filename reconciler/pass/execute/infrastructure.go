// Infrastructure: what a plan of the provisioner says is done to the world.

package execute

import (
	"context"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func (a *execution) provision(ctx context.Context, j *job) error {
	stack, err := a.Stack(ctx, j.Ref)
	if err != nil {
		return err
	}
	change, ok := a.Changes[j.Ref]
	if !ok {
		if change, err = a.Provisioner.Diff(ctx, stack); err != nil {
			return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
		}
		if !change.Empty {
			return fault.WithHint(fault.New(fault.Conflict, "%s: could not be looked at for the plan, and has a change now that nobody has seen", j.Ref), "run vishwa plan, and apply that")
		}
	}
	if err := a.judge(ctx, j, Material{Change: &change}); err != nil {
		return err
	}
	outcome := port.Outcome{Outputs: change.Outputs}
	if !change.Empty {
		if outcome, err = a.Provisioner.Apply(ctx, stack, change); err != nil {
			return a.broken(ctx, j, change, outcome, err)
		}
		if outcome.Unread {
			err := fault.WithHint(fault.New(fault.Transient, "%s: provisioned, and its outputs cannot be read", j.Ref), "run vishwa apply again")
			return a.broken(ctx, j, change, outcome, err)
		}
	}
	failpoint.At(failpoint.Provisioned)
	e := a.base(done(j), j)
	e.Stack = record(change, outcome)
	a.mu.Lock()
	a.outputs[j.Ref] = outcome.Outputs
	a.mu.Unlock()
	return a.record(ctx, j, e)
}

// broken records a change that ended before all of it was done.
func (a *execution) broken(ctx context.Context, j *job, change port.Change, outcome port.Outcome, err error) error {
	f := ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}
	e := a.base(ledger.Fail, j)
	if fault.Of(err) == fault.Cancelled {
		e.Action = ledger.Cancel
	}
	e.Key, e.Verdict, e.Failure = "", "", &f
	e.ApprovedBy(nil)
	e.Stack = record(change, outcome)
	return a.failed(ctx, j, e, err, len(outcome.Done) > 0 || outcome.Partial)
}

func record(change port.Change, outcome port.Outcome) *ledger.Stack {
	return &ledger.Stack{Tool: change.Tool, Done: outcome.Done, Change: change.Digest,
		Outputs: slices.Sorted(maps.Keys(outcome.Outputs)), Partial: outcome.Partial}
}

// destroy takes away what was provisioned.
func (a *execution) destroy(ctx context.Context, j *job, change *port.Change, e *ledger.Entry) error {
	stack, err := a.Stack(ctx, j.Ref)
	if err != nil {
		return err
	}
	if change == nil {
		return fault.WithHint(fault.New(fault.Conflict, "%s: could not be looked at for the plan", j.Ref), "run vishwa plan, and apply that")
	}
	outcome, err := a.Provisioner.Apply(ctx, stack, *change)
	if err != nil {
		return a.broken(ctx, j, *change, outcome, err)
	}
	e.Stack = record(*change, outcome)
	return nil
}
