// Work of the team's on schedulers: begun by what the team calls it, with what it is told.

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

// delegated is a task of external work.
func delegated(name string, is schemas.External, out string) port.Task {
	t := rayTask(name)
	t.Command, t.Ticket = nil, nil
	t.External = &port.Delegation{Is: is, Vars: map[string]string{port.ExternalOutputs: out, "VISHWA_PARAMS": `{"do":"${VISHWA_OUTPUTS}"}`}}
	return t
}

func TestATeamsDAGIsTriggered(t *testing.T) {
	a := newAirflowDouble(t, 3)
	of := AirflowExternal(schemas.AirflowRunner{URL: a.URL, DAG: "vishwa"}, testOptions(nil))
	out := filepath.Join(t.TempDir(), "out")
	work := func(script string) schemas.External {
		return schemas.External{Airflow: &schemas.ExternalDAG{DAG: "nightly", Conf: map[string]any{"do": script, "deep": []any{map[string]any{"params": "${VISHWA_PARAMS}", "n": 3}}, "vishwa": "mine"}}}
	}
	is := work(`echo made > "${VISHWA_OUTPUTS}"`)
	l := of(is)
	id, err := l.Launch(t.Context(), delegated("good", is, out))
	if err != nil {
		t.Fatal(err)
	}
	if s := until(t, l, id, hasEnded); s.Cause != "" {
		t.Errorf("%+v", s)
	}
	if raw, err := os.ReadFile(out); err != nil || string(raw) != "made\n" {
		t.Errorf("%q, %v", raw, err)
	}
	a.mu.Lock()
	deep := a.conf["deep"].([]any)[0].(map[string]any)
	if deep["params"] != `{"do":"${VISHWA_OUTPUTS}"}` || deep["n"] != 3.0 { // what is put in is not looked at again
		t.Errorf("its conf is %v", a.conf)
	}
	a.mu.Unlock()
	if again, err := of(is).Launch(t.Context(), delegated("good", is, out)); err != nil || again != id {
		t.Errorf("launched again it is %v, %v", again, err)
	}
	bad := work("exit 1")
	if id, err = l.Launch(t.Context(), delegated("bad", bad, out)); err != nil {
		t.Fatal(err)
	}
	if s := until(t, l, id, hasEnded); s.Cause != port.Exit || !strings.Contains(s.Reason, "DAG failed") {
		t.Errorf("%+v", s)
	}
	none := schemas.External{Airflow: &schemas.ExternalDAG{DAG: "absent"}}
	if _, err := of(none).Launch(t.Context(), delegated("none", none, out)); fault.Of(err) != fault.Invalid {
		t.Errorf("a DAG that there is not: %v", err)
	}
}

func TestATeamsScriptRunsOnRay(t *testing.T) {
	d := newRayDouble(t)
	l := Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil))
	out := filepath.Join(t.TempDir(), "out")
	is := schemas.External{Ray: &schemas.ExternalScript{Entrypoint: `echo "$OWN $VISHWA_PARAMS" > "$VISHWA_OUTPUTS"; env | grep -c TICKET >> "$VISHWA_OUTPUTS"; true`, RuntimeEnv: map[string]any{"env_vars": map[string]any{"OWN": "mine", port.ExternalOutputs: "/elsewhere"}}}}
	id, err := l.Launch(t.Context(), delegated("script", is, out))
	if err != nil {
		t.Fatal(err)
	}
	if s := until(t, l, id, hasEnded); s.Cause != "" {
		t.Errorf("%+v", s)
	}
	if raw, err := os.ReadFile(out); err != nil || string(raw) != `mine {"do":"${VISHWA_OUTPUTS}"}`+"\n0\n" {
		t.Errorf("%q, %v", raw, err)
	}
}
