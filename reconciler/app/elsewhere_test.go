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
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "thousand" { // the URL of a Ray cluster or a kubeconfig, DIR
		os.Exit(thousand(os.Args[2], os.Args[3]))
	}
	code := enginetest.Main(m)
	built.Forget()
	os.Exit(code)
}

// elsewhereBench is a project's runner on a real tool.
type elsewhereBench struct {
	store  port.Store
	place  StoreRef
	runner port.Runner
	on     schemas.RunsOn
	url    string // counts who asks for it
	begun  atomic.Int64
	open   func() port.Runner // anew, as another process does
	cfg    *runner.RemoteConfig
}

// newElsewhere opens a runner with its store; at is where the store is, nil for a folder.
func newElsewhere(t testing.TB, project *schemas.Project, declared schemas.Runner, on schemas.RunsOn, at *schemas.Store, lookup map[string]string) *elsewhereBench {
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
	b.cfg = &cfg
	b.open = func() port.Runner {
		r, err := openRunner(project, declared, b.place, cfg)
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

func suites(t *testing.T, open func(t *testing.T) *elsewhereBench) {
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
func builtWorker(t testing.TB) string {
	t.Helper()
	return filepath.Dir(built.Once(t, "vishwa-worker"))
}

// clusterBench is a runner of Jobs in a namespace that takes restricted pods alone, with no more
// rights than its file gives, and a store in S3 that pods reach.
func clusterBench(t testing.TB, worker string) *elsewhereBench {
	t.Helper()
	enginetest.Cluster(t)
	return clusterBenchIn(t, worker, enginetest.Python(t))
}

// clusterBenchIn is clusterBench with runs in an image.
func clusterBenchIn(t testing.TB, worker, image string) *elsewhereBench {
	t.Helper()
	namespace := "runs-" + digest.Of([]byte(t.Name() + worker + image)).Hex()[:8]
	return clusterBenchBy(t, namespace, enginetest.MinIO(t), schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "one", Worker: worker}}, image)
}

// clusterBenchBy is clusterBench with runs by declared, whose cluster is called one, and the store of an S3.
func clusterBenchBy(t testing.TB, namespace, endpoint string, declared schemas.Runner, image string) *elsewhereBench {
	t.Helper()
	k := enginetest.Cluster(t)
	k.Kubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+namespace+`", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`, "create", "-f", "-")
	t.Cleanup(func() { k.Kubectl(t, "", "delete", "namespace", namespace, "--wait=false") })
	c, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err == nil {
		err = c.MakeBucket(t.Context(), "artifacts", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	project := &schemas.Project{Clusters: map[string]schemas.Cluster{"one": {Namespace: namespace}}}
	return newElsewhere(t, project, declared, schemas.RunsOn{Runner: "elsewhere", Image: image},
		&schemas.Store{S3: &schemas.S3{URL: "s3://artifacts/vishwa", Endpoint: endpoint}},
		map[string]string{"AWS_ACCESS_KEY_ID": "minioadmin", "AWS_SECRET_ACCESS_KEY": "minioadmin", "KUBECONFIG": k.Kubeconfig})
}

// workerImage is an image with the worker alone.
func workerImage(t testing.TB) string {
	t.Helper()
	return enginetest.Push(t, "vishwa/worker", enginetest.Image{Programs: map[string]string{"/vishwa-worker": filepath.Join(builtWorker(t), "vishwa-worker")}})
}

// TestKubernetesCarriesOutRuns: restricted pods, requests that are signed ahead, a worker that a
// step of its own brings.
func TestKubernetesCarriesOutRuns(t *testing.T) {
	enginetest.Cluster(t)
	worker := workerImage(t)
	suites(t, func(t *testing.T) *elsewhereBench { return clusterBench(t, worker) })
}

// TestKubernetesKeepsRunsApart: a worker that nothing of the image came before says at which
// level its run stood, and one that the image's own Python fetched does not count.
func TestKubernetesKeepsRunsApart(t *testing.T) {
	enginetest.Cluster(t)
	for worker, level := range map[string]string{workerImage(t): "landlock", "": "none"} {
		b := clusterBench(t, worker)
		job := port.Job{Key: digest.Of([]byte("apart " + worker)), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "apart"}, Network: schemas.Network{schemas.NetworkNone},
			Command: []string{"sh", "-c", `id -u; ls -R /vishwa; cat /vishwa/ticket/ticket; cat /proc/1/environ; ls /var/run/secrets/kubernetes.io; cat /proc/self/status; python3 -c 'import urllib.request; urllib.request.urlopen("` + b.url + `", timeout=3)'; true`}}
		if _, err := b.runner.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		r := porttest.AwaitRun(t, b.runner, job.Key, porttest.IsDone).Result
		if r.Cause != "" || !r.Isolation.Reaches(level) || level == "none" && r.Isolation.Level != "none" {
			t.Fatalf("%s: %s, isolation %v, want %s", r.Cause, r.Message, r.Isolation, level)
		}
		raw := kept(t, b.store, r.Log)
		if b.begun.Load() != 0 || !strings.Contains(raw, "CapEff:\t0000000000000000") || !strings.Contains(raw, "NoNewPrivs:\t1") {
			t.Errorf("it reached the network %d times:\n%s", b.begun.Load(), raw)
		}
		for _, secret := range []string{"document", "X-Amz-Signature", "nonce"} {
			if strings.Contains(raw, secret) {
				t.Errorf("it saw %q:\n%s", secret, raw)
			}
		}
	}
}

// meets is a program of several nodes that find each other by what PyTorch looks for: all tell the first, which writes what it heard.
const meets = `
import os, socket, time
rank, nodes, at = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
heard = []
if rank == 0:
    s = socket.create_server(("", at[1]))
    for _ in range(nodes - 1):
        c, _ = s.accept(); heard.append(c.recv(99).decode())
else:
    for _ in range(600):
        try: c = socket.create_connection(at, 5); break
        except OSError: time.sleep(.1)
    c.sendall(f"{rank} of {os.environ['VISHWA_NODES']}".encode())
open(os.environ["VISHWA_OUTPUT_MADE"], "w").write(f"{rank} heard {heard}")
`

// TestKubernetesNodesMakeOneResult: each node has a worker of its own, they find each other, and the first one's output is the run's.
func TestKubernetesNodesMakeOneResult(t *testing.T) {
	enginetest.Cluster(t)
	b := clusterBench(t, workerImage(t))
	b.on.Nodes = 2
	job := port.Job{Key: digest.Of([]byte("nodes")), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "nodes"}, Timeout: 5 * time.Minute,
		Command: []string{"python3", "-c", meets}, Outputs: map[string]string{"made": "made"}}
	runner := placed{b.open(), b.on}
	run, err := runner.Start(t.Context(), job)
	for err == nil && run.State != port.Done {
		run, err = runner.Wait(t.Context(), job.Key, run.State, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := run.Result
	if r.Cause != "" {
		t.Fatalf("%s: %s\n%s", r.Cause, r.Message, r.Tail)
	}
	if made, want := kept(t, b.store, r.Outputs["made"].Digest), "0 heard ['1 of 2']"; made != want {
		t.Errorf("it made %q, want %q", made, want)
	}
}

// BenchmarkKubernetesRun has runs that do nothing go to a cluster, from their start until their result is kept: a worker that a
// step brings, a code that is fetched, a result that is hashed. Beside it stands a Job of the same image, created and awaited by kubectl.
func BenchmarkKubernetesRun(b *testing.B) {
	k := enginetest.Cluster(b)
	e := clusterBench(b, workerImage(b))
	image := enginetest.Python(b)
	k.Kubectl(b, "", "create", "namespace", "by-hand")
	b.Cleanup(func() { k.Kubectl(b, "", "delete", "namespace", "by-hand", "--wait=false") })
	ours := func(name string) time.Duration {
		begun := time.Now()
		job := port.Job{Key: digest.Of([]byte(name)), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "nothing"}, Command: []string{"true"}}
		run, err := e.runner.Start(b.Context(), job)
		steps := []any{"launched", time.Since(begun).Round(time.Millisecond)}
		for was := run.State; err == nil && run.State != port.Done; {
			run, err = e.runner.Wait(b.Context(), job.Key, run.State, 0)
			if run.State != was {
				was = run.State
				steps = append(steps, run.State, time.Since(begun).Round(time.Millisecond))
			}
		}
		b.Log(append([]any{name}, steps...)...)
		if err != nil {
			b.Fatal(err)
		}
		if r := run.Result; r.Cause != "" {
			b.Fatalf("%s: %s", r.Cause, r.Message)
		}
		return time.Since(begun)
	}
	theirs := func(name string) time.Duration {
		begun := time.Now()
		k.Kubectl(b, "", "create", "job", name, "--image="+image, "-n", "by-hand", "--", "true")
		k.Kubectl(b, "", "wait", "--for=condition=complete", "job/"+name, "-n", "by-hand", "--timeout=2m")
		return time.Since(begun)
	}
	ours("warm") // both images are there from now on
	theirs("warm")
	const rounds = 5
	for b.Loop() {
		var a, z time.Duration
		for i := range rounds {
			a += ours(fmt.Sprint("ours-", i))
			z += theirs(fmt.Sprint("theirs-", i))
		}
		a, z = a/rounds, z/rounds
		b.ReportMetric(a.Seconds(), "s/run")
		b.ReportMetric(z.Seconds(), "s/kubectl")
		if a > z*12/10+500*time.Millisecond {
			b.Errorf("a run takes %s, and by kubectl %s", a, z)
		}
	}
}

func kept(t testing.TB, store port.Store, d digest.Digest) string {
	t.Helper()
	raw, err := artifact.ReadAll(t.Context(), store, d)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
