// A store in a repository of a container registry.

package app

import (
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func inRegistry(p StoreRef) *away {
	at := p.Away.OCI
	if at == nil {
		return nil
	}
	return &away{at.URL, registry.Variables, func(env port.Env) (port.Bucket, error) {
		if err := env.MayUse(at.URL); err != nil {
			return nil, err
		}
		b, err := registry.Open(registry.Options{URL: at.URL, PlainHTTP: at.PlainHTTP, Lookup: env.Lookup})
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Of(err), "spec.store.oci of vishwa.yaml: %w", err), "%s", fault.HintOf(err))
		}
		return b, nil
	}}
}
