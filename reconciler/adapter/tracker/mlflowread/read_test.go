// What a server has is read to its end, and a server that lies, or lists without an end, is refused.

package mlflowread

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func readAll(t *testing.T, h http.Handler, want Wanted) (mlflowformat.Registry, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}
	return Read(t.Context(), mlflowapi.Options{URL: srv.URL, Env: env, Sleep: func(context.Context, time.Duration) error { return nil }}, want)
}

// rest is a server as somebody's own client has it.
type rest struct{ url string }

func (s rest) post(t *testing.T, path string, body, out any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.url+mlflowapi.Prefix+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
}

// churnServer has a model of two versions with an alias on the first, and an experiment of no model.
func churnServer(t *testing.T) *mlflowtest.Server {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	makeChurn(t, rest{srv.URL})
	return s
}

// makeChurn makes them as somebody does who knows nothing of Vishwa.
func makeChurn(t *testing.T, r rest) {
	t.Helper()
	run := func(experiment, source string) string {
		var e struct {
			ID string `json:"experiment_id"`
		}
		r.post(t, "experiments/create", map[string]string{"name": experiment}, &e)
		var made struct {
			Run readAnswer `json:"run"`
		}
		r.post(t, "runs/create", map[string]any{"experiment_id": e.ID, "run_name": "r", "start_time": 5, "tags": []tag{{"mlflow.source.name", source}}}, &made)
		r.post(t, "runs/log-batch", map[string]any{"run_id": made.Run.Info.ID, "params": []tag{{"depth", "3"}}, "metrics": []mlflowformat.Point{{Key: "test.auc", Value: 0.9, Time: 5}, {Key: "test.loss", Value: math.MaxFloat64, Time: 5}}}, nil)
		r.post(t, "runs/update", map[string]any{"run_id": made.Run.Info.ID, "status": "FINISHED", "end_time": 9}, nil)
		return made.Run.Info.ID
	}
	id := run("churn", "/home/asha/churn/train.py")
	run("tuning", "tune.py")
	r.post(t, "registered-models/create", map[string]string{"name": "Churn"}, nil)
	for range 2 {
		r.post(t, "model-versions/create", map[string]string{"name": "Churn", "source": "models:/m-1", "run_id": id}, nil)
	}
	r.post(t, "registered-models/alias", map[string]string{"name": "Churn", "alias": "champion", "version": "1"}, nil)
}

func TestWhatAServerHasIsRead(t *testing.T) {
	s := churnServer(t)
	before := len(s.Log())
	got, err := readAll(t, s, Wanted{})
	if err != nil || len(got.Models) != 1 || len(got.Experiments) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	m := got.Models[0]
	if m.Name != "Churn" || m.Newest != "2" || m.Aliases["champion"] != "1" || m.Run == nil || m.Run.Source != "/home/asha/churn/train.py" || m.Run.Metrics["test.auc"] != 0.9 || len(m.Run.Metrics) != 1 || m.Run.Params["depth"] != "3" {
		t.Errorf("%+v, %+v", m, m.Run)
	}
	if e := got.Experiments[1]; e.Name != "tuning" || e.Run == nil || e.Run.Source != "tune.py" {
		t.Errorf("%+v", e)
	}
	if got, err := readAll(t, s, Wanted{Experiments: []string{"tuning"}}); err != nil || len(got.Models) != 0 || len(got.Experiments) != 1 {
		t.Errorf("one of them: %+v, %v", got, err)
	}
	if _, err := readAll(t, s, Wanted{Models: []string{"none"}}); fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), "none") {
		t.Errorf("one that is not there: %v", err)
	}
	for _, line := range s.Log()[before:] {
		if !strings.HasPrefix(line, "GET ") && !strings.Contains(line, "/search ") {
			t.Errorf("reading wrote: %s", line)
		}
	}
}

// TestAVersionThatWasDeletedIsPassedOver: an alias may be on one that is there no more, and MLflow 2 has stages.
func TestAVersionThatWasDeletedIsPassedOver(t *testing.T) {
	got, err := readAll(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, mlflowapi.Prefix) {
		case "registered-models/search":
			fmt.Fprint(w, `{"registered_models":[{"name":"m","latest_versions":[{"version":"2","current_stage":"Production"},{"version":"1","current_stage":"Archived"}],"aliases":[{"alias":"champion","version":"4"}]},{"name":"gone","aliases":[{"alias":"a","version":"7"}]}]}`)
		case "model-versions/get":
			if r.URL.Query().Get("version") != "2" {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `{"error_code":"RESOURCE_DOES_NOT_EXIST"}`)
				return
			}
			fmt.Fprint(w, `{"model_version":{"name":"m","version":"2","run_id":"r"}}`)
		case "runs/get":
			fmt.Fprint(w, `{"run":{"info":{"run_id":"r"},"data":{"tags":[{"key":"mlflow.source.name","value":"train.py"}]}}}`)
		default:
			fmt.Fprint(w, `{}`)
		}
	}), Wanted{})
	if err != nil || len(got.Models) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if m := got.Models[0]; m.Newest != "2" || m.Run == nil || m.Run.Source != "train.py" || fmt.Sprint(m.Stages) != "map[Production:2]" {
		t.Errorf("%+v", m)
	}
	if m := got.Models[1]; m.Newest != "" || m.Run != nil {
		t.Errorf("%+v", m)
	}
}

// TestAServerThatLiesIsRefused: what it answers for one thing is not taken for another.
func TestAServerThatLiesIsRefused(t *testing.T) {
	many := make([]string, mostListed+1)
	for i := range many {
		many[i] = fmt.Sprintf(`{"name":"m%d"}`, i)
	}
	aliases := make([]string, mostOf+1)
	for i := range aliases {
		aliases[i] = fmt.Sprintf(`{"alias":"a%d","version":"1"}`, i)
	}
	model := `{"registered_models":[{"name":"m","latest_versions":[{"version":"1"}]}]}`
	for name, c := range map[string]struct {
		answers map[string]string
		says    string
	}{
		"a list without an end":      {map[string]string{"registered-models/search": `{"next_page_token":"again"}`}, "does not end"},
		"experiments without an end": {map[string]string{"experiments/search": `{"next_page_token":"again"}`}, "does not end"},
		"more than anybody has":      {map[string]string{"registered-models/search": `{"registered_models":[` + strings.Join(many, ",") + `]}`}, "more than 1000"},
		"aliases without number":     {map[string]string{"registered-models/search": `{"registered_models":[{"name":"m","aliases":[` + strings.Join(aliases, ",") + `]}]}`}, "more than 1000 aliases"},
		"another version":            {map[string]string{"registered-models/search": model, "model-versions/get": `{"model_version":{"name":"m","version":"7","run_id":"r"}}`}, "about something else"},
		"another run":                {map[string]string{"registered-models/search": model, "model-versions/get": `{"model_version":{"name":"m","version":"1","run_id":"r"}}`, "runs/get": `{"run":{"info":{"run_id":"q"}}}`}, "about something else"},
		"runs of another":            {map[string]string{"experiments/search": `{"experiments":[{"experiment_id":"1","name":"e"}]}`, "runs/search": `{"runs":[{"info":{"run_id":"r","experiment_id":"2"}}]}`}, "about something else"},
		"no JSON":                    {map[string]string{"registered-models/search": `<html>`}, "not its REST API"},
		"a list of numbers":          {map[string]string{"registered-models/search": `{"registered_models":[1]}`}, "not its REST API"},
	} {
		_, err := readAll(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := c.answers[strings.TrimPrefix(r.URL.Path, mlflowapi.Prefix)]
			if answer == "" {
				answer = "{}"
			}
			fmt.Fprint(w, answer)
		}), Wanted{})
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
	}
}

// TestNothingOfAServersNamesLeadsElsewhere: ids that it gives are asked for as values, and never as paths.
func TestNothingOfAServersNamesLeadsElsewhere(t *testing.T) {
	var asked []string
	_, err := readAll(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		out := map[string]any{}
		switch strings.TrimPrefix(r.URL.Path, mlflowapi.Prefix) {
		case "registered-models/search":
			out["registered_models"] = []any{map[string]any{"name": "../../x?y=z", "latest_versions": []any{map[string]string{"version": "1"}}}}
		case "model-versions/get":
			out["model_version"] = map[string]string{"name": r.URL.Query().Get("name"), "version": "1", "run_id": "../../../admin&x=1"}
		case "runs/get":
			out["run"] = map[string]any{"info": map[string]string{"run_id": r.URL.Query().Get("run_id")}}
		}
		_ = json.NewEncoder(w).Encode(out)
	}), Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range asked {
		if !strings.HasPrefix(a, mlflowapi.Prefix) || strings.Contains(a, "..") {
			t.Errorf("it was asked for %s", a)
		}
	}
}
