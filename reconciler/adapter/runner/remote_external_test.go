// External work: what it wrote counts, and nothing of what it says or is.

package runner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// team is a tool that has work of its own: it does at once what it is begun with.
type team struct {
	does func(out string, vars map[string]string) error // out is the folder that it writes to

	mu      sync.Mutex
	tasks   map[string]port.Task
	status  map[string]port.TaskStatus
	removed int
}

func (x *team) Launch(_ context.Context, task port.Task) (port.TaskID, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := port.TaskID{Name: task.Name, UID: task.Launch}
	if _, there := x.tasks[task.Name]; there {
		return id, nil
	}
	x.tasks[task.Name] = task
	out := strings.TrimPrefix(task.External.Vars[port.ExternalOutputs], "file://")
	switch err := x.does(out, task.External.Vars); {
	case errors.Is(err, errForever):
		x.status[task.Name] = port.TaskStatus{Phase: port.TaskRunning}
	case err != nil:
		x.status[task.Name] = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Exit, ExitCode: 1, Reason: err.Error()}
	default:
		x.status[task.Name] = port.TaskStatus{Phase: port.TaskEnded}
	}
	return id, nil
}

var errForever = errors.New("it goes on")

func (x *team) Observe(_ context.Context, id port.TaskID) (port.TaskStatus, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s, there := x.status[id.Name]; there {
		return s, nil
	}
	return port.TaskStatus{}, fault.New(fault.Missing, "%s is not there", id.Name)
}

func (x *team) Await(ctx context.Context, id port.TaskID, _ port.TaskStatus) (port.TaskStatus, error) {
	<-ctx.Done()
	return x.Observe(context.WithoutCancel(ctx), id)
}

func (x *team) Remove(_ context.Context, id port.TaskID) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.status, id.Name)
	x.removed++
	return nil
}

func newTeam(t *testing.T, does func(out string, vars map[string]string) error) (*remoteBench, *team) {
	b := newRemoteBench(t)
	x := &team{does: does, tasks: map[string]port.Task{}, status: map[string]port.TaskStatus{}}
	b.cfg.External, b.cfg.Outside = func(schemas.External) port.Launcher { return x }, "file://"+filepath.Join(b.state, "store")
	b.Runner = runner.Remote(b.cfg)
	return b, x
}

func externalJob(b *remoteBench) port.Job {
	job := b.job("")
	job.Command, job.External = nil, &schemas.External{Airflow: &schemas.ExternalDAG{DAG: "nightly"}}
	return job
}

// write writes files of a folder, by path.
func write(out string, files map[string]string) error {
	for name, text := range files {
		at := filepath.Join(out, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

func TestWhatExternalWorkWroteIsKept(t *testing.T) {
	var told map[string]string
	b, x := newTeam(t, func(out string, vars map[string]string) error {
		told = vars
		return write(out, map[string]string{"out.csv": "a\n", "parts/1": "one", "parts/deep/2": "two", "parts2": "not asked for"})
	})
	d, n, err := b.Store.Put(t.Context(), strings.NewReader("input"))
	if err != nil {
		t.Fatal(err)
	}
	job := externalJob(b)
	job.Outputs, job.Params = map[string]string{"table": "out.csv", "parts": "parts"}, map[string]any{"C": 1.5}
	job.Inputs = map[string]port.Artifact{"raw-data": {Digest: d, Size: n, Name: "raw.csv"}}
	r := b.run(t, job)
	if r.Cause != "" || r.Outputs["table"].Digest != digest.Of([]byte("a\n")) || len(r.Outputs["parts"].Files) != 2 {
		t.Fatalf("%s: %s %+v", r.Cause, r.Message, r.Outputs)
	}
	for _, art := range r.Outputs {
		if has, err := artifact.Has(t.Context(), b.Store, art); err != nil || !has {
			t.Errorf("%s is not kept: %v", art.Name, err)
		}
	}
	if r.Isolation == nil || r.Isolation.Reaches("landlock") {
		t.Errorf("it counts as %v", r.Isolation)
	}
	raw, err := os.ReadFile(strings.TrimPrefix(told["VISHWA_INPUT_RAW_DATA"], "file://"))
	if err != nil || string(raw) != "input" || told["VISHWA_PARAMS"] != `{"C":1.5}` {
		t.Errorf("it was told %v, %v", told, err)
	}
	if x.removed != 0 || len(x.status) != 1 {
		t.Error("what the team may want to look at was taken away")
	}
	if left := b.below("external"); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestAModelOfExternalWork(t *testing.T) {
	b, _ := newTeam(t, func(out string, _ map[string]string) error {
		return write(out, map[string]string{"model/weights": "w", "metrics.json": `{"test": {"auc": 0.9}}`})
	})
	job := externalJob(b)
	job.Model = true
	if r := b.run(t, job); r.Cause != "" || r.Metrics["test.auc"] != 0.9 || r.Model == nil || len(r.Model.Files) != 1 {
		t.Errorf("%s: %s %+v", r.Cause, r.Message, r)
	}
}

// TestExternalWorkThatMadeNothingOfUse: whatever it leaves out, or does instead.
func TestExternalWorkThatMadeNothingOfUse(t *testing.T) {
	for name, c := range map[string]struct {
		does  func(out string, vars map[string]string) error
		model bool
		cause port.Cause
		say   string
	}{
		"it failed, and wrote": {does: func(out string, _ map[string]string) error {
			return errors.Join(write(out, map[string]string{"out.csv": "half"}), errors.New("task load failed"))
		}, cause: port.Exit, say: "task load failed"},
		"no output": {does: func(string, map[string]string) error { return nil }, cause: port.MissingOutput, say: "output table was not written"},
		"no model": {model: true, does: func(out string, _ map[string]string) error {
			return write(out, map[string]string{"metrics.json": `{"a":1}`})
		}, cause: port.MissingOutput, say: "its model"},
		"no metrics": {model: true, does: func(out string, _ map[string]string) error { return write(out, map[string]string{"model/w": "w"}) }, cause: port.MissingOutput, say: "its metrics"},
		"metrics of nothing": {model: true, does: func(out string, _ map[string]string) error {
			return write(out, map[string]string{"model/w": "w", "metrics.json": "{}"})
		}, cause: port.BadMetrics, say: "metrics"},
		"a model that's a file": {model: true, does: func(out string, _ map[string]string) error {
			return write(out, map[string]string{"model": "w", "metrics.json": `{"a":1}`})
		}, cause: port.MissingOutput, say: "its model"},
		"an unsigned file": {model: true, does: func(out string, _ map[string]string) error {
			return write(out, map[string]string{"model/model.sig": "w", "model/.git/x": "y", "metrics.json": `{"a":1}`})
		}, cause: port.Lost, say: "no signature of a model covers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newTeam(t, c.does)
			job := externalJob(b)
			if job.Model = c.model; !c.model {
				job.Outputs = map[string]string{"table": "out.csv"}
			}
			r := b.run(t, job)
			if r.Cause != c.cause || !strings.Contains(r.Message, c.say) || len(r.Outputs) > 0 || r.Model != nil {
				t.Errorf("%s: %s %+v", r.Cause, r.Message, r.Outputs)
			}
		})
	}
}

// TestEachExternalRunHasAnAddressOfItsOwn: which nobody can tell before.
func TestEachExternalRunHasAnAddressOfItsOwn(t *testing.T) {
	at := map[string]bool{}
	b, _ := newTeam(t, func(_ string, vars map[string]string) error {
		at[vars[port.ExternalOutputs]] = true
		return errors.New("not yet")
	})
	job := externalJob(b)
	job.Outputs = map[string]string{"table": "out.csv"}
	for range 3 {
		b.run(t, job)
	}
	if len(at) != 3 {
		t.Errorf("addresses are %v", at)
	}
}

func TestExternalWorkIsStopped(t *testing.T) {
	b, x := newTeam(t, func(string, map[string]string) error { return errForever })
	job := externalJob(b)
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if run, err := b.Poll(t.Context(), job.Key); err != nil || run.State != port.Running {
		t.Fatalf("%+v, %v", run, err)
	}
	if err := b.Stop(t.Context(), job.Key); err != nil {
		t.Fatal(err)
	}
	if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != port.Stopped || len(x.status) != 0 {
		t.Errorf("%s, and there are %d tasks", r.Cause, len(x.status))
	}
}

// TestARunnerWithoutExternalWorkSaysSo: and one of this machine.
func TestARunnerWithoutExternalWorkSaysSo(t *testing.T) {
	b := newRemoteBench(t)
	job := externalJob(b)
	if _, err := b.Start(t.Context(), job); fault.Of(err) != fault.Invalid {
		t.Errorf("elsewhere: %v", err)
	}
	if _, err := newBench(t).Start(t.Context(), job); fault.Of(err) != fault.Invalid {
		t.Errorf("here: %v", err)
	}
	if len(b.processes.all) > 0 {
		t.Error(fmt.Sprint("tasks were begun: ", b.processes.all))
	}
}

// TestExternalWorkIsLentItsInputsForItsWholeTime: or is not begun, and says what to do; what reads
// nothing needs no links.
func TestExternalWorkIsLentItsInputsForItsWholeTime(t *testing.T) {
	b, x := newTeam(t, func(string, map[string]string) error { return errors.New("begun") })
	d, n, err := b.Store.Put(t.Context(), strings.NewReader("input"))
	if err != nil {
		t.Fatal(err)
	}
	web := newLendingWeb(t, b.cfg.Shelf.(porttest.LendingDir).Bucket, filepath.Join(b.state, "store"), 30*time.Minute)
	b.cfg.Shelf = web
	b.Runner = runner.Remote(b.cfg)
	job := externalJob(b)
	job.Outputs, job.Timeout = map[string]string{"table": "out.csv"}, time.Hour
	job.Inputs = map[string]port.Artifact{"raw": {Digest: d, Size: n, Name: "raw.csv"}}
	if _, err := b.Start(t.Context(), job); fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "timeout of 1h0m0s") || fault.HintOf(err) == "" || len(x.tasks) > 0 {
		t.Errorf("links that end before the time-out: %v (%s), %d are begun", err, fault.HintOf(err), len(x.tasks))
	}
	if !web.anew.Load() {
		t.Error("nobody asked for what signs them anew")
	}
	job.Inputs, job.Key = nil, digest.Of([]byte("reads nothing"))
	if r := b.run(t, job); !strings.Contains(r.Message, "begun") {
		t.Errorf("without inputs: %s %s", r.Cause, r.Message)
	}
	web.life = 3 * time.Hour // a longer session
	job.Inputs, job.Key = map[string]port.Artifact{"raw": {Digest: d, Size: n, Name: "raw.csv"}}, digest.Of([]byte("reads"))
	if r := b.run(t, job); !strings.Contains(r.Message, "begun") {
		t.Errorf("with links that last: %s %s", r.Cause, r.Message)
	}
}
