// A server that lies: what it answers makes nothing endless, nothing twice, and takes away nothing that is
// not a second record of ours.

package tracker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/mlflowapi"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// liar answers each path by its row, an empty object where it has none, and keeps what it was asked.
func liar(t *testing.T, rows map[string]func(n int) string) (m port.Tracker, asked func(path string) int) {
	t.Helper()
	count := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, mlflowapi.Prefix)
		count[path]++
		if row := rows[path]; row != nil {
			fmt.Fprint(w, row(count[path]))
			return
		}
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(srv.Close)
	return MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Writer: "one", Sleep: atOnce}), func(path string) int { return count[path] }
}

func TestAServerThatLiesMakesNothingEndlessOrTwice(t *testing.T) {
	key := digest.Of(nil)
	p := port.Projection{Ledger: "l", Runs: []port.TrackerRun{{Key: key, Name: "r", Metrics: map[string]float64{"a": 1}}},
		Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: key}}}}}
	experiment := func(int) string { return `{"experiment": {"experiment_id": "1"}}` }
	var m port.Tracker
	ours := func(id, key, status string) string {
		id = strings.Repeat("0", 32-len(id)) + id
		proof := mac(sessionOf(m, p, "1").records().Run(digest.Digest(key), id))
		return fmt.Sprintf(`{"info": {"run_id": %q, "status": %q}, "data": {"tags": [{"key": "vishwa.ledger", "value": "l"}, {"key": "vishwa.key", "value": %q}, {"key": "vishwa.proof", "value": %q}]}}`, id, status, key, proof)
	}
	next := func(n int) string { return fmt.Sprintf(`"next_page_token": "%d"`, n) }
	whole := func(int) string { return `{"runs": [` + ours("a", string(key), "FINISHED") + `]}` }
	for name, c := range map[string]struct {
		rows map[string]func(int) string
		says string // of the error; "": none
		path string
		want int // at most, that path was asked
	}{
		"runs without an end": {map[string]func(int) string{"experiments/get-by-name": experiment,
			"runs/search": func(n int) string { return `{"runs": [` + ours(fmt.Sprint(n), string(key), "") + `], ` + next(n) + `}` }}, "does not end", "runs/create", 0},
		"the same page again": {map[string]func(int) string{"experiments/get-by-name": experiment,
			"runs/search": func(int) string { return `{` + next(1) + `}` }}, "does not end", "runs/search", 2},
		"a run on two pages": {map[string]func(int) string{"experiments/get-by-name": experiment, "model-versions/create": func(int) string { return `{}` },
			"registered-models/get": func(int) string {
				return `{"registered_model": {"tags": [{"key": "vishwa.ledger", "value": "l"}]}}`
			},
			"runs/search": func(n int) string {
				end := map[bool]string{true: `, ` + next(n)}[n == 1]
				return `{"runs": [` + ours("a", string(key), "FINISHED") + `]` + end + `}`
			}}, "", "runs/delete", 0},
		"copies with our tags": {map[string]func(int) string{"experiments/get-by-name": experiment,
			"registered-models/get": func(int) string {
				return `{"registered_model": {"tags": [{"key": "vishwa.ledger", "value": "l"}]}}`
			},
			"runs/search": func(int) string {
				return `{"runs": [` + ours("a", string(key), "FINISHED") + `,` + ours("b", "", "") + `,` + ours("c", "", "") + `,` + ours("d", "x", "") + `,` + ours("e", "x", "") + `]}`
			}}, "", "runs/delete", 0},
		"an experiment of no name": {nil, "without saying of what", "runs/create", 0},
		"a run of no name":         {map[string]func(int) string{"experiments/get-by-name": experiment}, "without saying of what", "runs/log-batch", 0},
		"points without an end": {map[string]func(int) string{"experiments/get-by-name": experiment,
			"runs/search": func(int) string { return `{"runs": [` + ours("a", string(key), "RUNNING") + `]}` },
			"runs/get": func(int) string {
				return `{"run": {"data": {"metrics": [{"key": "a"}, {"key": "a"}, {"key": "other"}]}}}`
			},
			"metrics/get-history": func(n int) string { return `{` + next(n) + `}` }}, "does not end", "metrics/get-history", mlflowapi.MostPages},
		"versions without an end": {map[string]func(int) string{"experiments/get-by-name": experiment, "runs/search": whole,
			"registered-models/get": func(int) string {
				return `{"registered_model": {"tags": [{"key": "vishwa.ledger", "value": "l"}]}}`
			},
			"model-versions/search": func(n int) string { return `{` + next(n) + `}` }}, "does not end", "model-versions/create", 0},
	} {
		var asked func(string) int
		m, asked = liar(t, c.rows)
		_, err := m.Record(t.Context(), p, false)
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || fault.Of(err) != fault.Invalid) || asked(c.path) > c.want {
			t.Errorf("%s: %v; %s was asked %d times, and may be %d times", name, err, c.path, asked(c.path), c.want)
		}
	}
}

func TestWhatAServerSaysIsToldShortly(t *testing.T) {
	long, err := json.Marshal(strings.Repeat("9", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	key := digest.Of(nil)
	m, _ := liar(t, map[string]func(int) string{
		"experiments/get-by-name": func(int) string { return `{"experiment": {"experiment_id": "1"}}` },
		"registered-models/get": func(int) string {
			return `{"registered_model": {"tags": [{"key": "vishwa.ledger", "value": "l"}], "aliases": [{"alias": "staging", "version": ` + string(long) + `}]}}`
		},
		"model-versions/create": func(int) string { return `{"model_version": {"version": "1"}}` },
	})
	r, err := m.Record(t.Context(), port.Projection{Ledger: "l", Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: key}}, Serves: map[string]digest.Digest{"staging": key}}}}, false)
	if err != nil || len(r.Drift) != 1 || len(r.Drift[0]) > bounded.MostWords {
		t.Errorf("%d, %v", len(r.Drift), err)
	}
}

// A run says what it likes, and what it says keeps no other from being shown.
func TestOneRunKeepsNoOtherFromBeingShown(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewServer(s)
	defer srv.Close()
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Writer: "one", Sleep: atOnce})
	bad := port.TrackerRun{Key: digest.Of([]byte("bad")), Name: "training/bad", Logged: func(context.Context) (port.TrackerLog, error) {
		return port.TrackerLog{}, fault.New(fault.Corrupt, "what a run logged: it is no JSON")
	}}
	odd := port.TrackerRun{Key: digest.Of([]byte("odd")), Name: "training/odd", Params: map[string]string{"p": "a\x00b\xff"}, Metrics: map[string]float64{"auc": 1}}
	p := port.Projection{Ledger: "l", Runs: []port.TrackerRun{bad, odd}, Models: []port.TrackerModel{{Name: "m"}}}
	_, err := m.Record(t.Context(), p, false)
	if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), "training/bad") {
		t.Errorf("%v", err)
	}
	if got := (rest{srv.URL}).show(t, "vishwa", odd.Key); len(got) != 1 || got[0].Status != "FINISHED" || got[0].Params["p"] != "a\uFFFDb\uFFFD" {
		t.Errorf("shown %+v", got)
	}
	many := port.Projection{Ledger: "l"}
	for range 3 * bounded.MostFailed {
		many.Runs = append(many.Runs, bad)
	}
	if _, err := m.Record(t.Context(), many, false); strings.Count(fmt.Sprint(err), "training/bad") != bounded.MostFailed {
		t.Errorf("%v", err)
	}
}
