// Runs in containers of a real engine: the worker, the launcher and the runner together keep
// what every runner promises.

package docker

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// imaged gives each job an image.
type imaged struct {
	port.Runner
	image string
}

func (i imaged) Start(ctx context.Context, job port.Job) (port.Run, error) {
	job.RunsOn.Image = i.image
	return i.Runner.Start(ctx, job)
}

// workerProgram builds the worker.
func workerProgram(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "vishwa-worker")
	build := exec.Command("go", "build", "-o", file, "github.com/vishwaops/vishwa/cmd/vishwa-worker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v: %s", err, out)
	}
	return file
}

type runsBench struct {
	port.Runner
	store port.Store
	begun func() int
}

func newRunsBench(t *testing.T, engine *enginetest.DockerEngine, image, worker string) runsBench {
	t.Helper()
	kept, err := store.Dir(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.KeyOf([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	task := someTask(image, "true")
	l, c := launcherOn(t, engine.Socket), engineClient(t, engine)
	since := time.Now()
	t.Cleanup(func() {
		all, err := c.ContainerList(bare(t), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelOwner+"="+task.Owner+task.Launch[:8])})
		if err != nil {
			t.Error(err)
		}
		for _, x := range all.Items {
			remove(t, c, x.ID)
		}
	})
	owner := task.Owner + task.Launch[:8]
	cfg := runner.RemoteConfig{
		Name: "docker", Launcher: l, Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}, Store: kept,
		Dir: filepath.Join(t.TempDir(), "runs"), Seal: key, Owner: owner, Program: "test", Wall: wall.Policy{Level: wall.Landlock},
		Worker: func(string) (string, error) { return worker, nil },
	}
	return runsBench{Runner: imaged{runner.Remote(cfg), image}, store: kept, begun: func() int {
		stream := c.Events(t.Context(), client.EventsListOptions{Since: since.Format(time.RFC3339Nano), Until: time.Now().Format(time.RFC3339Nano),
			Filters: make(client.Filters).Add("event", "start").Add("label", labelOwner+"="+owner)})
		for n := 0; ; {
			select {
			case <-stream.Messages:
				n++
			case <-stream.Err:
				return n
			}
		}
	}}
}

func TestDockerEngineRunsJobs(t *testing.T) {
	engine, image := enginetest.Docker(t), enginetest.Python(t)
	worker := workerProgram(t)
	shell := func(script string) []string { return []string{"sh", "-c", script} }
	t.Run("AsARunner", func(t *testing.T) {
		porttest.Runner(t, func(t *testing.T) porttest.RunnerBench {
			b := newRunsBench(t, engine, image, worker)
			return porttest.RunnerBench{Runner: b.Runner, Well: shell("echo hello"), Badly: shell("exit 7"), Forever: shell("while :; do sleep 1; done"), Begun: b.begun}
		})
	})
	t.Run("WhatItsRunsSeeAndLeave", func(t *testing.T) {
		porttest.Work(t, func(t *testing.T) porttest.WorkBench {
			b := newRunsBench(t, engine, image, worker)
			return porttest.WorkBench{Runner: b.Runner, Store: b.store, Shell: shell}
		})
	})
}

// TestDockerEngineKeepsARunFromItsWorker: the run is the worker's user in the worker's
// container, and still has nothing of it.
func TestDockerEngineKeepsARunFromItsWorker(t *testing.T) {
	engine, image := enginetest.Docker(t), enginetest.Python(t)
	b := newRunsBench(t, engine, image, workerProgram(t))
	job := port.Job{Key: digest.Of([]byte("curious")), Ref: schemas.Ref{Kind: "training", Name: "curious"}, Command: []string{"python3", "-c", `
import os, signal
def can(what, do):
    try: do(); print(what, "can")
    except OSError as e: print(what, "cannot")
can("ticket", lambda: open("/vishwa/ticket/ticket").read())
can("document", lambda: os.listdir("/vishwa/lent"))
can("result", lambda: open("/vishwa/staging/result.json", "w"))
can("worker", lambda: open("/vishwa/work/worker/x", "w"))
can("environment", lambda: open("/proc/1/environ").read())
can("memory", lambda: open("/proc/1/mem", "rb"))
can("program", lambda: open("/vishwa/bin/vishwa-worker", "ab"))
can("kill", lambda: os.kill(1, signal.SIGTERM))
`}, Timeout: time.Minute}
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	log, err := b.Logs(t.Context(), job.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"ticket", "document", "result", "worker", "environment", "memory", "program", "kill"} {
		if !strings.Contains(string(log), what+" cannot\n") {
			t.Errorf("%s is the run's too", what)
		}
	}
	if r.Cause != "" || r.Isolation == nil || r.Isolation.Level != "landlock" || t.Failed() {
		t.Fatalf("%+v %+v\n%s", r, r.Isolation, log)
	}
}
