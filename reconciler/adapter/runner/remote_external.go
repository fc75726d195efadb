// External work: what a team has already is begun in place of a worker, and what it wrote below
// an address of this run's own is fetched, hashed and kept. Nothing else of it is known, and
// nothing of it is believed: it ran at no level of isolation.

package runner

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// externalFolder is where all external work writes: one may let others write there, and nowhere else.
const externalFolder = "external/"

// externalGrace is what a tool has to end what is over its time, beyond our own clock.
const externalGrace = 10 * time.Minute

// launcherOf is what begins a launch.
func (r *remote) launcherOf(l launch) port.Launcher {
	if l.Job.External != nil && r.External != nil {
		return r.External(*l.Job.External)
	}
	return r.Launcher
}

// delegated is the task of external work.
func (r *remote) delegated(ctx context.Context, l launch, t port.Task) (port.Task, error) {
	if r.External == nil || r.Shelf == nil {
		return t, fault.WithHint(fault.New(fault.Invalid, "%s begins no external work", r.Name), "name a runner of airflow, kubeflow (pipelines), kubernetes or ray")
	}
	e := &port.Delegation{Is: *l.Job.External, Vars: map[string]string{port.ExternalOutputs: strings.TrimRight(r.Outside, "/") + "/" + strings.TrimSuffix(l.prefix(), "/")}}
	params := l.Job.Params
	if params == nil {
		params = map[string]any{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return t, err
	}
	e.Vars["VISHWA_PARAMS"] = string(raw)
	lent, err := r.lendInputs(ctx, l, t)
	if err != nil {
		return t, err
	}
	for name, in := range l.Job.Inputs {
		if in.Files != nil {
			return t, fault.WithHint(fault.New(fault.Invalid, "input %s is a folder, which cannot be handed to external work", name), "pack it into one file, or let the work find its data itself")
		}
		e.Vars["VISHWA_INPUT_"+sandbox.VarName(name)] = lent.Read[in.Digest]
	}
	for _, file := range e.Is.Files() {
		i := slices.IndexFunc(l.Job.Code, func(f digest.File) bool { return f.Path == path.Clean(file) })
		if i < 0 {
			return t, fault.New(fault.Internal, "%s is not among the files of %s", file, l.Job.Ref)
		}
		if e.Manifest, err = artifact.ReadAll(ctx, r.Store, l.Job.Code[i].Digest); err != nil {
			return t, err
		}
	}
	t.External, t.Nodes, t.Resources = e, 0, l.Job.RunsOn.Resources
	return t, nil
}

// lendInputs lends external work its inputs for as long as it may take: what it was begun with
// cannot be given to it anew, as a worker's can. What ends before its time-out is not lent.
func (r *remote) lendInputs(ctx context.Context, l launch, t port.Task) (dispatch.Renewal, error) {
	if len(l.Job.Inputs) == 0 {
		return dispatch.Renewal{}, nil
	}
	now := r.Env.Now()
	lent, err := r.lendFor(ctx, l, loanOf{Until: now.Add(t.Deadline), Next: 1, Anew: true})
	if err != nil {
		return lent, err
	}
	if timeout := t.Deadline - externalGrace; lent.Until.Before(now.Add(timeout)) {
		return lent, fault.WithHint(fault.New(fault.Transient, "the links to its inputs would end after %s, before its timeout of %s", lent.Until.Sub(now).Round(time.Second), timeout),
			"declare a timeout that is shorter than that, or let Vishwa sign with credentials that last longer: those of a role end with its session, and no link lasts longer than 7 days")
	}
	return lent, nil
}

// takeAway removes the task of a run that has ended. What external work left on its tool is the
// team's to look at: it is ended where it has not, and left there.
func (r *remote) takeAway(ctx context.Context, l launch, id port.TaskID) error {
	by := r.launcherOf(l)
	if l.Job.External != nil {
		if st, err := by.Observe(ctx, id); err == nil && st.Phase == port.TaskEnded {
			return nil
		}
	}
	return by.Remove(ctx, id)
}

// externalResult keeps what external work wrote, which ended well.
func (r *remote) externalResult(ctx context.Context, l launch) (port.Result, error) {
	o := dispatch.Outside{Shelf: r.Shelf, Prefix: l.prefix(), Store: r.Store, Most: r.Wall.Filled(0).Limits.Disk}
	res, err := o.Result(ctx, l.Job)
	res.Started, res.Finished = l.Begun, r.Env.Now()
	return res, err
}
