// The launcher of Docker, held to its port's suite and to what a container must never be given.

package docker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
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
		e := newEngineDouble(t)
		return porttest.LauncherBench{
			Launcher: launcherOn(t, e.Socket),
			Task:     port.Task{Image: doubleImage},
			Well:     []string{"well"}, Badly: []string{"badly"}, Forever: []string{"forever"}, Hog: []string{"hog"},
			NoImage: "registry.example.com/none@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
			Never:   schemas.Resources{CPU: "64"},
			Lacks:   map[porttest.Ability]string{porttest.CanWait: "an engine begins a container at once or never"},
			Kill: func(t *testing.T, id port.TaskID) {
				b := e.box(t, id.Name)
				e.mu.Lock()
				defer e.mu.Unlock()
				e.exit(b, 137)
			},
			Stranger: func(t *testing.T, name string) {
				e.mu.Lock()
				defer e.mu.Unlock()
				b := &boxDouble{id: "5" + name, name: name, config: object{"Labels": object{}}}
				b.set("running", 0)
				e.containers[b.id] = b
			},
			Alive: func(t *testing.T, id port.TaskID) int {
				e.mu.Lock()
				defer e.mu.Unlock()
				if b := e.containers[id.UID]; b != nil && b.state["Status"] == "running" {
					return 1
				}
				return 0
			},
			Ticket: func(t *testing.T, id port.TaskID) ([]byte, fs.FileMode) { return e.box(t, id.Name).ticket() },
			Shown:  func(t *testing.T, id port.TaskID) string { return e.shown(e.box(t, id.Name)) },
			InForce: func(t *testing.T, id port.TaskID) (int64, float64) {
				var host struct{ Memory, NanoCpus int64 }
				raw, _ := json.Marshal(e.box(t, id.Name).host)
				_ = json.Unmarshal(raw, &host)
				return host.Memory, float64(host.NanoCpus) / 1e9
			},
			Asked:  func() int { return int(e.asked.Load()) },
			Outage: func(t *testing.T) func() { return e.Outage() },
		}
	})
}
