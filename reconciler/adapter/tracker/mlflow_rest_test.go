// A server of MLflow as somebody's own client has it: what it shows, and how others change it.

package tracker

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// rest is a server as somebody's own client has it.
type rest struct{ url string }

func (s rest) ask(t *testing.T, method, path string, body, out any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.url+mlflowapi.Prefix+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, got)
	}
	if out != nil {
		if err := json.Unmarshal(got, out); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
	}
}

// shownAnswer is a run with its data sets.
type shownAnswer struct {
	Info struct {
		ID     string `json:"run_id"`
		Name   string `json:"run_name"`
		Status string `json:"status"`
		Stage  string `json:"lifecycle_stage"`
	} `json:"info"`
	Data struct {
		Tags    []tag                `json:"tags"`
		Params  []tag                `json:"params"`
		Metrics []mlflowformat.Point `json:"metrics"`
	} `json:"data"`
	Inputs struct {
		Sets []any `json:"dataset_inputs"`
	} `json:"inputs"`
}

func (s rest) runs(t *testing.T, experiment string, key digest.Digest) (out []shownAnswer) {
	t.Helper()
	var e experimentAnswer
	s.ask(t, "GET", "experiments/get-by-name?experiment_name="+experiment, nil, &e)
	var got struct {
		Runs []shownAnswer `json:"runs"`
	}
	s.ask(t, "POST", "runs/search", map[string]any{"experiment_ids": []string{e.Experiment.ID}, "filter": "tags.`" + tagKey + "` = '" + string(key) + "'", "max_results": 100}, &got)
	return got.Runs
}

func tagged(list []tag) map[string]string {
	out := map[string]string{}
	for _, p := range list {
		out[p.Key] = p.Value
	}
	return out
}

func (s rest) show(t *testing.T, experiment string, key digest.Digest) (out []porttest.ShownRun) {
	t.Helper()
	for _, r := range s.runs(t, experiment, key) {
		shown := porttest.ShownRun{Name: r.Info.Name, Commit: tagged(r.Data.Tags)["mlflow.source.git.commit"], Status: r.Info.Status, Inputs: len(r.Inputs.Sets), Params: tagged(r.Data.Params), Tags: tagged(r.Data.Tags), Points: map[string][]float64{}}
		for _, m := range r.Data.Metrics {
			var h struct {
				Metrics []mlflowformat.Point `json:"metrics"`
			}
			s.ask(t, "GET", "metrics/get-history?max_results=25000&run_id="+r.Info.ID+"&metric_key="+strings.NewReplacer("%", "%25", " ", "%20", "@", "%40").Replace(m.Key), nil, &h)
			slices.SortStableFunc(h.Metrics, func(a, b mlflowformat.Point) int { return int(a.Step - b.Step) })
			for _, p := range h.Metrics {
				shown.Points[m.Key] = append(shown.Points[m.Key], float64(p.Value))
			}
		}
		out = append(out, shown)
	}
	return out
}

func (s rest) model(t *testing.T, name string) porttest.ShownModel {
	t.Helper()
	var got registeredAnswer
	s.ask(t, "GET", "registered-models/get?name="+name, nil, &got)
	out := porttest.ShownModel{Aliases: map[string]string{}}
	for _, a := range got.Model.Aliases {
		out.Aliases[a.Alias] = a.Version
	}
	var all struct {
		Versions []struct {
			Version string `json:"version"`
			Tags    []tag  `json:"tags"`
		} `json:"model_versions"`
	}
	s.ask(t, "GET", "model-versions/search?filter=name%3D%27"+name+"%27", nil, &all)
	numbered := map[int]map[string]string{}
	for _, v := range all.Versions {
		n, _ := strconv.Atoi(v.Version)
		numbered[n] = tagged(v.Tags)
	}
	for _, n := range slices.Sorted(maps.Keys(numbered)) {
		out.Versions = append(out.Versions, numbered[n])
	}
	return out
}

// bench is a Tracker on a server, whose changes writes counts.
func bench(t *testing.T, url string, writes func() int) porttest.TrackerBench {
	experiment := "e" + digest.Of([]byte(t.Name())).Hex()[:12]
	spec := schemas.MLflowTracker{URL: url, Experiment: experiment}
	cut := &cutting{}
	cut.left.Store(-1)
	s := rest{url}
	return porttest.TrackerBench{
		Tracker: MLflow(spec, Options{Own: own, Env: env(nil), Writer: "one", Transport: cut, Sleep: atOnce}), Others: MLflow(spec, Options{Own: own, Env: env(nil), Writer: "two"}), Writes: writes,
		Cut:   func(n int) func() { cut.left.Store(int64(n)); return func() { cut.left.Store(-1) } },
		Show:  func(t *testing.T, key digest.Digest) []porttest.ShownRun { return s.show(t, experiment, key) },
		Model: s.model,
		MoveAlias: func(t *testing.T, model, alias, version string) {
			s.ask(t, "POST", "registered-models/alias", map[string]string{"name": model, "alias": alias, "version": version}, nil)
		},
		DeleteRun: func(t *testing.T, key digest.Digest) {
			for _, r := range s.runs(t, experiment, key) {
				s.ask(t, "POST", "runs/delete", map[string]string{"run_id": r.Info.ID}, nil)
			}
		},
		DeleteVersion: func(t *testing.T, model, version string) {
			s.ask(t, "DELETE", "model-versions/delete", map[string]string{"name": model, "version": version}, nil)
		},
		MakeModel: func(t *testing.T, name string) {
			s.ask(t, "POST", "registered-models/create", map[string]string{"name": name}, nil)
		},
	}
}

// logged counts lines of a server's log that changed something.
var logged = regexp.MustCompile(`(POST|PATCH|PUT|DELETE) (?:/api/2\.0/mlflow/)?([a-z/-]+)(?: HTTP/1\.1"?)? 200`)

func wrote(log string) (n int) {
	for _, m := range logged.FindAllStringSubmatch(log, -1) {
		if changes(m[1], m[2]) {
			n++
		}
	}
	return n
}
