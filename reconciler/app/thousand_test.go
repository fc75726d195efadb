// What a thousand runs under way cost the process that waits for them: memory, and requests to
// the tool that has them.

package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	launching "github.com/vishwaops/vishwa/reconciler/adapter/launcher"
	"github.com/vishwaops/vishwa/reconciler/adapter/launcher/service"
	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// The goal, and how long the steady state is looked at.
const (
	mostMemory = 200 << 10 // KiB
	steadily   = 20 * time.Second
)

// lendingFolder lends by paths, as S3 does by signed requests.
type lendingFolder struct {
	port.Bucket
	dir string
}

func (l lendingFolder) Lend(_ context.Context, loan port.Loan) (port.Grant, error) {
	g := port.Grant{Read: map[string]string{}, Until: loan.Until, Write: port.WriteGrant{URL: "file://" + filepath.Join(l.dir, loan.Write)}}
	for _, k := range loan.Read {
		g.Read[k] = "file://" + filepath.Join(l.dir, k)
	}
	return g, nil
}

// sleeping begins in place of each worker what does nothing for long.
type sleeping struct{ port.Launcher }

func (l sleeping) Launch(ctx context.Context, task port.Task) (port.TaskID, error) {
	task.Command = []string{"/bin/sh", "-c", "exec sleep 3600"}
	return l.Launcher.Launch(ctx, task)
}

func (l sleeping) Known(ctx context.Context, id port.TaskID) (port.TaskStatus, bool) {
	return l.Launcher.(port.Watcher).Known(ctx, id)
}

// pods is an image that the double of a cluster has.
const pods = "registry.example.com/python@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"

// thousand begins a thousand runs on a Ray cluster, or on the one of a kubeconfig, and waits for
// all of them until its input ends.
func thousand(at, dir string) int {
	err := func() error {
		kept, err := store.Dir(filepath.Join(dir, "store"))
		if err != nil {
			return err
		}
		shelf, err := bucket.Dir(filepath.Join(dir, "store"))
		if err != nil {
			return err
		}
		env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { return at, name == "KUBECONFIG" }}
		key, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
		if err != nil {
			return err
		}
		l, image := service.Ray(schemas.RayRunner{URL: at}, service.Options{Env: env}), ""
		if filepath.IsAbs(at) {
			image = pods
			on, err := launching.Kubernetes(launching.KubernetesOptions{Cluster: schemas.Cluster{Namespace: kubetest.Namespace}, Env: env, ClusterOptions: launching.ClusterOptions{Owner: "bench"}})
			if err != nil {
				return err
			}
			l = sleeping{on}
		}
		r := runner.Remote(runner.RemoteConfig{Name: "ray", Launcher: l, Env: env, Store: kept, Dir: filepath.Join(dir, "runs"), Seal: key, Owner: "bench", Brought: true,
			Shelf: lendingFolder{shelf, filepath.Join(dir, "store")}, Object: store.Key})
		jobs := make([]port.Job, 1000)
		var begins errgroup.Group
		begins.SetLimit(16)
		for i := range jobs {
			jobs[i] = port.Job{Key: digest.Of(fmt.Append(nil, i)), Ref: schemas.Ref{Kind: schemas.KindTraining, Name: fmt.Sprint("t", i)}, Command: []string{"true"}, RunsOn: schemas.RunsOn{Image: image}}
			begins.Go(func() error { _, err := r.Start(context.Background(), jobs[i]); return err })
		}
		if err := begins.Wait(); err != nil {
			return err
		}
		// Each worker says that its command has begun.
		staged, err := filepath.Glob(filepath.Join(dir, "store", "staging", "*", "*"))
		if err != nil || len(staged) != len(jobs) {
			return fmt.Errorf("%d runs were handed over: %w", len(staged), err)
		}
		for _, at := range staged {
			if err := os.WriteFile(filepath.Join(at, dispatch.StatusName), []byte("{}"), 0o600); err != nil {
				return err
			}
		}
		ctx, stop := context.WithCancel(context.Background())
		var waits errgroup.Group
		var told atomic.Int64
		for _, job := range jobs {
			waits.Go(func() error {
				for first, seen := true, port.Waiting; ; first = first && seen == port.Waiting {
					run, err := r.Wait(ctx, job.Key, seen, 0)
					if ctx.Err() != nil {
						return nil
					}
					if err == nil && seen == port.Waiting && run.State == port.Waiting { // its pod is on its way
						continue
					}
					if err != nil || run.State != port.Running {
						return fmt.Errorf("%s stands as %+v: %w", job.Ref, run, err)
					}
					if _, err := r.Logs(ctx, job.Key, 0); err != nil && ctx.Err() == nil {
						return err
					}
					seen = port.Running
					if first {
						told.Add(1)
					}
				}
			})
		}
		for told.Load() < int64(len(jobs)) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Println("waits")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		stop()
		return waits.Wait()
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// endless is the head of a Ray cluster whose jobs run and never end.
func endless(asked *atomic.Int64) http.Handler {
	var mu sync.Mutex
	jobs := map[string]map[string]any{}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		mu.Lock()
		defer mu.Unlock()
		id := strings.TrimPrefix(q.URL.Path, "/api/jobs/")
		switch {
		case q.Method == http.MethodPost:
			var job map[string]any
			_ = json.NewDecoder(q.Body).Decode(&job)
			id, _ := job["submission_id"].(string)
			job["status"], job["type"] = "RUNNING", "SUBMISSION" // its runtime_env, and with it the ticket, is told as Ray does
			jobs[id] = job
			_ = json.NewEncoder(w).Encode(map[string]any{"submission_id": id})
		case id == "":
			_ = json.NewEncoder(w).Encode(slices.Collect(maps.Values(jobs)))
		case jobs[id] == nil:
			http.Error(w, "no such job", http.StatusNotFound)
		default:
			_ = json.NewEncoder(w).Encode(jobs[id])
		}
	})
}

// BenchmarkThousandRuns has a process of its own wait for a thousand runs of a Ray cluster that this one plays.
func BenchmarkThousandRuns(b *testing.B) {
	thousandRuns(b, func() (string, func() int64) {
		var asked atomic.Int64
		head := httptest.NewServer(endless(&asked))
		b.Cleanup(head.Close)
		return head.URL, asked.Load
	})
}

// BenchmarkThousandJobs is the same of a Kubernetes cluster that this process plays, with a process for each pod.
func BenchmarkThousandJobs(b *testing.B) {
	thousandRuns(b, func() (string, func() int64) {
		c := kubetest.New(b, kubetest.Options{CPU: "4000", Memory: "4000Gi", Images: []string{pods}})
		return c.Kubeconfig(), func() int64 { return int64(c.Asked()) }
	})
}

func thousandRuns(b *testing.B, open func() (at string, asked func() int64)) {
	for b.Loop() {
		at, asked := open()
		cmd := exec.CommandContext(b.Context(), "/proc/self/exe", "thousand", at, b.TempDir())
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "waits\n" {
			b.Fatalf("it says %q, %v", line, err)
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s/begin")
		for n, calm, tries := asked(), 0, 0; calm < 3 && tries < 60; tries++ { // until what was asked to begin with is answered
			time.Sleep(time.Second)
			last := n
			if n = asked(); n-last < 20 {
				calm++
			} else {
				calm = 0
			}
		}
		before := asked()
		time.Sleep(steadily) // of nothing: what is asked meanwhile is what waiting costs
		requests := asked() - before
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		var peak int64
		for line := range strings.Lines(string(status)) {
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &peak); err == nil {
				break
			}
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(peak)/1024, "MiB")
		b.ReportMetric(float64(requests)/steadily.Seconds(), "requests/s")
		if peak > mostMemory || requests > 100 {
			b.Errorf("a thousand runs take %d MiB, and %d requests in %s", peak>>10, requests, steadily)
		}
	}
}
