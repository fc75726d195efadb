// Tasks as builds of a job: the suite, and what it cannot know of Jenkins.

package service

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func jenkinsOn(j *jenkinsDouble, vars map[string]string) port.Launcher {
	return Jenkins(schemas.JenkinsRunner{URL: j.URL + "/", Job: "team/vishwa"}, testOptions(vars))
}

func TestJenkinsKeepsThePromises(t *testing.T) {
	t.Parallel()
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		j := newJenkinsDouble(t)
		b := benchOf(j.double, jenkinsOn(j, nil))
		b.Lacks = maps.Clone(lacksOfScheduler)
		delete(b.Lacks, porttest.ShowsTasks) // the ticket is a password
		b.Lacks[porttest.EndsForMemory] = "it gives a build no memory of its own"
		b.Lacks[porttest.KnowsItsRoom] = "it gives a build no resources: what asks for some is refused"
		b.Stranger = func(t *testing.T, name string) {
			resp, err := http.PostForm(j.URL+jenkinsPath+"/buildWithParameters", url.Values{jenkinsTask: {name}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		b.Shown = func(t *testing.T, _ port.TaskID) string {
			resp, err := http.Get(j.URL + jenkinsPath + "/api/json")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			raw, _ := io.ReadAll(resp.Body)
			return string(raw)
		}
		return b
	})
}

func TestAWholeRunOnJenkins(t *testing.T) {
	j := newJenkinsDouble(t)
	wholeRun(t, j.double, jenkinsOn(j, nil))
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.builds)+len(j.queue) > 0 {
		t.Errorf("builds are left")
	}
}

// TestTwoThatTriggerAtOnceAreOneTask: they are other processes, and Jenkins takes both.
func TestTwoThatTriggerAtOnceAreOneTask(t *testing.T) {
	j := newJenkinsDouble(t)
	task := rayTask("twice", "sleep", "600")
	first, second := jenkinsOn(j, nil).(*launcher), jenkinsOn(j, nil).(*launcher)
	free := j.full(t)
	a, err := first.submit(t.Context(), task, first.env.Now())
	if err != nil {
		t.Fatal(err)
	}
	b, err := second.submit(t.Context(), task, first.env.Now())
	if err != nil || a.uid != b.uid {
		t.Fatalf("%+v and %+v, %v", a, b, err)
	}
	j.mu.Lock()
	n := len(j.queue)
	j.mu.Unlock()
	if n != 1 {
		t.Errorf("%d are queued, want 1", n)
	}
	free()
}

// TestJenkinsGivesATaskItsTicketAndItsWords: the pipeline's own script, whatever signs they hold.
func TestJenkinsGivesATaskItsTicketAndItsWords(t *testing.T) {
	j, out := newJenkinsDouble(t), filepath.Join(t.TempDir(), "out")
	l := jenkinsOn(j, nil)
	id, err := l.Launch(t.Context(), rayTask("words", "sh", "-c", `printf '%s\n' "$@" "$VISHWA_TICKET" "$VISHWA_LAUNCH" > "$0"`, out, `a'b "c" $HOME`, "two\nlines"))
	if err != nil {
		t.Fatal(err)
	}
	s := until(t, l, id, hasEnded)
	raw, _ := os.ReadFile(out)
	if s.Cause != "" || string(raw) != "a'b \"c\" $HOME\ntwo\nlines\n{\"secret\":\"hunter2\"}\n\n" {
		t.Errorf("%+v: %q", s, raw)
	}
}

// TestACrumbIsBroughtWhereItIsAskedFor: with the session that it holds for.
func TestACrumbIsBroughtWhereItIsAskedFor(t *testing.T) {
	j := newJenkinsDouble(t)
	j.crumb = true
	l := jenkinsOn(j, map[string]string{JenkinsTokenVariable: "u:p"})
	id, err := l.Launch(t.Context(), rayTask("crumb", "true"))
	if err != nil {
		t.Fatal(err)
	}
	until(t, l, id, hasEnded)
	if err := l.Remove(t.Context(), id); err != nil {
		t.Error(err)
	}
	if got := j.headers.Load().Get("Authorization"); got != "Basic dTpw" {
		t.Errorf("it says %q", got)
	}
}

// TestABuildBetweenQueueAndListIsThere: it has left the one and has not come to the other.
func TestABuildBetweenQueueAndListIsThere(t *testing.T) {
	j := newJenkinsDouble(t)
	l := jenkinsOn(j, nil)
	id, err := l.Launch(t.Context(), rayTask("between", "sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Observe(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	j.mu.Lock()
	j.hidden = true
	j.mu.Unlock()
	if s, err := l.Observe(t.Context(), id); err != nil || s.Phase != port.TaskRunning {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWhatJenkinsCannotDoIsRefused(t *testing.T) {
	j := newJenkinsDouble(t)
	memory := rayTask("x", "true")
	memory.Resources.Memory = "1Gi"
	if _, err := jenkinsOn(j, nil).Launch(t.Context(), memory); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("memory: %v, want Invalid and what to do", err)
	}
	none := Jenkins(schemas.JenkinsRunner{URL: j.URL, Job: "none"}, testOptions(nil))
	if _, err := none.Launch(t.Context(), rayTask("x", "true")); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("no job: %v, want Invalid and what to do", err)
	}
	plain := newDouble(t, func(_ *double, w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			reply(w, 400, "x is not parameterized")
		default:
			reply(w, 200, object{"items": []object{}, "allBuilds": []object{}})
		}
	})
	if _, err := Jenkins(schemas.JenkinsRunner{URL: plain.URL, Job: "x"}, testOptions(nil)).Launch(t.Context(), rayTask("x", "true")); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a job without parameters: %v, want Invalid and what to do", err)
	}
}

func TestHowABuildOfJenkinsStands(t *testing.T) {
	for name, c := range map[string]struct {
		build jenkinsBuild
		want  port.TaskStatus
	}{
		"no machine":     {jenkinsBuild{Building: true, Description: jenkinsWaits}, port.TaskStatus{Phase: port.TaskWaiting}},
		"its agent died": {jenkinsBuild{Result: "FAILURE", Description: "vishwa: runs"}, port.TaskStatus{Phase: port.TaskEnded, Cause: port.Lost}},
		"another's text": {jenkinsBuild{Result: "FAILURE", Description: "vishwa: exit code x"}, port.TaskStatus{Phase: port.TaskEnded, Cause: port.Lost}},
		"it failed":      {jenkinsBuild{Result: "FAILURE", Description: "vishwa: exit code 7"}, port.TaskStatus{Phase: port.TaskEnded, Cause: port.Exit, ExitCode: 7}},
	} {
		got := c.build.record().status
		if got.Reason == "" {
			t.Errorf("%s: no reason", name)
		}
		if got.Reason = ""; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
