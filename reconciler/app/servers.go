// What serves besides processes of this machine: the table of what begins it.

package app

import (
	"context"
	"os"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/docker"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// starters is the table, one row a target that the serving host of this machine has the traffic of.
func starters(env port.Env) map[string]port.Starter {
	return map[string]port.Starter{
		// What is mounted is this user's; root has the default user serve.
		port.TargetDocker: docker.New(docker.Options{Env: env, User: os.Getuid()}),
	}
}

// Host is the serving host of a state folder: see server.Host.
func Host(ctx context.Context, dir, keyFile string, env port.Env) error {
	return server.Host(ctx, dir, keyFile, env, starters(env))
}
