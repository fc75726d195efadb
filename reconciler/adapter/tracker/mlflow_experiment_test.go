// The experiment that runs are in, and the workspace: deleted, renamed, or not there.

package tracker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestADeletedExperimentIsDrift: restored where that is declared, and told where it is not.
func TestADeletedExperimentIsDrift(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)})
	p := port.Projection{Ledger: "l", Runs: []port.TrackerRun{{Key: digest.Of(nil), Name: "r", Metrics: map[string]float64{"a": 1}}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	rest{srv.URL}.ask(t, "POST", "experiments/delete", map[string]string{"experiment_id": "vishwa"}, nil)
	if _, err := m.Record(t.Context(), p, false); fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "restore") {
		t.Errorf("left: %v", err)
	}
	p.Heal = true
	if r, err := m.Record(t.Context(), p, false); err != nil || len(r.Drift) != 1 || r.Writes != 1 {
		t.Errorf("healed: %+v, %v", r, err)
	}
}

// TestARenamedExperimentIsDrift: its runs are not written a second time, and it has its name again where that is declared.
func TestARenamedExperimentIsDrift(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	renamedExperiment(t, srv.URL, "vishwa")
}

// renamedExperiment renames one by hand on any server.
func renamedExperiment(t *testing.T, url, name string) {
	t.Helper()
	m := MLflow(schemas.MLflowTracker{URL: url, Experiment: name}, Options{Own: own, Env: env(nil)})
	p := port.Projection{Ledger: "renamed", Runs: []port.TrackerRun{{Key: digest.Of([]byte("renamed")), Name: "r", Started: time.UnixMilli(1e12), Finished: time.UnixMilli(1e12 + 1), Metrics: map[string]float64{"a": 1}}}}
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	var got experimentAnswer
	rest{url}.ask(t, "GET", "experiments/get-by-name?experiment_name="+name, nil, &got)
	rest{url}.ask(t, "POST", "experiments/update", map[string]string{"experiment_id": got.Experiment.ID, "new_name": name + " of June"}, nil)
	for range 2 {
		if r, err := m.Record(t.Context(), p, false); err != nil || len(r.Drift) != 1 || !strings.Contains(r.Drift[0], "was renamed to "+name+" of June") || r.Writes != 0 {
			t.Errorf("left: %+v, %v", r, err)
		}
	}
	p.Heal = true
	if r, err := m.Record(t.Context(), p, false); err != nil || len(r.Drift) != 1 || r.Writes != 1 {
		t.Errorf("healed: %+v, %v", r, err)
	}
	if r, err := m.Record(t.Context(), p, false); err != nil || len(r.Drift) != 0 || r.Writes != 0 {
		t.Errorf("after it was healed: %+v, %v", r, err)
	}
}

// TestAWorkspaceIsNamedInEachRequest: and one that is not there is no empty server.
func TestAWorkspaceIsNamedInEachRequest(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, status := "", 0
		switch at := r.Header.Get("X-MLFLOW-WORKSPACE"); at {
		case "team-a":
		case "none":
			code, status = "FEATURE_DISABLED", http.StatusNotImplemented
		default:
			code, status = "RESOURCE_DOES_NOT_EXIST", http.StatusNotFound
		}
		if status != 0 {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error_code": %q}`, code)
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	workspaces(t, srv.URL)
	_, err := MLflow(schemas.MLflowTracker{URL: srv.URL, Workspace: "none"}, Options{Own: own, Env: env(nil), Sleep: atOnce}).Record(t.Context(), oneRun("none"), false)
	if fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "remove workspace") {
		t.Errorf("of a server without workspaces: %v (%s)", err, fault.HintOf(err))
	}
}

func oneRun(ledger string) port.Projection {
	return port.Projection{Ledger: ledger, Runs: []port.TrackerRun{{Key: digest.Of([]byte(ledger)), Name: "r", Started: time.UnixMilli(1e12), Finished: time.UnixMilli(1e12 + 1), Metrics: map[string]float64{"a": 1}}}}
}

// workspaces records in the workspace team-a of a server, and in one that is not there.
func workspaces(t *testing.T, url string) {
	t.Helper()
	for _, writes := range []bool{true, false} {
		r, err := MLflow(schemas.MLflowTracker{URL: url, Workspace: "team-a"}, Options{Own: own, Env: env(nil)}).Record(t.Context(), oneRun("a"), false)
		if err != nil || writes != (r.Writes > 0) {
			t.Fatalf("%+v, %v (%s)", r, err, fault.HintOf(err))
		}
	}
	_, err := MLflow(schemas.MLflowTracker{URL: url, Workspace: "team-b"}, Options{Own: own, Env: env(nil)}).Record(t.Context(), oneRun("a"), false)
	if fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), "no workspace team-b") || fault.HintOf(err) == "" {
		t.Errorf("of one that is not there: %v (%s)", err, fault.HintOf(err))
	}
}

// TestMLflowItselfHasWorkspaces: what is shown in one is not in the default one.
func TestMLflowItselfHasWorkspaces(t *testing.T) {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		t.Skip("VISHWA_MLFLOW names no environment with MLflow: make test-mlflow makes one")
	}
	url, _ := mlflowtest.Start(t, venv, "--artifacts-destination", t.TempDir(), "--serve-artifacts", "--enable-workspaces")
	made, err := http.Post(url+"/api/3.0/mlflow/workspaces", "application/json", strings.NewReader(`{"name": "team-a"}`))
	if err != nil {
		t.Fatal(err)
	}
	made.Body.Close()
	if made.StatusCode/100 != 2 {
		t.Fatalf("make a workspace: %s", made.Status)
	}
	workspaces(t, url)
	if r, err := MLflow(schemas.MLflowTracker{URL: url}, Options{Own: own, Env: env(nil)}).Record(t.Context(), oneRun("a"), true); err != nil || r.Writes == 0 {
		t.Errorf("in the default one: %+v, %v", r, err)
	}
}
