// Tasks as jobs of Ray: the suite, and what it cannot know of Ray.

package service

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// lacksOfScheduler are abilities that no tool of this package gives to whoever looks from outside.
var lacksOfScheduler = map[porttest.Ability]string{
	porttest.EndsForMemory: "it places a task by its memory, and holds it to none",
	porttest.HasImages:     "it begins processes on machines that are there",
	porttest.HasTicketFile: "the ticket is a variable: it gives a task no file",
	porttest.ShowsTasks:    "it shows what a task was given, the ticket too, to whoever may see the task: docs/schedulers.md says so",
	porttest.ShowsLimits:   "it holds a task to no limits",
}

func benchOf(d *double, l port.Launcher) porttest.LauncherBench {
	return porttest.LauncherBench{
		Launcher: l,
		Well:     words("true"), Badly: words("sh", "-c", "exit 7"), Forever: words("sh", "-c", "sleep 600 & sleep 600"),
		Lacks: lacksOfScheduler, Busy: d.full, Alive: d.alive(), Asked: func() int { return int(d.asked.Load()) }, Outage: d.outage,
		Kill: func(_ *testing.T, id port.TaskID) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.tasks[id.Name].stop()
		},
	}
}

func TestRayKeepsThePromises(t *testing.T) {
	t.Parallel()
	porttest.Launcher(t, func(t *testing.T) porttest.LauncherBench {
		d := newRayDouble(t)
		b := benchOf(d, Ray(schemas.RayRunner{URL: d.URL + "/"}, testOptions(nil)))
		b.Never = schemas.Resources{CPU: "100"}
		b.Stranger = func(t *testing.T, name string) {
			resp, err := http.Post(d.URL+"/api/jobs/", "application/json", strings.NewReader(`{"submission_id":"`+name+`","entrypoint":"true"}`))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		return b
	})
}

func rayTask(name string, command ...string) port.Task {
	return port.Task{Name: name, Owner: "o", Job: digest.Of([]byte(name)), Launch: "l", Command: command, Deadline: time.Hour,
		Ref: schemas.Ref{Kind: "training", Name: "t"}, Ticket: []byte(`{"secret":"hunter2"}`)}
}

// TestRayGivesATaskItsTicketAndItsWords: whatever signs they hold.
func TestRayGivesATaskItsTicketAndItsWords(t *testing.T) {
	d, out := newRayDouble(t), filepath.Join(t.TempDir(), "out")
	l := Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil))
	task := rayTask("words", "sh", "-c", `printf '%s\n' "$@" "$RAY_JOB_CONFIG_JSON_ENV_VAR$VISHWA_TICKET" > "$0"`, out, `a'b "c" $HOME`, "two\nlines", "")
	task.Resources = schemas.Resources{CPU: "1500m", Memory: "1Gi", GPU: 2}
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Observe(t.Context(), id)
	for err == nil && s.Phase != port.TaskEnded {
		s, err = l.Await(t.Context(), id, s)
	}
	raw, _ := os.ReadFile(out)
	if err != nil || s.Cause != "" || string(raw) != "a'b \"c\" $HOME\ntwo\nlines\n\n{\"secret\":\"hunter2\"}\n" {
		t.Errorf("%+v, %v: %q", s, err, raw)
	}
}

// TestWhatRayIsAskedFor: resources by Ray's own fields and units.
func TestWhatRayIsAskedFor(t *testing.T) {
	var got string
	d := newDouble(t, func(_ *double, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reply(w, 404, "Job x does not exist")
			return
		}
		raw := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(raw)
		got = string(raw)
		reply(w, 200, object{"submission_id": "x"})
	})
	task := rayTask("x", "true")
	task.Resources = schemas.Resources{CPU: "1500m", Memory: "1Gi", GPU: 2}
	if _, err := Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil)).Launch(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"entrypoint_num_cpus":1.5`, `"entrypoint_memory":1073741824`, `"entrypoint_num_gpus":2`, `"entrypoint":"unset RAY_JOB_CONFIG_JSON_ENV_VAR; exec 'true'"`, `"submission_id":"x"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

// TestARayHeadThatWasBegunAnewHasLostItsJobs: they are gone, and may be begun again.
func TestARayHeadThatWasBegunAnewHasLostItsJobs(t *testing.T) {
	d := newRayDouble(t)
	l := Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil))
	task := rayTask("lost", "sleep", "600")
	id, err := l.Launch(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	for name, p := range d.tasks {
		p.kill()
		delete(d.tasks, name)
	}
	d.mu.Unlock()
	if _, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Missing {
		t.Errorf("observe: %v, want Missing", err)
	}
	anew, err := l.Launch(t.Context(), task)
	if err != nil || anew.UID == id.UID {
		t.Errorf("begun again it is %+v, %v, and was %+v", anew, err, id)
	}
}

// TestWhatRayRefusesHasAKindAndNoSecret: whatever it quotes.
func TestWhatRayRefusesHasAKindAndNoSecret(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		text string
		want fault.Kind
	}{
		"no node yet":      {500, "No available agent to submit job, please try again later.", fault.Transient},
		"it broke":         {500, "Traceback\n{'VISHWA_TICKET': '{\"secret\":\"hunter2\"}'} sesame", fault.Transient},
		"it is refused":    {400, "TypeError: {'VISHWA_TICKET': '{\"secret\":\"hunter2\"}'} sesame", fault.Invalid},
		"the token is old": {401, "bad token sesame", fault.Denied},
		"forbidden":        {403, "sesame", fault.Denied},
		"another page":     {302, "", fault.Invalid},
		"no Jobs API":      {404, "404: Not Found", fault.Invalid},
		"another's API":    {405, "", fault.Invalid},
		"nothing of it":    {502, "<html>hunter2", fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDouble(t, func(_ *double, w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					reply(w, 404, "Job x does not exist")
					return
				}
				w.Header().Set("Location", "https://elsewhere.example.com/login")
				reply(w, c.code, c.text)
			})
			_, err := Ray(schemas.RayRunner{URL: d.URL}, testOptions(map[string]string{RayTokenVariable: "sesame"})).Launch(t.Context(), rayTask("x", "true"))
			if err == nil || fault.Of(err) != c.want || fault.HintOf(err) == "" || strings.Contains(err.Error()+fault.HintOf(err), "hunter2") || strings.Contains(err.Error()+fault.HintOf(err), "sesame") {
				t.Errorf("%s: %v (%s), want %s, what to do and no secret", fault.Of(err), err, fault.HintOf(err), c.want)
			}
		})
	}
}

// TestATokenIsReadAnewEachTime: of the file, else of the variable, and it is a token's kind of text.
func TestATokenIsReadAnewEachTime(t *testing.T) {
	d := newRayDouble(t)
	file := filepath.Join(t.TempDir(), "token")
	vars := map[string]string{RayTokenVariable: "of-the-variable", token.FolderVariable: filepath.Dir(file)}
	byFile := Ray(schemas.RayRunner{URL: d.URL, Token: file}, testOptions(vars))
	id := port.TaskID{Name: "x", UID: "y"}
	asks := func(l port.Launcher) string {
		d.headers.Store(&http.Header{})
		if _, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Missing {
			t.Fatal(err)
		}
		return d.headers.Load().Get("Authorization")
	}
	for _, token := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := asks(byFile); got != "Bearer "+token {
			t.Errorf("with %s in the file it says %q", token, got)
		}
	}
	// A file of another folder is not sent, be it named or linked to.
	other := filepath.Join(t.TempDir(), "secret")
	link := filepath.Join(filepath.Dir(file), "link")
	if err := os.WriteFile(other, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{other, link, filepath.Join(filepath.Dir(file), "..", "..", "etc", "hostname")} {
		d.headers.Store(&http.Header{})
		_, err := Ray(schemas.RayRunner{URL: d.URL, Token: name}, testOptions(vars)).Observe(t.Context(), id)
		if got := d.headers.Load().Get("Authorization"); got != "" || err == nil || fault.HintOf(err) == "" || fault.Of(err) == fault.Missing && name != link {
			t.Errorf("%s was sent as %q, %v", name, got, err)
		}
	}
	if got := asks(Ray(schemas.RayRunner{URL: d.URL}, testOptions(vars))); got != "Bearer of-the-variable" {
		t.Errorf("it says %q", got)
	}
	if got := asks(Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil))); got != "" {
		t.Errorf("without a token it says %q", got)
	}
	for what, text := range map[string]string{"a key of several lines": "-----BEGIN\nhunter2\n", "nothing": "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := byFile.Observe(t.Context(), id); fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s for a token: %v, want Invalid and nothing of it", what, err)
		}
	}
}

// TestHowAJobOfRayStands: what Ray tells, and nothing of the job's log.
func TestHowAJobOfRayStands(t *testing.T) {
	one, zero := 1, 0
	for name, c := range map[string]struct {
		job   rayJob
		phase port.TaskPhase
		cause port.Cause
	}{
		"its node died":       {rayJob{Status: "FAILED", ErrorType: "JOB_SUPERVISOR_ACTOR_DIED", Message: "Unexpected error occurred: The actor died"}, port.TaskEnded, port.Lost},
		"an older Ray":        {rayJob{Status: "FAILED", Message: "Job supervisor actor could not be scheduled: no node"}, port.TaskEnded, port.Unschedulable},
		"it failed":           {rayJob{Status: "FAILED", ExitCode: &one, Message: "Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\nhunter2"}, port.TaskEnded, port.Exit},
		"it failed with none": {rayJob{Status: "FAILED", ExitCode: &zero}, port.TaskEnded, port.Lost},
		"a state to come":     {rayJob{Status: "SUSPENDED\x1b[2J"}, port.TaskWaiting, ""},
		"a screen that moves": {rayJob{Status: "PENDING", Message: "\x1b[2Jwaits"}, port.TaskWaiting, ""},
	} {
		s := c.job.stands()
		if s.Phase != c.phase || s.Cause != c.cause || s.Reason == "" || strings.Contains(s.Reason, "hunter2") || strings.Contains(s.Reason, "\x1b") {
			t.Errorf("%s: %+v, want %s %s and a reason", name, s, c.phase, c.cause)
		}
	}
}

// unreached is a worker's own word.
const unreached = "vishwa-worker: read the job's document: the worker cannot reach the store at store.example.com:9000: dial tcp 10.0.0.7:9000: connect: connection refused: let what runs the job reach it"

// TestWhatAWorkerOfRaySays: its own word is told, and nothing else of its log.
func TestWhatAWorkerOfRaySays(t *testing.T) {
	one, head := 1, "Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\n"
	for log, want := range map[string]string{
		"hunter2\n" + unreached + "\nhunter2\n":              "Job entrypoint command failed with exit code 1: " + unreached,
		"say vishwa-worker: hunter2\n":                       "Job entrypoint command failed with exit code 1",
		"vishwa-worker: \x1b[2J https://s/x?sig=hunter2: no": "Job entrypoint command failed with exit code 1: vishwa-worker: \ufffd[2J https://s/x no",
	} {
		if s := (rayJob{Status: "FAILED", ExitCode: &one, Message: head + log}).stands(); s.Reason != want {
			t.Errorf("%q, want %q", s.Reason, want)
		}
	}
}

func TestWhatRayCannotGiveIsRefused(t *testing.T) {
	d := newRayDouble(t)
	l := Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil))
	for what, change := range map[string]func(*port.Task){
		"an image":      func(o *port.Task) { o.Image = "x@sha256:" + strings.Repeat("0", 64) },
		"nodes":         func(o *port.Task) { o.Nodes = 2 },
		"a mount":       func(o *port.Task) { o.Mounts = []port.Mount{{From: "/srv/in", To: "/vishwa/in"}} },
		"isolation":     func(o *port.Task) { o.Isolated = true },
		"a priority":    func(o *port.Task) { o.Priority = "high" },
		"a kind of GPU": func(o *port.Task) { o.Resources.GPU, o.Resources.GPUKind = 1, "a100" },
		"room on disk":  func(o *port.Task) { o.Resources.EphemeralStorage = "1Gi" },
	} {
		task := rayTask("refused", "true")
		change(&task)
		if _, err := l.Launch(t.Context(), task); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, want Invalid and what to do", what, err)
		}
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("Ray was asked %d times", n)
	}
}

// TestATaskThatNobodyAsksForEndsAtItsDeadline: others that are asked for together are enough.
func TestATaskThatNobodyAsksForEndsAtItsDeadline(t *testing.T) {
	d := newRayDouble(t)
	l := Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil)).(*launcher)
	task := rayTask("left-alone", "sleep", "600")
	task.Deadline = time.Minute
	if _, err := l.submit(t.Context(), task, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	p := d.tasks[task.Name]
	d.mu.Unlock()
	found, err := l.find(t.Context(), []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	l.sweep(t.Context(), found)
	<-p.done
}
