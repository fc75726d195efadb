// What a dataset of predictions is made of: the log of a deployment, and another dataset that
// holds its labels, both as the same revision declares them.

package app

import (
	"context"
	"io/fs"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// openIn opens a source that tree declares, which may name what else tree declares.
func (o RefreshOptions) openIn(ctx context.Context, tree fs.FS, src schemas.DataSource, last string) (port.Source, error) {
	if src.Predictions == nil {
		options := o.options(src, last)
		if src.Kafka != nil { // whose schema, and whom it trusts, may be files
			options.Tree = tree
		}
		return source.Open(src, options)
	}
	decls, problems := schemas.Load(ctx, tree)
	if len(problems) > 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%w", problems[0]), "correct the declarations; vishwa validate tells all that is wrong")
	}
	find := func(ref schemas.Ref) (schemas.Spec, error) {
		for _, d := range decls {
			if spec, ok := d.Spec.(schemas.Spec); ok && d.Ref() == ref.Whole() {
				return spec, nil
			}
		}
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not declared", ref), "declare it, or name another")
	}
	options := o.options(src, last)
	options.Log = func(ref schemas.Ref, from time.Time) (port.Objects, string, error) {
		spec, err := find(ref)
		if err != nil {
			return nil, "", err
		}
		logs, ok := spec.(schemas.Logged)
		if !ok {
			return nil, "", fault.WithHint(fault.New(fault.Invalid, "%s serves nothing", ref), "name a deployment")
		}
		return server.OpenPredictions(o.Serving, ref.Name, logs.Logs(),
			server.Access{Env: o.Env, Guarded: true, Allow: o.Allow, From: from})
	}
	options.Dataset = func(ref schemas.Ref) (port.Source, schemas.Format, error) {
		spec, err := find(ref)
		if err != nil {
			return nil, schemas.Format{}, err
		}
		of, ok := spec.(schemas.Data)
		if !ok {
			return nil, schemas.Format{}, fault.WithHint(fault.New(fault.Invalid, "%s is not data", ref), "name a dataset")
		}
		from := of.Data().Source
		if from.Predictions != nil {
			return nil, schemas.Format{}, fault.WithHint(fault.New(fault.Invalid, "the labels of %s are predictions themselves", src.Predictions.Deployment), "name a dataset of outcomes")
		}
		at := o.options(from, "")
		at.Tree = tree
		opened, err := source.Open(from, at)
		if f := of.Data().Format; f != nil {
			return opened, *f, err
		}
		return opened, schemas.Format{}, err
	}
	return source.Open(src, options)
}
