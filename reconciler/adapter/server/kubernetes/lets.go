// Whether the cluster lets a release change what has requests, asked before any of that is changed: a rule or a full quota that refuses the second
// of several objects would else leave requests with a release that is not recorded.

package kubernetes

import (
	"context"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
)

// letsBegin asks about the Secret of a release whose unit goes on from the one before: the unit is changed first, as the Secret is to belong to it.
func (w *work) letsBegin(ctx context.Context) error {
	if !w.shape().kept || w.Bring.Secret == "" {
		return nil
	}
	return w.lets(ctx, owned.Object{Resource: kube.Secrets, Name: w.Bring.Secret, Body: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": w.Bring.Secret, "labels": w.server.labels(w.name)},
	}})
}

// readied returns when the release serves, and the cluster lets it have the requests.
func (w *work) readied(ctx context.Context, within time.Duration) error {
	if err := w.server.settle(ctx, w, within); err != nil {
		return err
	}
	return w.letsTakeOver(ctx)
}

// letsTakeOver asks about all that leads requests to the release.
func (w *work) letsTakeOver(ctx context.Context) error {
	for _, o := range w.fronts {
		if err := w.lets(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// lets asks about one object. A webhook that cannot be asked refuses where it is changed.
func (w *work) lets(ctx context.Context, o owned.Object) error {
	err := w.kube.Apply(ctx, o.Resource, o.Name, o.Body, true, nil)
	if fault.Of(err) == fault.Invalid && err != nil && strings.Contains(err.Error(), "does not support dry run") {
		return nil
	}
	return err
}
