// What serves besides processes of this machine: the table of what begins it.

package app

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/docker"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/kubernetes"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/tfserving"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// brokenOff tells the log of a panic in a question about ref, which ended that question alone.
func (o Options) brokenOff(ref schemas.Ref, err error) {
	routine.Logged(o.Env.Log, "a question about "+ref.String())(err)
}

// starters is the table, one row a target that the serving host of this machine has the traffic of.
func starters(env port.Env) map[string]port.Starter {
	return map[string]port.Starter{
		// What is mounted is this user's; root has the default user serve.
		port.TargetDocker: docker.New(docker.Options{Env: env, User: os.Getuid()}),
	}
}

// serving is the table of what has traffic of its own, and the serving host of this machine for the rest.
func (h *Repository) serving(o Options, project *schemas.Project, place StoreRef, sealed seal.Key, host server.Config) port.Server {
	at := ""
	if project.Store != nil && project.Store.S3 != nil {
		at = project.Store.S3.URL
	}
	shelf := func(who string) func() (port.Bucket, error) {
		return func() (port.Bucket, error) {
			if place.Away == nil {
				return nil, fault.WithHint(fault.New(fault.Invalid, "%s cannot reach the store, a folder of this machine", who), "share the store with it: spec.store.s3 of the Project")
			}
			shelf, _, err := place.shelf(o.Env)
			return shelf, err
		}
	}
	clusters := kubernetes.New(kubernetes.Options{
		Env: o.Env, Store: host.Store, Clusters: project.Clusters, Dir: filepath.Join(h.Paths.State, "clusters"), Seal: sealed.Derive("serving on clusters"),
		Branch: h.delivers(o), May: o.Reach.Cluster, Keys: h.modelKeys(), Object: store.Key, At: at, Worker: workerProgram(o.Env.Self),
		Shelf: shelf("a cluster"),
	})
	models := tfserving.New(tfserving.Options{
		Env: o.Env, Store: host.Store, Servers: project.ModelServers, Dir: filepath.Join(h.Paths.State, "model-servers"), Seal: sealed.Derive("serving on model servers"),
		Keys: h.modelKeys(), May: o.Reach.ModelServer, Shelf: shelf("a model server"), At: at,
	})
	return wrap.Served(server.Local(host), map[string]port.Server{
		port.TargetKubernetes: clusters, port.TargetKServe: clusters, port.TargetSeldon: clusters, port.TargetSeldonDeployment: clusters,
		port.TargetTFServing: models,
	}, o.Reach)
}

// delivers finds branches of the repository that others apply. Those that are tracked are none.
func (h *Repository) delivers(o Options) func(name string) (port.Branch, error) {
	return func(name string) (port.Branch, error) {
		head, err := h.Repo.Head(context.Background()) // reads this clone
		if err != nil {
			return nil, err
		}
		return h.GitLedger.Delivers(name, append(slices.Clone(o.Tracked), head.Branch)...)
	}
}

// modelKeys are those that sign models, as trust.yaml has them.
func (h *Repository) modelKeys() (keys []string) {
	if h.Trust == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(h.Trust.Controllers)) {
		if key := h.Trust.Controllers[name].Keys[port.Build]; len(key) > 0 {
			keys = append(keys, string(key))
		}
	}
	return keys
}

// Host is the serving host of a state folder: see server.Host.
func Host(ctx context.Context, dir, keyFile string, env port.Env) error {
	return server.Host(ctx, dir, keyFile, env, starters(env))
}
