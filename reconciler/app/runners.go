// Runners besides this machine: the table of what launches workers elsewhere.

package app

import (
	"os"
	"path/filepath"
	"runtime"

	launching "github.com/vishwaops/vishwa/reconciler/adapter/launcher"
	"github.com/vishwaops/vishwa/reconciler/adapter/launcher/docker"
	"github.com/vishwaops/vishwa/reconciler/adapter/launcher/service"
	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// launcher is one tool's row: how it is opened, and how the worker comes to it.
type launcher struct {
	// It tells whether it has this machine's folders, to mount them; else things reach it by
	// the store.
	open    func(env port.Env, owner string) (l port.Launcher, mounts bool, err error)
	brought bool // the tool brings the worker before the job's image begins
	// external begins work of the team's on the same tool; nil: the launcher itself does, where
	// the tool can.
	external    func(env port.Env) func(schemas.External) port.Launcher
	delegates   bool   // it begins external work
	interpreter string // of images or machines that fetch the worker themselves
}

// launchers is the table, one row a tool; a row is nil where r is another's.
var launchers = []func(project *schemas.Project, r schemas.Runner) *launcher{
	onDocker,
	onKubernetes,
	onKubeflow,
	onAirflow,
	onRay,
	onJenkins,
}

// onDocker mounts folders where the engine is on this machine, as its address says.
func onDocker(_ *schemas.Project, r schemas.Runner) *launcher {
	if r.Docker == nil {
		return nil
	}
	return &launcher{open: func(env port.Env, _ string) (port.Launcher, bool, error) {
		o := docker.Options{Runner: *r.Docker, Env: env}
		if uid := os.Getuid(); uid > 0 {
			o.User = uid // what is mounted is this user's
		}
		l, err := docker.New(o)
		return l, err == nil && docker.Near(l), err
	}, interpreter: "python3"}
}

func onKubernetes(project *schemas.Project, r schemas.Runner) *launcher {
	if r.Kubernetes == nil {
		return nil
	}
	return &launcher{open: func(env port.Env, owner string) (port.Launcher, bool, error) {
		l, err := launching.Kubernetes(launching.KubernetesOptions{
			Runner: *r.Kubernetes, Cluster: project.Clusters[r.Kubernetes.Cluster], Env: env, ClusterOptions: bringing(r.Kubernetes.Worker, owner)})
		return l, false, err
	}, brought: r.Kubernetes.Worker != "", interpreter: "python3", delegates: true}
}

// onKubeflow has the Python of a run's image fetch the worker: a TrainJob is given no container,
// and a pipeline no step before one.
func onKubeflow(project *schemas.Project, r schemas.Runner) *launcher {
	if r.Kubeflow == nil {
		return nil
	}
	if r.Kubeflow.Pipelines != nil {
		return &launcher{open: func(env port.Env, _ string) (port.Launcher, bool, error) {
			return service.Pipelines(*r.Kubeflow.Pipelines, service.Options{Env: env}), false, nil
		}, interpreter: "python3", delegates: true}
	}
	return &launcher{open: func(env port.Env, owner string) (port.Launcher, bool, error) {
		l, err := launching.Kubeflow(launching.KubeflowOptions{Runner: *r.Kubeflow, Cluster: project.Clusters[r.Kubeflow.Cluster], Env: env, ClusterOptions: bringing("", owner)})
		return l, false, err
	}, interpreter: "python3"}
}

// onAirflow has the Python of Airflow's machines fetch the worker.
func onAirflow(_ *schemas.Project, r schemas.Runner) *launcher {
	if r.Airflow == nil {
		return nil
	}
	return &launcher{open: func(env port.Env, _ string) (port.Launcher, bool, error) {
		return service.Airflow(*r.Airflow, service.Options{Env: env}), false, nil
	}, interpreter: "python3", delegates: true, external: func(env port.Env) func(schemas.External) port.Launcher {
		return service.AirflowExternal(*r.Airflow, service.Options{Env: env})
	}}
}

// onRay has the Python of Ray's machines fetch the worker.
func onRay(_ *schemas.Project, r schemas.Runner) *launcher {
	if r.Ray == nil {
		return nil
	}
	return &launcher{open: func(env port.Env, _ string) (port.Launcher, bool, error) {
		return service.Ray(*r.Ray, service.Options{Env: env}), false, nil
	}, interpreter: "python3", delegates: true}
}

// onJenkins has the Python of Jenkins's machines fetch the worker.
func onJenkins(_ *schemas.Project, r schemas.Runner) *launcher {
	if r.Jenkins == nil {
		return nil
	}
	return &launcher{open: func(env port.Env, _ string) (port.Launcher, bool, error) {
		return service.Jenkins(*r.Jenkins, service.Options{Env: env}), false, nil
	}, interpreter: "python3"}
}

// bringing has a step before the image copy the worker out of an image that has it. Tasks of
// other owners are not watched.
func bringing(image, owner string) (o launching.ClusterOptions) {
	o.Owner = owner
	if image != "" {
		o.Install = &launching.Install{Image: image, Command: []string{"/vishwa-worker", "install", launching.InstallDir}}
	}
	return o
}

// elsewhere are the routes of the project's runners, and of those that it had: what they have under way is theirs to the end.
func (h *Repository) elsewhere(project *schemas.Project, place StoreRef, base runner.RemoteConfig, reach *wrap.Reach) map[string]wrap.Route {
	routes := map[string]wrap.Route{}
	route := func(name string, declared schemas.Runner, open func(cfg runner.RemoteConfig) (port.Runner, error)) wrap.Route {
		cfg := base
		cfg.Name, cfg.Dir = name, filepath.Join(base.Dir, "runs-"+name)
		// What another tool packed under this name was packed by others.
		if tool, err := digest.JSON(declared); err == nil {
			cfg.Packs.Dir = filepath.Join(h.Paths.State, "runs-"+name, "packs-"+tool.Hex()[:16])
		}
		return wrap.Route{
			Has:  func(key digest.Digest) bool { return attempt.Has(cfg.Dir, key) },
			Open: func() (port.Runner, error) { return open(cfg) },
		}
	}
	for name, declared := range project.Runners {
		routes[name] = route(name, declared, func(cfg runner.RemoteConfig) (port.Runner, error) {
			if err := reach.Runner(project.Clusters, declared); err != nil {
				return nil, err
			}
			r, err := openRunner(project, declared, place, cfg)
			if err != nil {
				return nil, err
			}
			return r, rememberRunner(base, name, project, declared)
		})
	}
	for name, was := range formerRunners(base, project) {
		former := route(name, was.Runner, func(cfg runner.RemoteConfig) (port.Runner, error) {
			if err := reach.Runner(was.Clusters, was.Runner); err != nil {
				return nil, err
			}
			return openRunner(&schemas.Project{Clusters: was.Clusters}, was.Runner, place, cfg)
		})
		former.Former = true
		routes[name] = former
	}
	return routes
}

func openRunner(project *schemas.Project, declared schemas.Runner, place StoreRef, cfg runner.RemoteConfig) (port.Runner, error) {
	cfg, err := configured(project, declared, place, cfg)
	if err != nil {
		return nil, err
	}
	return runner.Remote(cfg), nil
}

// configured is cfg with what begins workers of a declared runner, and the way by which things reach them.
func configured(project *schemas.Project, declared schemas.Runner, place StoreRef, cfg runner.RemoteConfig) (runner.RemoteConfig, error) {
	for _, row := range launchers {
		l := row(project, declared)
		if l == nil {
			continue
		}
		begins, mounts, err := l.open(cfg.Env, cfg.Owner)
		if err != nil {
			return cfg, err
		}
		cfg.Launcher = begins
		cfg.Brought, cfg.Interpreter = l.brought, l.interpreter
		if mounts {
			return cfg, nil
		}
		if place.Away == nil {
			return cfg, fault.WithHint(fault.New(fault.Invalid, "what it runs cannot reach the store, a folder of this machine"), "share the store with it: spec.store.s3 of the Project")
		}
		if cfg.Shelf, _, err = place.shelf(cfg.Env); err != nil {
			return cfg, err
		}
		cfg.Object = store.Key
		if l.delegates && place.Away.S3 != nil {
			cfg.Outside, cfg.External = place.Away.S3.URL, func(schemas.External) port.Launcher { return begins }
			if l.external != nil {
				cfg.External = l.external(cfg.Env)
			}
		}
		return cfg, nil
	}
	return cfg, fault.WithHint(fault.New(fault.Invalid, "it names no tool"), "name one under spec.runners in vishwa.yaml: docker, kubernetes, or another that docs/runners.md lists")
}

// remoteConfig is what all runs elsewhere have in common.
func (h *Repository) remoteConfig(o Options, apart string, work runs, kept port.Store, sealed seal.Key) runner.RemoteConfig {
	guard := (*dispatch.Guard)(nil)
	if work.For != "" || work.Bound {
		guard = &dispatch.Guard{Allow: work.Allow}
	}
	return runner.RemoteConfig{
		Env: o.Env, Store: kept, Dir: filepath.Join(h.Paths.State, apart), Seal: sealed.Derive("runs elsewhere " + work.For),
		Owner: "r-" + digest.Of([]byte(h.Paths.State + "\x00" + apart)).Hex()[:16], Pull: apart != "", Program: o.Version,
		Wall: work.Wall, Guard: guard, Packs: dispatch.Packs{Seal: sealed.Derive("packed environments"), Make: work.For == ""}, Worker: workerProgram(o.Env.Self),
	}
}

// workerProgram finds the worker for Linux on an architecture: it lies beside this program.
func workerProgram(self string) func(arch string) (string, error) {
	return func(arch string) (string, error) {
		names := []string{"vishwa-worker-linux-" + arch}
		if arch == runtime.GOARCH {
			names = append(names, "vishwa-worker")
		}
		if at, err := filepath.EvalSymlinks(self); err == nil {
			self = at
		}
		for _, name := range names {
			file := filepath.Join(filepath.Dir(self), name)
			if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() {
				return file, nil
			}
		}
		return "", fault.WithHint(fault.New(fault.Missing, "the worker's program for %s is not next to %s", arch, self), "put %s there: releases have it, and make build makes it", names[0])
	}
}
