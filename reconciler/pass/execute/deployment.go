// A deployment: a released model is served.

package execute

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/runtimes"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *execution) deploy(ctx context.Context, j *job, spec *schemas.Deployment) error {
	if err := a.rolls(j); err != nil {
		return err
	}
	if j.Move != nil {
		return a.try(ctx, j, spec)
	}
	selected := a.of(spec.Model)
	if selected == nil || selected.Model == nil {
		return fault.New(fault.Internal, "%s: %s is not released", j.Ref, spec.Model)
	}
	if err := a.judge(ctx, j, Material{Model: selected.Model, Metrics: selected.Metrics}); err != nil {
		return err
	}
	if why := plan.Frozen(j.Step, j.node, a.Live[j.Ref], a.Now()); why != "" {
		return untimely{why} // what was made first took until the freeze
	}
	r, err := a.release(ctx, j, spec, selected)
	if err != nil {
		return err
	}
	if h := r.Hosted(); h != nil && a.Live[j.Ref].Health == port.Ready {
		a.sendEvent(j.Ref, Output, fmt.Sprintf("what serves goes on until the new release has answered for %s", h.MinReady))
	}
	live, err := a.Server.Apply(ctx, r)
	if err != nil {
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Deployed)
	return a.record(ctx, j, a.deployed(j, spec, selected, live))
}

// release is what the server is asked to serve.
func (a *execution) release(ctx context.Context, j *job, spec *schemas.Deployment, selected *ledger.Entry) (port.Release, error) {
	_, how, field := spec.Target.Served()
	if how == nil {
		return port.Release{}, fault.New(fault.Internal, "%s names no target", j.Ref)
	}
	if err := a.Keep(ctx, j.node.Code); err != nil {
		return port.Release{}, err
	}
	r := port.Release{
		Name: j.Ref.Name, Key: j.Key, Model: selected.Model.Artifact, Signature: selected.Model.Signature, Params: how.Params,
		Ready: cmp.Or(how.Ready, schemas.ReadyPath), Timeout: how.ReadyTimeout.Or(time.Minute), Inputs: map[string][]byte{},
	}
	servedBy(&r, j, &spec.Target)
	if ref := spec.Target.Packaged(); ref != (schemas.Ref{}) {
		packed := a.of(ref) // made by this pass, or known of old: after a rollback, that of the model that comes back
		if packed == nil || packed.Model == nil || packed.Model.Artifact.Digest != r.Model.Digest {
			packed = a.Facts.PackageOf(ref, r.Model.Digest)
		}
		if packed == nil || packed.Package == nil {
			return r, fault.WithHint(fault.New(fault.Missing, "%s: %s never had the model %s", j.Ref, ref, r.Model.Digest.Short()), "release a model that was packed, or take package out of %s", field)
		}
		r.Package = packed.Package.Reference()
		if err := contain(&r, &spec.Target, packed); err != nil {
			return r, err
		}
	}
	if err := runtimes.Begin(ctx, a.Store, &r, &spec.Target); err != nil {
		return r, err
	}
	if a.Least != nil {
		r.Isolation = a.Least(j.Ref)
	}
	r.Log, r.Git = logged(j, spec), spec.Delivery.ByGit()
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

// contain has the image of a package serve, where the target says so: what it runs is recorded with the package.
func contain(r *port.Release, by *schemas.Target, packed *ledger.Entry) error {
	if !by.Contained() {
		return nil
	}
	if packed.Package.Serving == nil || !packed.HasRecipe() {
		return fault.WithHint(fault.New(fault.Missing, "%s: entry %d packed no image that serves", packed.Ref, packed.Seq), "release a model that was packed with one")
	}
	image := packed.Package.Repository + "@" + string(packed.Package.Serving.Digest)
	recipe := packed.Recipe()
	r.Contained, r.Params = true, recipe.Params
	if r.Docker != nil {
		r.Docker.Image, r.Docker.Command = image, recipe.Command
	}
	if r.Kubernetes != nil {
		r.Kubernetes.Image, r.Kubernetes.Run = image, recipe.Command
	}
	return nil
}

// servedBy gives r the part that is its target's own.
func servedBy(r *port.Release, j *job, by *schemas.Target) {
	if t := by.Kubernetes; t != nil {
		r.Timeout = t.ReadyTimeout.Or(5 * time.Minute) // a node may have to fetch an image first, or be there first
		r.Kubernetes = &port.KubernetesRelease{KubernetesTarget: *t, Code: j.node.Code}
		return
	}
	if t := by.KServe; t != nil {
		r.Ready, r.Timeout = t.Ready, t.ReadyTimeout.Or(5*time.Minute)
		r.KServe = &port.KServeRelease{KServeTarget: *t}
		return
	}
	if t := by.Seldon; t != nil {
		r.Timeout, r.Seldon = t.ReadyTimeout.Or(5*time.Minute), &port.SeldonRelease{SeldonTarget: *t}
		return
	}
	if t := by.SeldonDeployment; t != nil {
		r.Timeout, r.SeldonDeployment = t.ReadyTimeout.Or(5*time.Minute), &port.SeldonDeploymentRelease{SeldonDeploymentTarget: *t}
		return
	}
	if t := by.TFServing; t != nil {
		r.Ready, r.Timeout, r.TFServing = "", t.ReadyTimeout.Or(5*time.Minute), &port.TFServingRelease{TFServingTarget: *t} // its address says how it is
		return
	}
	w, hosted, _ := by.Hosted()
	here := port.Hosted{Command: w.Run, Code: j.node.Code, Pass: w.Env.Pass, Port: hosted.Port, MaxBody: int64(hosted.MaxBody) << 20, MinReady: hosted.MinReady.Or(port.MinReady)}
	if t := by.Docker; t != nil {
		r.Docker = &port.DockerRelease{Hosted: here, Host: t.Host, Image: t.Image, ContainerPort: cmp.Or(t.ContainerPort, 8080), CPU: t.Resources.CPU, Memory: t.Resources.Memory, Traefik: t.Traefik}
		return
	}
	r.Local = &port.LocalRelease{Hosted: here, Lock: j.node.Lock}
}

// served is the entry of what was planned for want of a key, and is served as it is.
func (a *execution) served(s plan.Step) *ledger.Entry {
	if live := a.Live[s.Ref]; s.Pending && live.Key == s.Key && live.Health == port.Ready {
		return a.Facts.Standing(a.Machine, s.Ref, s.Key)
	}
	return nil
}

// stop ends what is served.
func (a *execution) stop(ctx context.Context, j *job, _ *port.Change, _ *ledger.Entry) error {
	if _, err := a.Server.Apply(ctx, port.Release{Name: j.Ref.Name}); err != nil {
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	return nil
}
