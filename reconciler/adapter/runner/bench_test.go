// What runs of tests are made of, and how their ends are awaited.

package runner_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/gpu"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

var sealed, _ = seal.KeyOf([]byte(strings.Repeat("k", 32)))

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "supervise" {
		cfg, err := config(os.Args[3])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(runner.Supervise(context.Background(), os.Args[2], cfg))
	}
	if len(os.Args) > 2 && os.Args[1] == "work" { // DIR
		os.Exit(workerMain())
	}
	if len(os.Args) > 3 && os.Args[1] == "apply" { // STATE JOB
		os.Exit(apply(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// apply starts a job and then hangs, to be killed.
func apply(state, file string) int {
	cfg, err := config(state)
	var job port.Job
	raw, _ := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &job)
	}
	if err == nil {
		_, err = runner.Local(cfg).Start(context.Background(), job)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("started")
	time.Sleep(time.Minute)
	return 0
}

// levelVariable says at which level of isolation an apply of these tests begins its runs.
const levelVariable = "VISHWA_TEST_LEVEL"

func config(state string) (runner.Config, error) {
	s, err := store.Dir(filepath.Join(state, "store"))
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv, Self: os.Args[0]}
	return runner.Config{
		Env: env, Store: s, Dir: filepath.Join(state, "runs"), Args: []string{state}, Grace: 300 * time.Millisecond, Log: 64 << 10,
		Envs: sandbox.Environments{Dir: filepath.Join(state, "envs"), Env: env, Seal: sealed},
		GPUs: gpu.Machine{All: func() []gpu.GPU { return gpu.Read(os.DirFS(filepath.Join(state, "driver"))) }, Locks: filepath.Join(state, "gpus")},
		Seal: sealed, Wall: wall.Policy{Level: wall.Level(cmp.Or(os.Getenv(levelVariable), string(wall.None))), Write: []string{filepath.Join(state, "seen")}},
	}, err
}

// bench is a runner with its state and a count of what began.
type bench struct {
	runner.Config
	port.Runner
	state, count string
}

func newBench(t testing.TB) *bench { return newBenchAt(t, wall.None) }

// newBenchAt is a bench whose runs stand behind a wall of this level.
func newBenchAt(t testing.TB, level wall.Level) *bench {
	t.Helper()
	state := t.TempDir()
	cfg, err := config(state)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Wall.Level = level
	cfg.Env.Self, err = os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Config: cfg, Runner: runner.Local(cfg), state: state, count: filepath.Join(state, "seen", "count")}
	if err := os.Mkdir(filepath.Dir(b.count), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(b.count), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing may write below state while it is removed
		held, _ := filepath.Glob(filepath.Join(state, "runs", "*", "*", "alive"))
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			busy := false
			for _, f := range held {
				h, _ := sandbox.Held(f)
				busy = busy || h
			}
			if !busy {
				return
			}
		}
		t.Error("a supervisor is left")
	})
	return b
}

func (b *bench) sh(script string) []string {
	return []string{"sh", "-c", "umask 0; echo begun >> '" + b.count + "'\n" + script}
}

func (b *bench) begun() int {
	raw, _ := os.ReadFile(b.count)
	return strings.Count(string(raw), "\n")
}

func (b *bench) job(script string) port.Job {
	return port.Job{Key: digest.Of([]byte(script)), Ref: schemas.Ref{Kind: "training", Name: "t"}, Command: b.sh(script)}
}

func (b *bench) run(t *testing.T, job port.Job) *port.Result {
	t.Helper()
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatalf("start: %v", err)
	}
	return porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func gone(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(raw), ") Z ")
}

// pids reads process numbers that a run has written to a file, one a line.
func pids(t *testing.T, file string, n int) (list []int) {
	t.Helper()
	await(t, "the run tells its processes", func() bool {
		raw, _ := os.ReadFile(file)
		list = nil
		for _, s := range strings.Fields(string(raw)) {
			if p, err := strconv.Atoi(s); err == nil {
				list = append(list, p)
			}
		}
		return len(list) >= n
	})
	return list
}

func (b *bench) apply(t *testing.T, job port.Job) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b.Env.Self, "apply", b.state, file)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	buf := make([]byte, 200)
	if n, _ := out.Read(buf); string(buf[:n]) != "started\n" {
		t.Fatalf("apply said %q", buf[:n])
	}
	return cmd
}
