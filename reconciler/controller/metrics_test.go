// What monitors and models are as metrics, and that a count names the ledger's entry behind it.

package controller

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// told is metrics that were told everything once.
func told(registry *prometheus.Registry) *Metrics {
	m := NewMetrics(registry, "1.2.3")
	m.Training(Trained{Repository: "github.com/acme/models", Config: "training/churn", Result: "success", Took: time.Minute, Entry: 7})
	m.Ledger("github.com/acme/models", 12)
	m.Git("github.com/acme/models", "ls-remote")
	m.Watched(Watched{Repository: "github.com/acme/models", Monitor: "homes", Model: "price", Verdict: "drifted", Entry: 11, At: time.Unix(1e9, 5e8),
		Compared: 2, Drifting: 1, New: true, Columns: []WatchedColumn{{"rooms", "ks", 0.7, false}, {"area", "wasserstein", 0.5, true}, {"note", "", math.NaN(), false}}})
	m.Models("github.com/acme/models", []Model{{"price", "5", "sha256:aa", "c0ffee"}})
	m.Alert("webhook", "sent")
	m.Incidents("github.com/acme/models", 1)
	m.webhook("push", "accepted")
	m.passed("branch", time.Second, errors.New("x"))
	m.Step("github.com/acme/models", "training", errors.New("x"))
	m.deployments("github.com/acme/models", []Deployment{{Name: "price-staging"}}, nil)
	return m
}

func scrape(t *testing.T, m *Metrics, accept string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	m.Handler().ServeHTTP(w, r)
	return w.Body.String()
}

func TestWhatAMonitorFoundIsShownAndForgotten(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := told(registry)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	const want = `
# HELP vishwa_drift_columns_ratio Share of the compared columns that have drifted.
# TYPE vishwa_drift_columns_ratio gauge
vishwa_drift_columns_ratio{model="price",monitor="homes",repository="github.com/acme/models"} 0.5
# HELP vishwa_drift_detected 1 where a column has drifted by the monitor's verdict, else 0.
# TYPE vishwa_drift_detected gauge
vishwa_drift_detected{column="area",model="price",monitor="homes",repository="github.com/acme/models"} 1
vishwa_drift_detected{column="note",model="price",monitor="homes",repository="github.com/acme/models"} 0
vishwa_drift_detected{column="rooms",model="price",monitor="homes",repository="github.com/acme/models"} 0
# HELP vishwa_drift_last_run_timestamp_seconds When a monitor recorded what it found last.
# TYPE vishwa_drift_last_run_timestamp_seconds gauge
vishwa_drift_last_run_timestamp_seconds{model="price",monitor="homes",repository="github.com/acme/models"} 1.0000000005e+09
# HELP vishwa_drift_score Score of a column by its method, as Evidently computes it; a p-value or a distance.
# TYPE vishwa_drift_score gauge
vishwa_drift_score{column="area",method="wasserstein",model="price",monitor="homes",repository="github.com/acme/models"} 0.5
vishwa_drift_score{column="rooms",method="ks",model="price",monitor="homes",repository="github.com/acme/models"} 0.7
# HELP vishwa_model_info Always 1; the labels say which model was released last: its ledger entry, digest and commit.
# TYPE vishwa_model_info gauge
vishwa_model_info{commit="c0ffee",digest="sha256:aa",model="price",repository="github.com/acme/models",version="5"} 1
`
	names := []string{"vishwa_drift_columns_ratio", "vishwa_drift_detected", "vishwa_drift_last_run_timestamp_seconds", "vishwa_drift_score", "vishwa_model_info"}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	m.Watched(Watched{Repository: "github.com/acme/models", Monitor: "homes", Model: "price", Verdict: "well", Entry: 12, Compared: 1,
		Columns: []WatchedColumn{{"rooms", "psi", 0.1, false}}})
	if n, err := testutil.GatherAndCount(registry, "vishwa_drift_score"); err != nil || n != 1 {
		t.Errorf("%d scores of a window that has one, %v", n, err)
	}
	m.Unwatched("github.com/acme/models", []string{"homes"})
	if n, err := testutil.GatherAndCount(registry, "vishwa_drift_score", "vishwa_monitor_verdict", "vishwa_drift_columns_ratio"); err != nil || n != 0 {
		t.Errorf("%d series of a monitor that is gone, %v", n, err)
	}
}

func TestACountNamesTheEntryBehindIt(t *testing.T) {
	m := told(prometheus.NewRegistry())
	// The labels of an exemplar are a set: they are written in any order.
	open := strings.ReplaceAll(scrape(t, m, "application/openmetrics-text; version=1.0.0"),
		`{repository="github.com/acme/models",entry="7"}`, `{entry="7",repository="github.com/acme/models"}`)
	open = strings.ReplaceAll(open, `{repository="github.com/acme/models",entry="11"}`, `{entry="11",repository="github.com/acme/models"}`)
	for _, want := range []string{
		`vishwa_training_runs_total{config="training/churn",result="success"} 1.0 # {entry="7",repository="github.com/acme/models"} 1.0`,
		`vishwa_monitor_windows_total{monitor="homes",repository="github.com/acme/models",verdict="drifted"} 1.0 # {entry="11",repository="github.com/acme/models"} 1.0`,
		"# {entry=\"7\",repository=\"github.com/acme/models\"} 60.0", "\n# EOF\n",
	} {
		if !strings.Contains(open, want) {
			t.Errorf("it lacks %s:\n%s", want, open)
		}
	}
	if plain := scrape(t, m, "text/plain"); strings.Contains(plain, "# {") {
		t.Error("an exemplar stands in a text that has none")
	}
	m.Training(Trained{Repository: strings.Repeat("é", 300), Config: "x", Result: "success", Took: time.Second, Entry: 1}) // which no exemplar has room for
}

// Columns are whatever data calls them; a monitor of thousands makes no thousands of series.
func TestAMonitorHasAsManySeriesAsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "1")
	w := Watched{Repository: "r", Monitor: "m", Verdict: "drifted", Compared: 5000}
	for i := range 5000 {
		w.Columns = append(w.Columns, WatchedColumn{fmt.Sprintf("c%d\n\"", i), "ks", 0, i == 4999})
	}
	m.Watched(w)
	if n, err := testutil.GatherAndCount(registry, "vishwa_drift_score"); err != nil || n != mostColumns {
		t.Errorf("%d, %v", n, err)
	}
	if !strings.Contains(scrape(t, m, "text/plain"), `column="c4999\n\""`) {
		t.Error("the column that has drifted is not among them")
	}
}

// A file of Parquet may call a column by bytes that are no text: a label of such ends a pass.
func TestAColumnMayHaveAnyName(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry(), "1")
	long := strings.Repeat("é", 5000)
	m.Watched(Watched{Repository: "r", Monitor: "m", Verdict: "drifted", Compared: 4, Columns: []WatchedColumn{
		{"a\xff", "ks", 0.5, false}, {"a\xfe", "ks", 0.1, true}, {"b" + long, "ks", 0.5, false}, {"", "ks", 0.5, false},
	}})
	text := scrape(t, m, "text/plain")
	for _, want := range []string{"vishwa_drift_detected{column=\"a\ufffd\",model=\"\",monitor=\"m\",repository=\"r\"} 1", `column="bé`} {
		if !strings.Contains(text, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if strings.Contains(text, long) {
		t.Error("a name is told that is thousands of bytes long")
	}
}

// Prometheus's own program has nothing to say against them. make test-prometheus builds it.
func TestPromtoolHasNothingAgainstTheMetrics(t *testing.T) {
	promtool := filepath.Join(os.Getenv("VISHWA_TOOLS"), "promtool")
	if os.Getenv("VISHWA_PROMETHEUS") == "" {
		t.Skip("make test-prometheus runs it; TestWhatAMonitorFoundIsShownAndForgotten lints by the same rules")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, told(nil), "text/plain"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
