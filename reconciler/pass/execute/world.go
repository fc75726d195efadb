// What acts on the world: provisioning, deploying, retiring.

package execute

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
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
	e := a.base(ledger.Provision, j)
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
	e.Key, e.Verdict, e.Approved, e.Failure = "", "", nil, &f
	e.Stack = record(change, outcome)
	return a.failed(ctx, j, e, err, len(outcome.Done) > 0 || outcome.Partial)
}

func record(change port.Change, outcome port.Outcome) *ledger.Stack {
	return &ledger.Stack{Tool: change.Tool, Done: outcome.Done, Change: change.Digest,
		Outputs: slices.Sorted(maps.Keys(outcome.Outputs)), Partial: outcome.Partial}
}

func (a *execution) deploy(ctx context.Context, j *job) error {
	spec := j.node.Decl.Spec.(*schemas.Deployment)
	selected := a.of(spec.Model)
	if selected == nil || selected.Model == nil {
		return fault.New(fault.Internal, "%s: %s is not released", j.Ref, spec.Model)
	}
	if err := a.judge(ctx, j, Material{Model: selected.Model, Metrics: selected.Metrics}); err != nil {
		return err
	}
	r, err := a.release(ctx, j, spec, selected)
	if err != nil {
		return err
	}
	live, err := a.Server.Apply(ctx, r)
	if err != nil {
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Deployed)
	e := a.base(ledger.Deploy, j)
	e.Model, e.Metrics = selected.Model, selected.Metrics
	e.Release = &ledger.Release{Environment: spec.Environment, URL: live.URL, Isolation: live.Isolation}
	if last := a.Facts.Latest[j.Ref]; last != nil && last.Model != nil && last.Model.Artifact.Digest != selected.Model.Artifact.Digest {
		e.Release.Replaced = last.Model.Artifact.Digest
	}
	return a.record(ctx, j, e)
}

// release is what the server is asked to serve.
func (a *execution) release(ctx context.Context, j *job, spec *schemas.Deployment, selected *ledger.Entry) (port.Release, error) {
	t := spec.Target.Local
	if err := a.Keep(ctx, j.node.Code); err != nil {
		return port.Release{}, err
	}
	ready := t.Ready
	if ready == "" {
		ready = "/v2/health/ready"
	}
	r := port.Release{
		Name: j.Ref.Name, Key: j.Key, Command: t.Run, Code: j.node.Code, Lock: j.node.Lock,
		Model: selected.Model.Artifact, Params: t.Params, Pass: t.Env.Pass, Port: t.Port,
		Ready: ready, Timeout: t.ReadyTimeout.Or(time.Minute), MaxBody: int64(t.MaxBody) << 20, Inputs: map[string][]byte{},
	}
	if a.Least != nil {
		r.Isolation = a.Least(j.Ref)
	}
	if a.Replaces != nil {
		r.Over = a.Replaces(j.Ref)
	}
	for _, need := range spec.Needs {
		a.mu.Lock()
		outputs := a.outputs[need]
		a.mu.Unlock()
		values := map[string]json.RawMessage{}
		for name, o := range outputs {
			values[name] = o.Value
		}
		raw, err := json.Marshal(values)
		if err != nil {
			return r, fault.New(fault.Internal, "%s: encode the outputs of %s: %w", j.Ref, need, err)
		}
		r.Inputs[need.Name] = raw
	}
	return r, nil
}

// retire stops a deployment or destroys a stack that is declared no more.
func (a *execution) retire(ctx context.Context, j *job) error {
	var m Material
	if change, ok := a.Changes[j.Ref]; ok {
		m.Change = &change
	}
	if err := a.judge(ctx, j, m); err != nil {
		return err
	}
	last := a.Facts.Latest[j.Ref]
	e := a.base(ledger.Retire, j)
	e.Model, e.Release = last.Model, last.Release
	switch j.Ref.Kind {
	case "deployment":
		if _, err := a.Server.Apply(ctx, port.Release{Name: j.Ref.Name}); err != nil {
			return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
		}
	case "infrastructure":
		stack, err := a.Stack(ctx, j.Ref)
		if err != nil {
			return err
		}
		if m.Change == nil {
			return fault.WithHint(fault.New(fault.Conflict, "%s: could not be looked at for the plan", j.Ref), "run vishwa plan, and apply that")
		}
		change := *m.Change
		outcome, err := a.Provisioner.Apply(ctx, stack, change)
		if err != nil {
			return a.broken(ctx, j, change, outcome, err)
		}
		e.Stack = record(change, outcome)
	}
	got, err := a.Append(context.WithoutCancel(ctx), e)
	if err != nil {
		return err
	}
	j.seq = got.Seq
	return nil
}
