// What will keep a run or a deployment from being begun, as far as this machine knows it by itself: a plan says it before anything is
// done. No tool and no network is asked, but the registries of a package (packable.go).

package app

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/docker"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/kubernetes"
	"github.com/vishwaops/vishwa/reconciler/adapter/server/tfserving"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// ready is pass.Reconciler.Ready. What a pull request declares is held against what the controller's file lets it reach, and nothing more
// of the machine is told.
func (h *Repository) ready(o Options, place StoreRef, base runner.RemoteConfig) func(context.Context, *schemas.Project, []pass.Place) []error {
	one := h.readyAt(o, place, base)
	return func(ctx context.Context, project *schemas.Project, places []pass.Place) []error {
		out := make([]error, len(places))
		for i, at := range places {
			if at.Package == nil {
				out[i] = one(project, at)
			}
		}
		h.packable(ctx, o, places, out)
		return out
	}
}

// readyAt is ready of a place that is no package's: nobody is asked.
func (h *Repository) readyAt(o Options, place StoreRef, base runner.RemoteConfig) func(*schemas.Project, pass.Place) error {
	return func(project *schemas.Project, at pass.Place) error {
		if at.Cluster != "" {
			declared, ok := project.Clusters[at.Cluster]
			if !ok {
				return nil // what is declared wrongly is told elsewhere
			}
			if err := o.Reach.Cluster(declared); err != nil || o.Isolation != nil {
				return err
			}
			if _, err := kube.Open(kube.Options{Cluster: declared, Env: o.Env, Rights: kubernetes.Rights}); err != nil {
				return err
			}
			if at.Apart {
				return nil
			}
			return reached(place, o.Env, at.Brought, workerProgram(o.Env.Self), "pods")
		}
		if at.ModelServer != "" {
			declared, ok := project.ModelServers[at.ModelServer]
			if !ok {
				return nil
			}
			if err := o.Reach.ModelServer(declared); err != nil || o.Isolation != nil {
				return err
			}
			return tfserving.Ready(at.ModelServer, declared)
		}
		if at.Engine != "" {
			return engine(o, at.Engine)
		}
		declared, ok := project.Runners[at.Runner]
		if !ok {
			return nil
		}
		if err := o.Reach.Runner(project.Clusters, declared); err != nil || o.Isolation != nil {
			return err
		}
		cfg, err := configured(project, declared, place, base)
		if err != nil {
			return err
		}
		if asks, is := cfg.Launcher.(port.Readier); is {
			if err := asks.Ready(); err != nil {
				return err
			}
		}
		if cfg.Shelf == nil { // folders of this machine, the worker's too
			return worker(cfg.Worker)
		}
		return reached(place, o.Env, at.External || cfg.Brought, cfg.Worker, "a worker")
	}
}

// engine tells what keeps a deployment from the engine of another machine.
func engine(o Options, at string) error {
	if err := o.Reach.Runner(nil, schemas.Runner{Docker: &schemas.DockerRunner{Host: at}}); err != nil || o.Isolation != nil {
		return err
	}
	if err := docker.Ready(at, o.Env); err != nil {
		return fault.WithHint(fault.New(fault.Missing, "%w", err), "%s", fault.HintOf(err))
	}
	return nil
}

// reached tells whether the store lends who what it reads, and gives it the worker, unless that is brought.
func reached(place StoreRef, env port.Env, brought bool, program func(arch string) (string, error), who string) error {
	shelf, name, err := place.shelf(env)
	if err != nil {
		return err
	}
	if _, unasked := shelf.(askedBucket); unasked {
		return nil
	}
	if _, lends := shelf.(port.Lender); !lends {
		if name == "" {
			name = "the store, a folder of this machine,"
		}
		return fault.WithHint(fault.New(fault.Invalid, "%s cannot lend %s what it reads", name, who), "use a store in S3 (spec.store.s3 of the Project)")
	}
	if brought {
		return nil
	}
	return worker(program)
}

// worker tells whether the worker's program is there for any machine.
func worker(program func(arch string) (string, error)) (err error) {
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err = program(arch); err == nil {
			return nil
		}
	}
	return err
}
