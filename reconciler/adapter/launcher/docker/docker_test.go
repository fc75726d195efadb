// The launcher of Docker, held to its port's suite and to what a container must never be given.

package docker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func launcherOn(t testing.TB, socket string, change ...func(*Options)) port.Launcher {
	t.Helper()
	o := Options{Runner: schemas.DockerRunner{Host: "unix://" + socket}, Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}}
	for _, c := range change {
		c(&o)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// someTask is one that no other test has.
func someTask(image string, command ...string) port.Task {
	id := strings.ToLower(rand.Text())
	return port.Task{
		Name: "vishwa-test-" + id, Owner: "test", Job: digest.Of([]byte(id)), Launch: id, Ref: schemas.Ref{Kind: "training", Name: "test"},
		Image: image, Command: command, Ticket: []byte("ticket " + id), Deadline: time.Hour, Isolated: true,
	}
}

// TestAnEngineIsReachedOverSSH: a task is carried out by an engine that a machine leads to, which is known by its key.
func TestAnEngineIsReachedOverSSH(t *testing.T) {
	e := dockertest.New(t)
	w := dockertest.SSH(t, e.Socket)
	home := t.TempDir()
	if err := os.Symlink(w.Folder, filepath.Join(home, ".ssh")); err != nil {
		t.Fatal(err)
	}
	far := func(o *Options) {
		o.Runner.Host = w.Host
		o.Env.Lookup = func(name string) (string, bool) { return home, name == "HOME" }
	}
	l := launcherOn(t, e.Socket, far)
	if Near(l) {
		t.Error("folders of this machine are to be mounted there")
	}
	if _, err := l.Launch(t.Context(), someTask(dockertest.Image, "well")); err != nil || len(e.Names()) != 1 {
		t.Errorf("launched: %v, containers %q", err, e.Names())
	}
	w.Bar()
	if _, err := launcherOn(t, e.Socket, far).Launch(t.Context(), someTask(dockertest.Image, "well")); fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "authorized_keys") {
		t.Errorf("where it is not let in: %v, %q", err, fault.HintOf(err))
	}
}

// bare is a context that outlives the test, to clean up after it.
func bare(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

func unfitCause(err error) port.Cause {
	if unfit := (*port.Unfit)(nil); errors.As(err, &unfit) {
		return unfit.Cause
	}
	return ""
}

func TestDockerIsALauncher(t *testing.T) {
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		e := dockertest.New(t)
		return porttest.LauncherBench{
			Launcher: launcherOn(t, e.Socket),
			Task:     port.Task{Image: dockertest.Image},
			Well:     []string{"well"}, Badly: []string{"badly"}, Forever: []string{"forever"}, Hog: []string{"hog"},
			NoImage: "registry.example.com/none@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
			Never:   schemas.Resources{CPU: "64"},
			Lacks:   map[porttest.Ability]string{porttest.CanWait: "an engine begins a container at once or never"},
			Kill: func(t *testing.T, id port.TaskID) {
				b := e.Box(t, id.Name)
				e.Mu.Lock()
				defer e.Mu.Unlock()
				e.Exit(b, 137)
			},
			Stranger: func(t *testing.T, name string) {
				e.Mu.Lock()
				defer e.Mu.Unlock()
				b := &dockertest.Box{ID: "5" + name, Name: name, Config: dockertest.Object{"Labels": dockertest.Object{}}}
				b.Set("running", 0)
				e.Boxes[b.ID] = b
			},
			Alive: func(t *testing.T, id port.TaskID) int {
				e.Mu.Lock()
				defer e.Mu.Unlock()
				if b := e.Boxes[id.UID]; b != nil && b.State["Status"] == "running" {
					return 1
				}
				return 0
			},
			Ticket: func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode) { return e.Box(t, id.Name).Ticket() },
			Shown:  func(t *testing.T, id port.TaskID) string { return e.Shown(e.Box(t, id.Name)) },
			InForce: func(t *testing.T, id port.TaskID) (int64, float64) {
				var host struct{ Memory, NanoCpus int64 }
				raw, _ := json.Marshal(e.Box(t, id.Name).Host)
				_ = json.Unmarshal(raw, &host)
				return host.Memory, float64(host.NanoCpus) / 1e9
			},
			Asked:  func() int { return int(e.Asked.Load()) },
			Outage: func(t *testing.T) func() { return e.Outage() },
		}
	})
}
