// A package: a released model is sent to where others fetch it, signed there, and named.

package execute

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// pack sends what is not there, attaches the signatures, and lets the tags move last: what a
// tag names is whole and signed. Where it was stopped half-way, nothing names it, and the next
// time goes on.
func (a *execution) pack(ctx context.Context, j *job) error {
	if a.Packager == nil {
		return fault.New(fault.Internal, "%s: nothing packs here", j.Ref)
	}
	spec := j.node.Decl.Spec.(schemas.Packs).Packs()
	selected := a.of(spec.Model)
	if selected == nil || selected.Model == nil {
		return fault.New(fault.Internal, "%s: %s is not released", j.Ref, spec.Model)
	}
	if err := a.judge(ctx, j, Material{Model: selected.Model, Metrics: selected.Metrics}); err != nil {
		return err
	}
	packed, err := a.published(ctx, j, spec, selected)
	if err != nil {
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Deployed)
	e := a.base(done(j), j)
	e.Model, e.Metrics, e.Package = selected.Model, selected.Metrics, &packed
	return a.record(ctx, j, e)
}

func (a *execution) published(ctx context.Context, j *job, spec schemas.Packing, selected *ledger.Entry) (port.Packed, error) {
	at := port.Registry{Repository: spec.OCI.Repository, PlainHTTP: spec.OCI.PlainHTTP}
	if err := a.Keep(ctx, j.node.Code); err != nil {
		return port.Packed{}, err
	}
	packed, err := a.Packager.Push(ctx, port.Package{
		At: at, Name: spec.Model.Name, Model: selected.Model.Artifact, Image: Imaged(j.node, spec.Image), Known: Sent(a.Facts),
		Tell: func(line string) { a.sendEvent(j.Ref, Output, line) },
	})
	if err != nil {
		return packed, err
	}
	var was *port.Packed
	if last := a.latest(j.Ref); last != nil {
		was = last.Package
	}
	evidence, err := a.Attest(ctx, selected.Model, packed, was)
	if err != nil {
		return packed, err
	}
	var from []digest.Digest
	for e := range a.Facts.Packages(j.Ref) {
		from = append(from, e.Package.Digest)
	}
	return a.Packager.Publish(ctx, at, packed, evidence, port.PackageTags{Names: spec.OCI.Tags, From: from})
}

// Imaged is the image that serves, of what n is made of.
func Imaged(n *graph.Node, of *schemas.ServingImage) *port.ServingImage {
	if of == nil {
		return nil
	}
	return &port.ServingImage{Base: of.Base, Platform: of.On(), Run: of.Run, Code: n.Code, Lock: n.Lock, Params: of.Params, Port: of.Port()}
}

// Sent are all layers that the ledger knows of.
func Sent(facts *ledger.Facts) (out []port.PackageLayer) {
	for e := range facts.Made() {
		if e.Package == nil {
			continue
		}
		for _, l := range e.Package.Layers {
			l.Repository = e.Package.Repository
			out = append(out, l)
		}
	}
	return out
}

// leave lets a package that is no longer declared be: others may have deployed it by its digest.
func (a *execution) leave(_ context.Context, j *job, _ *port.Change, e *ledger.Entry) error {
	if last := a.latest(j.Ref); last != nil && last.Package != nil {
		e.Package = last.Package
		a.sendEvent(j.Ref, Output, last.Package.Reference()+" stays: remove it in the registry when nobody needs it")
	}
	return nil
}

// whole is the entry of what was planned for want of a key, and is there and named as it is.
func (a *execution) whole(s plan.Step) *ledger.Entry {
	last := a.Facts.Latest[s.Ref]
	state, looked := a.Packages[s.Ref]
	if !s.Pending || !looked || state.Lacks != "" || len(state.Elsewhere) > 0 || last == nil || last.Action != ledger.Pack || last.Key != s.Key {
		return nil
	}
	return last
}
