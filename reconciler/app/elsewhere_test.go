// Runs elsewhere on real engines: the same suites that the local runner passes.

package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// elsewhereBench is a project's runner on a real tool.
type elsewhereBench struct {
	store  port.Store
	place  StoreRef
	runner port.Runner
	on     schemas.RunsOn
	url    string // counts who asks for it
	begun  atomic.Int64
	open   func() port.Runner // anew, as another process does
}

// newElsewhere opens a runner with its store; at is where the store is, nil for a folder.
func newElsewhere(t *testing.T, declared schemas.Runner, on schemas.RunsOn, at *schemas.Store, lookup map[string]string) *elsewhereBench {
	t.Helper()
	state := t.TempDir()
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Self: filepath.Join(builtWorker(t), "vishwa"), Lookup: func(name string) (string, bool) {
		if v, ok := lookup[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}}
	b := &elsewhereBench{place: StoreRef{Dir: filepath.Join(state, "store"), Away: at}, on: on}
	var err error
	if b.store, err = OpenStore(b.place, env); err != nil {
		t.Fatal(err)
	}
	key, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	cfg := runner.RemoteConfig{Name: "elsewhere", Env: env, Store: b.store, Dir: filepath.Join(state, "runs"), Seal: key, Owner: "suite-" + digest.Of([]byte(state)).Hex()[:8],
		Program: "test", Grace: time.Second, Wall: wall.Policy{}, Worker: workerProgram(env.Self)}
	b.open = func() port.Runner {
		r, err := openRunner(&schemas.Project{}, declared, b.place, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	b.runner = placed{b.open(), on}
	l, err := net.Listen("tcp", enginetest.Address+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { b.begun.Add(1) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	b.url = "http://" + l.Addr().String()
	return b
}

// placed has each job run where the bench is about.
type placed struct {
	port.Runner
	on schemas.RunsOn
}

func (p placed) Start(ctx context.Context, job port.Job) (port.Run, error) {
	job.RunsOn = p.on
	return p.Runner.Start(ctx, job)
}

func (b *elsewhereBench) sh(script string) []string {
	return []string{"sh", "-c", `python3 -c 'import urllib.request; urllib.request.urlopen("` + b.url + `")'; ` + script}
}

func (b *elsewhereBench) suites(t *testing.T, open func(t *testing.T) *elsewhereBench) {
	t.Run("Runner", func(t *testing.T) {
		porttest.Runner(t, func(t *testing.T) porttest.RunnerBench {
			b := open(t)
			return porttest.RunnerBench{Runner: b.runner, Well: b.sh("echo hello"), Badly: b.sh("exit 7"), Forever: b.sh("while :; do sleep 1; done"), Begun: func() int { return int(b.begun.Load()) }}
		})
	})
	t.Run("Work", func(t *testing.T) {
		porttest.Work(t, func(t *testing.T) porttest.WorkBench {
			b := open(t)
			return porttest.WorkBench{Runner: b.runner, Store: b.store, Shell: func(s string) []string { return []string{"sh", "-c", s} }}
		})
	})
}

// builtWorker is the folder of a worker that was built for this test process.
func builtWorker(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(workerDir); err == nil {
		return workerDir
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", workerDir+"/vishwa-worker", "github.com/vishwaops/vishwa/cmd/vishwa-worker")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the worker: %v\n%s", err, out)
	}
	return workerDir
}

var workerDir = filepath.Join(os.TempDir(), fmt.Sprintf("vishwa-worker-%d", os.Getpid()))

func dockerBench(t *testing.T) *elsewhereBench {
	engine := enginetest.Docker(t)
	return newElsewhere(t, schemas.Runner{Docker: &schemas.DockerRunner{Host: engine.Host}}, schemas.RunsOn{Runner: "box", Image: enginetest.Python(t)}, nil, nil)
}

// TestDockerCarriesOutRuns: folders of this machine are mounted.
func TestDockerCarriesOutRuns(t *testing.T) {
	dockerBench(t).suites(t, dockerBench)
}

// TestDockerKeepsRunsApart: what a run sees of its container, and the level that it stood at.
func TestDockerKeepsRunsApart(t *testing.T) {
	b := dockerBench(t)
	job := port.Job{Key: digest.Of([]byte("apart")), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "apart"}, Network: schemas.Network{schemas.NetworkNone},
		Command: []string{"sh", "-c", `id -u; ls -R /vishwa 2>/dev/null; cat /vishwa/ticket/ticket; cat /proc/1/environ; echo x > /etc/x; echo x > /vishwa/staging/result.json; python3 -c 'import urllib.request; urllib.request.urlopen("` + b.url + `", timeout=3)' 2>&1 | tail -1; cat /proc/self/status; true`}}
	if _, err := b.runner.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	r := porttest.AwaitRun(t, b.runner, job.Key, porttest.IsDone).Result
	raw := kept(t, b.store, r.Log)
	if r.Cause != "" || b.begun.Load() != 0 {
		t.Errorf("%s: %s; it reached the network %d times", r.Cause, r.Message, b.begun.Load())
	}
	for _, want := range []string{"CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(raw, want) {
			t.Errorf("%q is missing:\n%s", want, raw)
		}
	}
	for _, secret := range []string{"document", "launch.json", "nonce"} {
		if strings.Contains(raw, secret) {
			t.Errorf("it saw %q:\n%s", secret, raw)
		}
	}
	if !r.Isolation.Reaches(string(wall.Landlock)) {
		t.Errorf("it ran at %v", r.Isolation)
	}
}

func kept(t *testing.T, store port.Store, d digest.Digest) string {
	t.Helper()
	in, err := store.Get(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
