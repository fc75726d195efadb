// Tasks as runs of a DAG: the suite for both versions of Airflow, and what it cannot know.

package service

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func airflowOn(a *airflowDouble, vars map[string]string) port.Launcher {
	return Airflow(schemas.AirflowRunner{URL: a.URL, DAG: "vishwa"}, testOptions(vars))
}

func TestAirflowKeepsThePromises(t *testing.T) {
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
				a := newAirflowDouble(t, version)
				b := benchOf(a.double, airflowOn(a, nil))
				b.Kill, b.Alive = nil, nil
				b.Lacks = maps.Clone(lacksOfScheduler)
				b.Lacks[porttest.EndsForMemory] = "it gives a task no memory of its own"
				b.Lacks[porttest.KnowsItsRoom] = "it gives a task no resources: what asks for some is refused"
				b.Lacks[porttest.IsKilled] = "it tells a run that somebody marked as failed and one that it lost alike"
				b.Lacks[porttest.ShowsProcesses] = "it ends processes at the next heartbeat of a task, after it has said that the run failed"
				b.Stranger = func(t *testing.T, name string) {
					a.mu.Lock()
					defer a.mu.Unlock()
					a.begin(&process{name: name, note: object{"conf": object{"x": 1}}, command: words("true")})
				}
				return b
			})
		})
	}
}

func TestAWholeRunOnAirflow(t *testing.T) {
	a := newAirflowDouble(t, 3)
	wholeRun(t, a.double, airflowOn(a, nil))
}

// until looks at a task until it is as wanted, and not for ever.
func until(t *testing.T, l port.Launcher, id port.TaskID, want func(port.TaskStatus) bool) port.TaskStatus {
	t.Helper()
	s, err := l.Observe(t.Context(), id)
	for err == nil && !want(s) {
		s, err = l.Await(t.Context(), id, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hasEnded(s port.TaskStatus) bool { return s.Phase == port.TaskEnded }

// TestNothingOfAirflowReachesARun: its settings hold the password of its database.
func TestNothingOfAirflowReachesARun(t *testing.T) {
	a, out := newAirflowDouble(t, 3), filepath.Join(t.TempDir(), "out")
	l := airflowOn(a, nil)
	task := rayTask("env", "sh", "-c", `env > "$0"`, out)
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, id, hasEnded)
	raw, _ := os.ReadFile(out)
	if text := string(raw); strings.Contains(text, "AIRFLOW") || !strings.Contains(text, `VISHWA_TICKET={"secret":"hunter2"}`) {
		t.Errorf("it sees %s", text)
	}
}

// TestWhatAWorkerOfAirflowSays: its own word comes with its end, and nothing else that it printed.
func TestWhatAWorkerOfAirflowSays(t *testing.T) {
	for name, c := range map[string]struct {
		version int
		script  string
		want    string
	}{
		"version 3":             {3, `echo hunter2 >&2; echo "$0" >&2; echo hunter2 >&2; exit 1`, "it ended with exit code 1: " + unreached},
		"version 2":             {2, `head -c 100000 /dev/zero | tr '\0' x >&2; echo >&2; echo "$0" >&2; exit 1`, "it ended with exit code 1: " + unreached},
		"it says nothing":       {3, `exit 1`, "it ended with exit code 1"},
		"nothing of a worker":   {3, `echo hunter2 >&2; exit 1`, "it ended with exit code 1"},
		"a DAG of an older one": {3, `exit 1`, "it ended with exit code 1"},
		"it ends well":          {3, `echo "$0" >&2`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAirflowDouble(t, c.version)
			if strings.HasPrefix(name, "a DAG") {
				raw, err := os.ReadFile(filepath.Join(a.dir, "dag.py"))
				old := strings.ReplaceAll(string(raw), `xcom_push(key="said"`, `xcom_push(key="other"`)
				if err != nil || old == string(raw) {
					t.Fatalf("it pushes no words: %v", err)
				}
				if err := os.WriteFile(filepath.Join(a.dir, "dag.py"), []byte(old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l := airflowOn(a, nil)
			id, err := l.Launch(t.Context(), rayTask("said", "sh", "-c", c.script, unreached))
			if err != nil {
				t.Fatal(err)
			}
			if s := until(t, l, id, hasEnded); s.Reason != c.want || strings.Contains(s.Reason, "hunter2") {
				t.Errorf("%+v, want %q", s, c.want)
			}
		})
	}
}

// TestADAGThatIsPausedOrAbsentIsSaid: with what to do.
func TestADAGThatIsPausedOrAbsentIsSaid(t *testing.T) {
	a := newAirflowDouble(t, 3)
	l := airflowOn(a, nil)
	free := a.full(t)
	a.mu.Lock()
	a.paused = true
	a.mu.Unlock()
	id, err := l.Launch(t.Context(), rayTask("paused", "true"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := l.Observe(t.Context(), id); err != nil || s.Phase != port.TaskWaiting || !strings.Contains(s.Reason, "paused") {
		t.Errorf("%+v, %v", s, err)
	}
	free()
	until(t, l, id, hasEnded)
	a.mu.Lock()
	a.absent = true
	a.mu.Unlock()
	if _, err := l.Launch(t.Context(), rayTask("absent", "true")); fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "vishwa export airflow --dag vishwa") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

// TestAClearedRunIsAnother: who clears it has it carried out once more, and its end is not the first one's.
func TestAClearedRunIsAnother(t *testing.T) {
	a := newAirflowDouble(t, 2)
	l := airflowOn(a, nil)
	id, err := l.Launch(t.Context(), rayTask("cleared", "true"))
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, id, hasEnded)
	a.mu.Lock()
	a.tries["cleared"]++
	a.mu.Unlock()
	if s, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Missing {
		t.Errorf("%+v, %v, want Missing", s, err)
	}
}

// TestManyRunsAreReadTogether: a hundred are few questions, and each is found.
func TestManyRunsAreReadTogether(t *testing.T) {
	a := newAirflowDouble(t, 3)
	l := airflowOn(a, nil).(*launcher)
	names := []string{}
	a.mu.Lock()
	for i := range 250 {
		p := &process{name: fmt.Sprint("n", i), phase: "running", start: time.Now(), done: make(chan struct{}), note: object{"conf": object{"vishwa": object{"uid": "u", "launch": "l"}}}}
		close(p.done)
		a.tasks[p.name], a.all = p, append(a.all, p)
		names = append(names, p.name)
	}
	a.mu.Unlock()
	found, err := l.find(t.Context(), append(names, "none"))
	a.mu.Lock()
	for _, p := range a.all {
		p.phase = "ended" // there is no process to be ended
	}
	a.mu.Unlock()
	if n := a.asked.Load(); err != nil || len(found) != 250 || n > 8 {
		t.Errorf("%d are found by %d questions, %v", len(found), n, err)
	}
}

// TestAnAirflowIsToldWhoAsks: by a token as it is; by a user and a password as its version wants.
func TestAnAirflowIsToldWhoAsks(t *testing.T) {
	for name, c := range map[string]struct {
		version     int
		token, want string
		kind        fault.Kind
	}{
		"a token":              {3, "t", "Bearer t", fault.Missing},
		"a token of 2":         {2, "t", "Bearer t", fault.Missing},
		"a user of 2":          {2, "u:p", "Basic dTpw", fault.Missing},
		"a user of 3":          {3, "u:p", "Bearer a-session", fault.Missing},
		"a token that expired": {3, "old", "Bearer old", fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAirflowDouble(t, c.version)
			_, err := airflowOn(a, map[string]string{AirflowTokenVariable: c.token}).Observe(t.Context(), port.TaskID{Name: "x", UID: "y"})
			if got := a.headers.Load().Get("Authorization"); got != c.want || fault.Of(err) != c.kind {
				t.Errorf("it says %q, want %q: %v", got, c.want, err)
			}
		})
	}
}

func TestWhatIsNoAirflowIsRefused(t *testing.T) {
	d := newDouble(t, func(_ *double, w http.ResponseWriter, _ *http.Request) { reply(w, 200, "<html>hello</html>") })
	_, err := Airflow(schemas.AirflowRunner{URL: d.URL, DAG: "vishwa"}, testOptions(nil)).Launch(t.Context(), rayTask("x", "true"))
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("%v (%s), want Invalid and what to do", err, fault.HintOf(err))
	}
	a := newAirflowDouble(t, 3)
	task := rayTask("x", "true")
	task.Resources.Memory = "1Gi"
	if _, err := airflowOn(a, nil).Launch(t.Context(), task); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("memory: %v, want Invalid and what to do", err)
	}
}
