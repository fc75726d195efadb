// The log of a run whose worker left no result is kept, whoever wrote its pieces and however the
// worker came to its end.

package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// TestTheLogOutlivesTheWorker: however its task ended.
func TestTheLogOutlivesTheWorker(t *testing.T) {
	for name, c := range map[string]struct {
		status  port.TaskStatus // as its tool tells
		removed bool
		cause   port.Cause
	}{
		"out of memory": {status: port.TaskStatus{Phase: port.TaskEnded, Cause: port.OutOfMemory, Reason: "it took more memory"}, cause: port.OutOfMemory},
		"node gone":     {status: port.TaskStatus{Phase: port.TaskEnded, Cause: port.Lost, Reason: "its node is gone"}, cause: port.Lost},
		"overdue":       {status: port.TaskStatus{Phase: port.TaskEnded, Cause: port.TimedOut, Reason: "it was still there at its deadline"}, cause: port.TimedOut},
		"a bare exit":   {status: port.TaskStatus{Phase: port.TaskEnded, Cause: port.Exit, ExitCode: 1}, cause: port.Lost},
		"removed":       {removed: true, cause: port.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRemoteBench(t)
			r := b.killed(t, func(x *process) {
				if x.status = c.status; c.removed {
					delete(b.processes.all, x.task.Name)
				}
			})
			b.saysLog(t, r, "epoch 12\n")
			if r.Cause != c.cause || !strings.HasSuffix(r.Tail, "epoch 12") {
				t.Errorf("%s: %s, its tail is %q", r.Cause, r.Message, r.Tail)
			}
			if left := b.left(t); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

// killed runs a job that says "epoch 12", kills its worker, and has its task seen as then says.
func (b *remoteBench) killed(t *testing.T, then func(*process)) *port.Result {
	t.Helper()
	job := b.job("echo epoch 12; sleep 600")
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	await(t, "it says something", func() bool {
		said, err := b.Logs(t.Context(), job.Key, 0)
		return err == nil && string(said) == "epoch 12\n"
	})
	for _, x := range b.processes.all {
		_ = syscall.Kill(x.runs.PID(), syscall.SIGKILL)
		<-x.ended
		b.processes.mu.Lock()
		then(x)
		b.processes.mu.Unlock()
	}
	return porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
}

func (b *remoteBench) saysLog(t *testing.T, r *port.Result, want string) {
	t.Helper()
	if r.Log == "" {
		t.Fatalf("no log is kept: %s: %s", r.Cause, r.Message)
	}
	if kept, err := artifact.ReadAll(t.Context(), b.Store, r.Log); err != nil || string(kept) != want {
		t.Errorf("kept are %d bytes, %.200q, %v; want %.200q", len(kept), kept, err, want)
	}
}

// TestPiecesOfALogAreNotBelieved: a run that got at the worker's loan wrote them.
func TestPiecesOfALogAreNotBelieved(t *testing.T) {
	const said = "epoch 12\n"
	full := strings.Repeat("x", 4<<20)
	for name, c := range map[string]struct {
		files map[string]string // below the prefix
		links map[string]string
		want  string
	}{
		"one that follows":      {files: map[string]string{dispatch.LogName(9): "epoch 13\n"}, want: said + "epoch 13\n"},
		"one that overlaps":     {files: map[string]string{dispatch.LogName(3): "och 14\nepoch 15\n"}, want: said},
		"a gap":                 {files: map[string]string{dispatch.LogName(100): "far\n"}, want: said + "\nvishwa: there is no piece of the log at byte 9: what follows is not kept\n"},
		"other names":           {files: map[string]string{"log/9": "a", "log/00000000000000000009x": "b", "log/+0000000000000000009": "c", "log/x": "d"}, want: said},
		"none at its beginning": {files: map[string]string{dispatch.LogName(0): ""}, want: ""},
		"more than a piece":     {files: map[string]string{dispatch.LogName(9): full + full + "x"}, want: said + "\nvishwa: the piece of the log at byte 9 is larger than 8 MiB: it and what follows are not kept\n"},
		"more than a log":       {files: map[string]string{dispatch.LogName(9): full, dispatch.LogName(9 + 4<<20): full}, want: said + full + "\nvishwa: the log is full at 4194313 bytes: what follows is not kept\n"},
		"a link":                {links: map[string]string{dispatch.LogName(9): "/etc/hostname"}, want: said},
		"words for a terminal":  {files: map[string]string{dispatch.LogName(9): "\x1b[2Jgone\n"}, want: said + "\x1b[2Jgone\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRemoteBench(t)
			b.cfg.Log = 5 << 20
			b.Runner = runner.Remote(b.cfg)
			r := b.killed(t, func(*process) {
				documents, _ := filepath.Glob(filepath.Join(b.state, "store", "staging", "*", "*", dispatch.DocumentName))
				if len(documents) != 1 {
					t.Errorf("documents are %v", documents)
					return
				}
				for file, text := range c.files {
					if err := os.WriteFile(filepath.Join(filepath.Dir(documents[0]), file), []byte(text), 0o600); err != nil {
						t.Error(err)
					}
				}
				for file, to := range c.links {
					if err := os.Symlink(to, filepath.Join(filepath.Dir(documents[0]), file)); err != nil {
						t.Error(err)
					}
				}
			})
			if c.want == "" {
				if r.Log != "" || r.Tail != "" {
					t.Errorf("kept is %s with the tail %q", r.Log, r.Tail)
				}
				return
			}
			b.saysLog(t, r, c.want)
			if strings.Contains(r.Tail, "\x1b") || len(r.Tail) > 16<<10 {
				t.Errorf("its tail is %.100q", r.Tail)
			}
		})
	}
}

// TestALogOfManyPiecesIsKeptInOrder: more than are read side by side.
func TestALogOfManyPiecesIsKeptInOrder(t *testing.T) {
	b := newRemoteBench(t)
	want := "epoch 12\n"
	r := b.killed(t, func(*process) {
		documents, _ := filepath.Glob(filepath.Join(b.state, "store", "staging", "*", "*", dispatch.DocumentName))
		for i := range 500 {
			line := fmt.Sprintf("step %d\n", i)
			if err := os.WriteFile(filepath.Join(filepath.Dir(documents[0]), dispatch.LogName(int64(len(want)))), []byte(line), 0o600); err != nil {
				t.Error(err)
			}
			want += line
		}
	})
	b.saysLog(t, r, want)
	if lines := strings.Split(r.Tail, "\n"); len(lines) != 20 || lines[19] != "step 499" {
		t.Errorf("its tail is %q", r.Tail)
	}
}
