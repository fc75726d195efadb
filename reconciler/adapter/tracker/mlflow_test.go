// MLflow keeps the promises of a Tracker: in one process always, and on a real server where
// VISHWA_MLFLOW names an environment that has it.

package tracker

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func env(vars map[string]string) port.Env {
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

// own signs as a controller does, by a key that nobody else has.
var own = Own{
	Sign:   func(text string) (string, error) { return mac(text), nil },
	Signed: func(text, proof string) bool { return proof == mac(text) },
}

func mac(text string) string {
	m := hmac.New(sha256.New, []byte("a key of the tests"))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func atOnce(context.Context, time.Duration) error { return nil }

// cutting fails what changes something once left is used up; a negative left is endless.
type cutting struct{ left atomic.Int64 }

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	if changes(r.Method, r.URL.Path) && c.left.Load() >= 0 {
		if c.left.Add(-1) < 0 {
			c.left.Store(0)
			return nil, errors.New("cut off")
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// changes tells requests that change something.
func changes(method, path string) bool {
	return method != http.MethodGet && !strings.HasSuffix(path, "/search")
}

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

func TestMLflowKeepsThePromises(t *testing.T) {
	for release, old := range map[string]bool{"3": false, "2": true} {
		t.Run(release, func(t *testing.T) {
			porttest.Tracker(t, func(t *testing.T) porttest.TrackerBench {
				s := mlflowtest.New()
				s.Old = old
				srv := httptest.NewServer(s)
				t.Cleanup(srv.Close)
				return bench(t, srv.URL, func() int { return wrote(strings.Join(s.Log(), "\n")) })
			})
		})
	}
}

// TestAnOlderServerIsToldApart: MLflow 2 has no models with files, which is said before anything of them is sent, and its runs are shown all the same. A
// server that does not say its release is given names that every one takes.
func TestAnOlderServerIsToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		old    bool
		hidden bool // something before the server does not let its version through
		metric string
	}{
		"2": {true, false, "val_loss"}, "2, hidden": {true, true, "val_loss"}, "3": {false, false, "val:loss"}, "3, hidden": {false, true, "val_loss"},
	} {
		t.Run(name, func(t *testing.T) {
			s := mlflowtest.New()
			s.Old = c.old
			s.Before = func(r *http.Request) int {
				if c.hidden && r.URL.Path == "/version" {
					return http.StatusForbidden
				}
				return 0
			}
			srv := httptest.NewServer(s)
			defer srv.Close()
			m := MLflow(schemas.MLflowTracker{URL: srv.URL, Models: &schemas.S3{URL: "s3://b/artifacts"}}, Options{Own: own, Env: env(nil), Sleep: atOnce, Bucket: func(*schemas.S3, port.Env) (port.Bucket, error) {
				return bucket.Dir(t.TempDir())
			}})
			s.Root = "s3://b/artifacts"
			key := digest.Of([]byte("r"))
			p := port.Projection{Ledger: "l", Runs: []port.TrackerRun{{Key: key, Name: "r", Metrics: map[string]float64{"val:loss": 1}}}, Models: []port.TrackerModel{{Name: "m"}}}
			_, err := m.Record(t.Context(), p, false)
			if c.old && (fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "MLflow 3 or newer")) || !c.old && err != nil {
				t.Errorf("%v (%s)", err, fault.HintOf(err))
			}
			if got := (rest{srv.URL}).show(t, "vishwa", key); len(got) != 1 || got[0].Status != "FINISHED" || len(got[0].Points[c.metric]) != 1 {
				t.Errorf("shown as %+v", got)
			}
		})
	}
}

// TestMLflowItself runs the suite on a real server.
func TestMLflowItself(t *testing.T) {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		t.Skip("VISHWA_MLFLOW names no environment with MLflow: make test-mlflow makes one")
	}
	url, log := mlflowtest.Start(t, venv)
	t.Run("ARunIsOursBySignature", func(t *testing.T) { copiedTags(t, url, "copied-by-others") })
	t.Run("ARenamedExperimentIsDrift", func(t *testing.T) { renamedExperiment(t, url, "renamed-by-hand") })
	porttest.Tracker(t, func(t *testing.T) porttest.TrackerBench {
		return bench(t, url, func() int {
			raw, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			return wrote(string(raw))
		})
	})
}

// TestWhatAServerRefusesHasAKindAndNoSecret: whatever it answers, and it may quote what it was given.
func TestWhatAServerRefusesHasAKindAndNoSecret(t *testing.T) {
	const secret = "hunter2"
	p := port.Projection{Ledger: "l", Runs: []port.TrackerRun{{Key: digest.Of(nil), Name: "r"}}}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   fault.Kind
		says   string
	}{
		"401": {status(401), fault.Denied, mlflowapi.TokenVariable},
		"403": {status(403), fault.Denied, mlflowapi.TokenVariable},
		"429": {status(429), fault.Transient, "rate limit"},
		"500": {status(500), fault.Transient, "500"},
		"a locked SQLite database, as MLflow 2 tells it": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, "<!doctype html>\n<title>500 Internal Server Error</title>\n")
		}, fault.Transient, "answered 500"},
		"a locked SQLite database, as MLflow 3 tells it": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "(sqlite3.OperationalError) database is locked"}`)
		}, fault.Transient, "503 TEMPORARILY_UNAVAILABLE"},
		"a page to log in at": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://sso.example/?"+secret, http.StatusFound)
		}, fault.Invalid, "leads elsewhere"},
		"a page":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>"+secret) }, fault.Invalid, "not its REST API"},
		"not MLflow's": {http.NotFound, fault.Invalid, "older than this needs"},
		"cut off":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Transient, "connection"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+secret {
					t.Errorf("it got %q", r.Header.Get("Authorization"))
				}
				c.answer(w, r)
			}))
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			defer srv.Close()
			m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(map[string]string{mlflowapi.TokenVariable: secret}), Sleep: atOnce})
			_, err := m.Record(t.Context(), p, false)
			text := fmt.Sprint(err, fault.HintOf(err))
			if fault.Of(err) != c.want || !strings.Contains(text, c.says) || strings.Contains(text, secret) || fault.HintOf(err) == "" {
				t.Errorf("got %v: %s", fault.Of(err), text)
			}
		})
	}
	slow, stop := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stop(); <-r.Context().Done() }))
	defer srv.Close()
	if _, err := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil)}).Record(slow, p, false); fault.Of(err) != fault.Cancelled {
		t.Errorf("slow: %v", err)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error_code": "X", "message": "you sent %s"}`, r.Header.Get("Authorization"))
	}
}

// TestACredentialGoesNowhereInTheClear: and a file of one is in the folder of tokens.
func TestACredentialGoesNowhereInTheClear(t *testing.T) {
	p := port.Projection{Ledger: "l", Runs: []port.TrackerRun{{Key: digest.Of(nil), Name: "r"}}}
	none := roundTrip(func(*http.Request) (*http.Response, error) { t.Error("it was asked"); return nil, io.EOF })
	_, err := MLflow(schemas.MLflowTracker{URL: "http://mlflow.example:5000"}, Options{Own: own, Env: env(map[string]string{mlflowapi.TokenVariable: "user:secret"}), Transport: none}).Record(t.Context(), p, false)
	if fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "https://") || strings.Contains(err.Error(), "secret") {
		t.Errorf("in the clear: %v", err)
	}
	_, err = MLflow(schemas.MLflowTracker{URL: "http://user:secret@mlflow.example:5000"}, Options{Own: own, Env: env(nil), Transport: none}).Record(t.Context(), p, false)
	if fault.Of(err) != fault.Denied || strings.Contains(err.Error()+fault.HintOf(err), "secret") {
		t.Errorf("in the url: %v", err)
	}
	_, err = MLflow(schemas.MLflowTracker{URL: "https://mlflow.example", Token: "/etc/passwd"}, Options{Own: own, Env: env(nil), Transport: none}).Record(t.Context(), p, false)
	if fault.Of(err) != fault.Denied {
		t.Errorf("any file: %v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "mlflow")
	if err := os.WriteFile(file, []byte("user:pass\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := ""
	basic := roundTrip(func(r *http.Request) (*http.Response, error) {
		user, password, _ := r.BasicAuth()
		got = user + ":" + password
		return nil, io.EOF
	})
	_, _ = MLflow(schemas.MLflowTracker{URL: "https://mlflow.example", Token: file}, Options{Own: own, Env: env(map[string]string{token.FolderVariable: dir}), Transport: basic, Sleep: atOnce}).Record(t.Context(), p, false)
	if got != "user:pass" {
		t.Errorf("basic: %q", got)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

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
