// A run in a container of a real engine, which has nothing of the worker that carries it out.

package docker

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
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

func newRuns(t testing.TB, engine *enginetest.DockerEngine, image string) port.Runner {
	t.Helper()
	kept, err := store.Dir(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.KeyOf([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	worker := built.Program(t, "vishwa-worker", t.TempDir())
	return imaged{runner.Remote(runner.RemoteConfig{
		Name: "docker", Launcher: launcherOn(t, engine.Socket), Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }},
		Store: kept, Dir: filepath.Join(t.TempDir(), "runs"), Seal: key, Owner: "suite", Program: "test", Wall: wall.Policy{Level: wall.Landlock},
		Worker: func(string) (string, error) { return worker, nil },
	}), image}
}

// TestDockerEngineKeepsARunFromItsWorker: the run is the worker's user in the worker's
// container, and still has nothing of it.
func TestDockerEngineKeepsARunFromItsWorker(t *testing.T) {
	engine, image := enginetest.Docker(t), enginetest.Python(t)
	b := newRuns(t, engine, image)
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
