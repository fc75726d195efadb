// Runs elsewhere, on a launcher whose tasks are processes of this machine: real workers, real
// results, and everything that a hostile or a dying one may leave.

package runner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestRemote(t *testing.T) {
	porttest.Runner(t, func(t *testing.T) porttest.RunnerBench {
		b := newRemoteBench(t)
		return porttest.RunnerBench{Runner: b.Runner, Well: b.sh("echo hello"), Badly: b.sh("exit 7"), Forever: b.sh("while :; do sleep 1; done"), Begun: b.begun}
	})
}

func TestRemoteWork(t *testing.T) {
	porttest.Work(t, func(t *testing.T) porttest.WorkBench {
		b := newRemoteBench(t)
		return porttest.WorkBench{Runner: b.Runner, Store: b.Store, Shell: func(s string) []string { return []string{"sh", "-c", s} }}
	})
}

// TestATasksNameIsOneThatEveryToolTakes, with a declared one of 63 letters, too: there is room for what tools put behind it, and another run is another task.
func TestATasksNameIsOneThatEveryToolTakes(t *testing.T) {
	b := newRemoteBench(t)
	label := regexp.MustCompile(`^[a-z]([-a-z0-9]{0,46}[a-z0-9])?$`)
	for _, name := range []string{strings.Repeat("long", 15) + "est", strings.Repeat("long", 15) + "ish", "a" + strings.Repeat("-", 30) + "z", "9"} {
		job := b.job("sleep 60 # " + name)
		job.Ref.Name = name
		if _, err := b.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		defer func() { // before it ends, whose worker would outlive the tests
			if err := b.Stop(t.Context(), job.Key); err != nil {
				t.Error(err)
			}
			porttest.AwaitRun(t, b.Runner, job.Key, porttest.IsDone)
		}()
	}
	b.processes.mu.Lock()
	defer b.processes.mu.Unlock()
	for name := range b.processes.all {
		if !label.MatchString(name) {
			t.Errorf("a task is called %q", name)
		}
	}
	if len(b.processes.all) != 4 {
		t.Errorf("4 runs are %d tasks", len(b.processes.all))
	}
}

// TestARemoteRunOutlivesWhoBeganIt: at each step at which its process may die.
func TestARemoteRunOutlivesWhoBeganIt(t *testing.T) {
	b := newRemoteBench(t)
	job := b.job(`while [ ! -e '` + b.state + `/go' ]; do sleep 0.02; done; echo made > "$VISHWA_OUTPUT_MADE"`)
	job.Outputs = map[string]string{"made": "made"}
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	await(t, "it runs", func() bool { return b.begun() == 1 })
	tasks, _ := filepath.Glob(filepath.Join(b.cfg.Dir, "*", "*", "task.json"))
	if len(tasks) != 1 {
		t.Fatalf("tasks are %v", tasks)
	}
	// It died between launching and noting so.
	if err := os.Remove(tasks[0]); err != nil {
		t.Fatal(err)
	}
	document, _ := filepath.Glob(filepath.Join(b.state, "store", "staging", "*", "*", "launch.json"))
	if len(document) != 1 {
		t.Fatalf("documents are %v", document)
	}
	before, err := os.ReadFile(document[0])
	if err != nil {
		t.Fatal(err)
	}
	second := b.again()
	if run, err := second.Poll(t.Context(), job.Key); err != nil || run.State != port.Waiting {
		t.Errorf("%+v, %v", run, err)
	}
	if run, err := second.Start(t.Context(), job); err != nil || run.State == port.Done {
		t.Fatalf("%+v, %v", run, err)
	}
	if after, err := os.ReadFile(document[0]); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what its worker may be about to read was changed: %v", err)
	}
	// It died with everything that it knew.
	if err := os.RemoveAll(b.cfg.Dir); err != nil {
		t.Fatal(err)
	}
	third := b.again()
	if _, err := third.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.state, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := porttest.AwaitRun(t, third, job.Key, porttest.IsDone)
	if run.Result.Cause != "" || run.Result.Outputs["made"].Digest != digest.Of([]byte("made\n")) {
		t.Errorf("%+v", run.Result)
	}
	if b.begun() != 1 || b.processes.n != 1 {
		t.Errorf("it was begun %d times in %d tasks", b.begun(), b.processes.n)
	}
	if left := b.left(t); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// TestAResultIsBelievedByItsContent: whatever lies where a result should.
func TestAResultIsBelievedByItsContent(t *testing.T) {
	good := digest.Of([]byte("made\n"))
	for name, c := range map[string]struct {
		change func(m *dispatch.Manifest)
		file   func(dir string) error
		say    string
	}{
		"another job":        {change: func(m *dispatch.Manifest) { m.Job = digest.Of(nil) }, say: "of another run"},
		"another launch":     {change: func(m *dispatch.Manifest) { m.Nonce = "x" }, say: "of another run"},
		"another version":    {change: func(m *dispatch.Manifest) { m.Version = 2 }, say: "one version"},
		"an output too many": {change: func(m *dispatch.Manifest) { m.Result.Outputs["more"] = m.Result.Outputs["made"] }, say: "its outputs are"},
		"no output":          {change: func(m *dispatch.Manifest) { m.Result.Outputs = nil }, say: "its outputs are"},
		"a model":            {change: func(m *dispatch.Manifest) { m.Result.Model = &port.Artifact{Digest: good} }, say: "a model is there"},
		"what was not written": {change: func(m *dispatch.Manifest) {
			m.Result.Outputs["made"] = port.Artifact{Digest: digest.Of([]byte("x")), Size: 1}
		}, say: "was not written"},
		"another size": {change: func(m *dispatch.Manifest) { a := m.Result.Outputs["made"]; a.Size++; m.Result.Outputs["made"] = a }, say: "was not written"},
		"more than there is": {change: func(m *dispatch.Manifest) {
			m.Made[good] = 1 << 60
			a := m.Result.Outputs["made"]
			a.Size = 1 << 60
			m.Result.Outputs["made"] = a
		}, say: "more than the limit"},
		"a path that climbs": {change: func(m *dispatch.Manifest) {
			m.Result.Outputs["made"] = port.Artifact{Digest: good, Files: digest.Manifest{{Path: "../x", Digest: good, Size: 5}}}
		}, say: "output made"},
		"other bytes": {file: func(d string) error {
			return os.WriteFile(filepath.Join(d, "objects", good.Hex()), []byte("evil\n"), 0o600)
		}, say: "other bytes"},
		"an object that is gone": {file: func(d string) error { return os.Remove(filepath.Join(d, "objects", good.Hex())) }, say: "left no result"},
		"a link for an object": {file: func(d string) error {
			p := filepath.Join(d, "objects", good.Hex())
			_ = os.Remove(p)
			return os.Symlink("/etc/hostname", p)
		}, say: ""},
		"no JSON": {file: func(d string) error { return os.WriteFile(filepath.Join(d, "result.json"), []byte("]"), 0o600) }, say: "read result"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRemoteBench(t)
			b.processes.tamper = func(*process) {
				files, _ := filepath.Glob(filepath.Join(b.state, "store", "staging", "*", "*", "result.json"))
				if len(files) != 1 {
					return
				}
				if c.file != nil {
					if err := c.file(filepath.Dir(files[0])); err != nil {
						t.Error(err)
					}
					return
				}
				var m dispatch.Manifest
				raw, _ := os.ReadFile(files[0])
				if err := json.Unmarshal(raw, &m); err != nil {
					t.Error(err)
				}
				c.change(&m)
				raw, _ = json.Marshal(m)
				if err := os.WriteFile(files[0], raw, 0o600); err != nil {
					t.Error(err)
				}
			}
			job := b.job(`echo made > "$VISHWA_OUTPUT_MADE"`)
			job.Outputs = map[string]string{"made": "made"}
			r := b.run(t, job)
			if r.Cause != port.Lost || !strings.Contains(r.Message, c.say) || len(r.Outputs) > 0 {
				t.Errorf("%s: %s %+v, want %q", r.Cause, r.Message, r.Outputs, c.say)
			}
			if has, err := b.Store.Has(t.Context(), digest.Of([]byte("evil\n"))); err != nil || (has && c.say != "other bytes") {
				t.Errorf("kept: %t, %v", has, err)
			}
			if left := b.left(t); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
}

// TestAWorkerThatSaysNothingIsLost: killed, removed by somebody, or out of a machine.
func TestAWorkerThatSaysNothingIsLost(t *testing.T) {
	b := newRemoteBench(t)
	job := b.job("sleep 600")
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	await(t, "it runs", func() bool { return b.begun() == 1 })
	for _, x := range b.processes.all {
		_ = syscall.Kill(x.runs.PID(), syscall.SIGKILL)
	}
	r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	if r.Cause != port.Lost || !strings.Contains(r.Message, "left no result") {
		t.Errorf("%s: %s", r.Cause, r.Message)
	}
	if run, err := b.Start(t.Context(), job); err != nil || run.State == port.Done {
		t.Errorf("it is not begun anew: %+v, %v", run, err)
	}
	await(t, "it runs again", func() bool { return b.begun() == 2 })
	for _, x := range b.processes.all {
		_ = syscall.Kill(x.runs.PID(), syscall.SIGKILL)
		_ = b.processes.Remove(t.Context(), x.id)
	}
	r = porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	if r.Cause != port.Lost || !strings.Contains(r.Message, "Somebody removed") {
		t.Errorf("%s: %s", r.Cause, r.Message)
	}
}

// TestARunWhoseMachineIsTakenBackBeginsAnew: by itself, and it is one run for whoever asks. Its worker
// may have been told to end and have said so, or had no time to.
func TestARunWhoseMachineIsTakenBackBeginsAnew(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"at once": syscall.SIGKILL, "with time to end": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRemoteBench(t)
			b.processes.tamper = func(x *process) {
				if code := x.runs.Code(); signal == syscall.SIGTERM && b.begun() == 1 && code != dispatch.Terminated {
					t.Errorf("its worker ended with code %d, which tells its tool that all is well", code)
				}
			}
			job := b.job(`if [ ! -e '` + b.state + `/seen/twice' ]; then touch '` + b.state + `/seen/twice'; sleep 600; fi; echo made > "$VISHWA_OUTPUT_MADE"`)
			job.Outputs = map[string]string{"made": "made"}
			if _, err := b.Start(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			await(t, "it runs", func() bool { _, err := os.Stat(b.state + "/seen/twice"); return err == nil })
			for _, x := range b.processes.all {
				_ = syscall.Kill(x.runs.PID(), signal)
				<-x.ended
				b.processes.mu.Lock()
				x.status = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Preempted, Reason: "the node was taken back"}
				b.processes.mu.Unlock()
			}
			r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
			if r.Cause != "" || b.begun() != 2 {
				t.Errorf("%s: %s, begun %d times", r.Cause, r.Message, b.begun())
			}
		})
	}
}

// TestTheLogIsReadWhileItGrows: in pieces, from any offset, and the same when it has ended.
func TestTheLogIsReadWhileItGrows(t *testing.T) {
	b := newRemoteBench(t)
	job := b.job(`for i in 1 2 3; do echo "line $i"; while [ ! -e '` + b.state + `/go'$i ]; do sleep 0.02; done; done`)
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for i := 1; i <= 3; i++ {
		want := fmt.Sprintf("line %d\n", i)
		await(t, want, func() bool {
			more, err := b.Logs(t.Context(), job.Key, int64(len(got)))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, more...)
			return strings.HasSuffix(string(got), want)
		})
		if i == 2 {
			if raw, err := b.again().Logs(t.Context(), job.Key, 2); err != nil || string(raw) != "ne 1\n" {
				t.Errorf("from the middle of a piece: %q, %v", raw, err)
			}
		}
		if err := os.WriteFile(fmt.Sprint(b.state, "/go", i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	kept, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
	if err != nil || !bytes.Equal(kept, got) {
		t.Errorf("kept %q, read %q, %v", kept, got, err)
	}
	if raw, err := b.Logs(t.Context(), job.Key, 5); err != nil || string(raw) != string(kept[5:]) {
		t.Errorf("%q, %v", raw, err)
	}
}

// TestWhatARunSeesOfItsWorker: neither its ticket, nor its memory, nor its folder.
func TestWhatARunSeesOfItsWorker(t *testing.T) {
	b := newRemoteBench(t)
	b.cfg.Wall.Level = wall.Landlock
	b.Runner = runner.Remote(b.cfg)
	job := b.job("")
	job.Command = []string{"sh", "-c", `env | grep -i ticket; cat /proc/$PPID/environ | tr '\0' '\n' | grep -c VISHWA_TICKET; cat /proc/$PPID/mem; ls -R '` + b.processes.dir + `'; find / -name launch.json 2>/dev/null; find '` + b.state + `' -type f -exec cat {} + 2>/dev/null; true`}
	r := b.run(t, job)
	raw, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
	if err != nil || r.Cause != "" {
		t.Fatalf("%s: %s %v", r.Cause, r.Message, err)
	}
	if r.Isolation == nil || r.Isolation.Level != "landlock" {
		t.Skipf("this machine's kernel has no Landlock: %v", r.Isolation)
	}
	for _, secret := range []string{"nonce", "ticket", "launch.json", "file://"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("it saw %q:\n%s", secret, raw)
		}
	}
}

// TestARunOfAPullRequestReachesPublicAddressesAlone: what its base declares may lead anywhere
// by the time it runs, and the worker's network has more to show than ours.
func TestARunOfAPullRequestReachesPublicAddressesAlone(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "private") }))
	t.Cleanup(web.Close)
	for name, c := range map[string]struct {
		guard *dispatch.Guard
		want  string
	}{
		"of the tracked branch":               {nil, "private"},
		"of a pull request":                   {&dispatch.Guard{}, "not a public address"},
		"of one, at another network's":        {&dispatch.Guard{Allow: []string{"10.0.0.0/8"}}, "not a public address"},
		"of one, where the owner allows this": {&dispatch.Guard{Allow: []string{"127.0.0.0/8"}}, "private"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRemoteBench(t)
			b.cfg.Wall, b.cfg.Guard = wall.Policy{Strict: c.guard != nil}, c.guard
			b.Runner = runner.Remote(b.cfg)
			job := b.job("")
			job.Params = map[string]any{"of": name} // a launch of its own
			job.Network = schemas.Network{web.Listener.Addr().String()}
			job.Command = []string{"python3", "-c", `import sys,urllib.error,urllib.request
try: print(urllib.request.urlopen(sys.argv[1],timeout=20).read().decode())
except urllib.error.HTTPError as e: print(e.code,e.read().decode())`, web.URL}
			r := b.run(t, job)
			raw, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
			if err != nil || r.Cause != "" {
				t.Fatalf("%s: %s %v\n%s", r.Cause, r.Message, err, raw)
			}
			if !strings.Contains(string(raw), c.want) || c.want != "private" && strings.Contains(string(raw), "private\n") {
				t.Errorf("it got %q, want %q", raw, c.want)
			}
		})
	}
}
