// The roll of a controller's replicas, on a mirror of its own beside those that passes use.

package app

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
)

// Roll is kept in the repository of o; name is this replica's, and its alone.
func Roll(o ManagedOptions, name, holder string) (*repo.Roll, error) {
	dir, err := mirrorDir(o.Env.Lookup, o.URL)
	if err != nil {
		return nil, err
	}
	return repo.NewRoll(name, holder, func(ctx context.Context) (*repo.Mirror, error) {
		m, err := repo.OpenMirror(ctx, repo.MirrorOptions{URL: o.URL, Dir: dir + "-replicas", Credentials: o.Credentials, Env: o.Env})
		if err != nil {
			return nil, fmt.Errorf("mirror %s: %w", o.Name, err)
		}
		return m, nil
	})
}
