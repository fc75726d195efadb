// The roll of a controller's replicas, on a mirror of its own beside those that passes use.

package app

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/adapter/mirror"
)

// Roll is kept in the repository of o; name is this replica's, and its alone.
func Roll(o ManagedOptions, name, holder string) (*mirror.Roll, error) {
	dir, err := mirrorDir(o.Env.Lookup, o.URL)
	if err != nil {
		return nil, err
	}
	return mirror.NewRoll(name, holder, func(ctx context.Context) (*mirror.Mirror, error) {
		m, err := mirror.Open(ctx, mirror.Options{URL: o.URL, Dir: dir + "-replicas", Credentials: o.Credentials, Env: o.Env})
		if err != nil {
			return nil, fmt.Errorf("mirror %s: %w", o.Name, err)
		}
		return m, nil
	})
}
