// The same on the head of a real Ray, which make try-ray starts: by hand, as its starts are not to
// be relied on.

package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestRayItself(t *testing.T) {
	url := os.Getenv("VISHWA_RAY")
	if url == "" {
		t.Skip("a real Ray is started by hand: make try-ray")
	}
	l := Ray(schemas.RayRunner{URL: url}, testOptions(nil))
	out := filepath.Join(t.TempDir(), "out")
	begin := func(task port.Task) port.TaskID {
		t.Helper()
		id, err := l.Launch(t.Context(), task)
		for n := 0; fault.Of(err) == fault.Transient && err != nil && n < 120; n++ { // no agent yet
			id, err = l.Launch(t.Context(), task)
		}
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	well := rayTask("well", "sh", "-c", `printf '%s\n' "$@" "$VISHWA_TICKET$RAY_JOB_CONFIG_JSON_ENV_VAR" > "$0"`, out, `a'b "c" $HOME`)
	id := begin(well)
	if again := begin(well); again != id {
		t.Errorf("launched again it is %v, was %v", again, id)
	}
	s := until(t, l, id, hasEnded)
	if raw, err := os.ReadFile(out); s.Cause != "" || err != nil || string(raw) != "a'b \"c\" $HOME\n{\"secret\":\"hunter2\"}\n" {
		t.Errorf("%+v: %q, %v", s, raw, err)
	}
	if s := until(t, l, begin(rayTask("badly", "sh", "-c", "exit 7")), hasEnded); s.Cause != port.Exit || s.ExitCode != 7 {
		t.Errorf("what ended with 7 stands as %+v", s)
	}
	forever := begin(rayTask("forever", "sleep", "3600"))
	until(t, l, forever, func(s port.TaskStatus) bool { return s.Phase == port.TaskRunning })
	is := schemas.External{Ray: &schemas.ExternalScript{Entrypoint: `python -c "import os, ray; ray.init(); f = ray.remote(lambda i: i * i); open(os.environ['VISHWA_OUTPUTS'], 'w').write(str(sum(ray.get([f.remote(i) for i in range(10)]))))"`}}
	team := begin(delegated("team", is, out))
	if s := until(t, l, team, hasEnded); s.Cause != "" {
		t.Errorf("the team's script: %+v", s)
	}
	if raw, err := os.ReadFile(out); err != nil || strings.TrimSpace(string(raw)) != "285" {
		t.Errorf("the team's script wrote %q, %v", raw, err)
	}
	for _, id := range []port.TaskID{forever, id, team} {
		if err := l.Remove(t.Context(), id); err != nil {
			t.Errorf("remove %s: %v", id.Name, err)
		}
		if _, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Missing {
			t.Errorf("%s was removed and is there: %v", id.Name, err)
		}
	}
}
