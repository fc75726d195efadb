// Runs that are stopped, lost, or outlive whoever began them.

package runner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// family begins processes in every way by which they might outlive a run.
const family = `
trap '' TERM
sh -c 'trap "" TERM; echo $$ >> "$0"; sleep 601 & echo $! >> "$0"; wait; sleep 602' "%[1]s" &
setsid sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 1; done' "%[1]s" &
( setsid env -i PATH="$PATH" sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 1; done' "%[1]s" & )
echo $$ >> "%[1]s"
`

// TestStopEndsEveryProcess: grandchildren that ignore SIGTERM, those that leave
// the session, and those that clear their environment too.
func TestStopEndsEveryProcess(t *testing.T) {
	for name, c := range map[string]struct {
		then string
		stop bool
		want port.Cause
	}{
		"stopped":            {"wait; while :; do sleep 1; done", true, port.Stopped},
		"time-out":           {"wait; while :; do sleep 1; done", false, port.TimedOut},
		"ended by itself":    {"sleep 0.2; exit 0", false, ""},
		"ended with failure": {"sleep 0.2; exit 3", false, port.Exit},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			file := filepath.Join(b.state, "pids")
			job := b.job(fmt.Sprintf(family, file) + c.then)
			job.Timeout = 2 * time.Second
			if c.stop {
				job.Timeout = time.Minute
			}
			if _, err := b.Start(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			list := pids(t, file, 5)
			if c.stop {
				if err := b.Stop(t.Context(), job.Key); err != nil {
					t.Fatal(err)
				}
			}
			if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != c.want {
				t.Errorf("got %+v", r)
			}
			for _, p := range list {
				if !gone(p) {
					t.Errorf("process %d of %v is left", p, list)
					_ = syscall.Kill(p, syscall.SIGKILL)
				}
			}
		})
	}
}

// TestARunOutlivesWhoBeganIt: kill -9 of apply, and apply again, is one run.
func TestARunOutlivesWhoBeganIt(t *testing.T) {
	b := newBench(t)
	gate := filepath.Join(b.state, "gate")
	job := b.job("while [ ! -e '" + gate + "' ]; do sleep 0.02; done; echo made > \"$VISHWA_OUTPUT_O\"")
	job.Outputs = map[string]string{"o": "o.txt"}
	cmd := b.apply(t, job)
	porttest.AwaitRun(t, b, job.Key, porttest.IsRunning)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if run, err := b.Start(t.Context(), job); err != nil || run.State == port.Done {
		t.Fatalf("start again: %+v, %v", run, err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	if r.Cause != "" || r.Outputs["o"].Size != 5 || b.begun() != 1 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
}

// TestTwoProcessesStartOneRun: a key is begun once, whichever process is first.
func TestTwoProcessesStartOneRun(t *testing.T) {
	b := newBench(t)
	job := b.job("sleep 0.3")
	started := make(chan *exec.Cmd, 2)
	t.Run("start", func(t *testing.T) {
		for range 2 {
			t.Run("process", func(t *testing.T) { t.Parallel(); started <- b.apply(t, job) })
		}
	})
	if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != "" || b.begun() != 1 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
}

// TestALostRunIsBegunAnew: a supervisor that is killed leaves a run that is lost,
// whose processes are ended before the key is begun anew, once.
func TestALostRunIsBegunAnew(t *testing.T) {
	b := newBench(t)
	file, second := filepath.Join(b.state, "pids"), filepath.Join(b.state, "second")
	job := b.job("[ -e '" + second + "' ] && exit 0; echo epoch 12; " + fmt.Sprintf(family, file) + "echo $PPID >> '" + file + "'; while :; do sleep 1; done")
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	list := pids(t, file, 6)
	raw, err := filepath.Glob(filepath.Join(b.Dir, "*", "*", "status.json"))
	if err != nil || len(raw) != 1 {
		t.Fatal(raw, err)
	}
	var s struct{ PID int }
	text, _ := os.ReadFile(raw[0])
	_, text, _ = bytes.Cut(text, []byte("\n")) // its seal
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lost := porttest.AwaitRun(t, b, job.Key, porttest.IsDone)
	if lost.Result.Cause != port.Lost || !strings.Contains(lost.Result.Message, "the next pass") {
		t.Errorf("got %+v", lost.Result)
	}
	if log, err := artifact.ReadAll(t.Context(), b.Store, lost.Result.Log); err != nil || !strings.HasPrefix(string(log), "epoch 12\n") {
		t.Errorf("its log is %q, %v", log, err)
	}
	if err := os.WriteFile(second, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := b.run(t, job); r.Cause != "" || b.begun() != 2 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
	left := 0
	for _, p := range list {
		if !gone(p) {
			left++
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	}
	// The one that has left the session, lost its parent and cleared its
	// environment cannot be told from any other process once its supervisor is gone.
	if left > 1 {
		t.Errorf("%d of %v are left", left, list)
	}
}

// TestASignalFromOutsideIsNoStop: the end of the machine's session is not taken for a request.
func TestASignalFromOutsideIsNoStop(t *testing.T) {
	b := newBench(t)
	job := b.job("kill -TERM $PPID; sleep 600")
	if r := b.run(t, job); r.Cause != port.Lost || !strings.Contains(r.Message, "signal") {
		t.Errorf("got %+v", r)
	}
}

// TestARunThatStoodTooWeakIsNone: where a level of isolation is asked for, what ended well
// at a weaker one is run again, and what reached it is found.
func TestARunThatStoodTooWeakIsNone(t *testing.T) {
	b := newBench(t)
	job := b.job("true")
	b.run(t, job)
	job.Isolation = string(wall.Landlock)
	b.Config.Wall.Level = wall.Landlock
	stronger := &bench{Config: b.Config, Runner: runner.Local(b.Config), state: b.state, count: b.count}
	for range 2 {
		if r := stronger.run(t, job); r.Cause != "" || r.Isolation == nil || r.Isolation.Level != string(wall.Landlock) {
			t.Fatalf("%+v", r)
		}
	}
	if n := b.begun(); n != 2 {
		t.Errorf("begun %d times, want 2", n)
	}
}

// TestARunThatCannotBeKeptApartSaysWhatLacks: which guarantee, and what to change. Nothing
// of it is begun.
func TestARunThatCannotBeKeptApartSaysWhatLacks(t *testing.T) {
	b := newBench(t)
	b.Config.Wall = wall.Policy{Level: wall.Landlock, Strict: true} // where declared hosts cannot be held to
	strict := &bench{Config: b.Config, Runner: runner.Local(b.Config), state: b.state, count: b.count}
	job := b.job("true")
	job.Network = schemas.Network{"mirror.example.com:443"}
	r := strict.run(t, job)
	for _, want := range []string{"it could not be begun", "cannot guarantee network", "it gives landlock", "sysctl kernel.apparmor_restrict_unprivileged_userns=0", "vishwa doctor", "spec.isolation.level: none"} {
		if !strings.Contains(r.Message, want) {
			t.Errorf("%q is not said in: %s", want, r.Message)
		}
	}
	if r.Cause != port.BadEnv || strings.Contains(r.Message, "\n") || b.begun() != 0 {
		t.Errorf("%s, begun %d times: %q", r.Cause, b.begun(), r.Message)
	}
}
