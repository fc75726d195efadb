// Gauges, held to their port's promises, and to what is their own.

package gauge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

const secret = "the-token-of-prometheus"

var at = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func env() port.Env {
	return port.Env{
		Now: func() time.Time { return at }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Lookup: func(name string) (string, bool) { return secret, name == "VISHWA_SOURCE_PROM" },
	}
}

// double answers as the HTTP API of Prometheus 3 does.
type double struct {
	answer atomic.Pointer[string] // of api/v1/query, as its data
	ranged atomic.Pointer[string] // of api/v1/query_range
	status atomic.Int32
	hang   chan struct{} // nil: it answers
	seen   atomic.Pointer[http.Request]
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.seen.Store(r)
	if d.hang != nil {
		select {
		case <-d.hang:
		case <-r.Context().Done():
		}
		return
	}
	if s := d.status.Load(); s != 0 {
		w.WriteHeader(int(s))
		fmt.Fprintf(w, `{"status":"error","errorType":"internal","error":"no luck"}`)
		return
	}
	data := d.answer.Load()
	if strings.HasSuffix(r.URL.Path, "query_range") {
		data = d.ranged.Load()
	}
	fmt.Fprintf(w, `{"status":"success","data":%s}`, *data)
}

func (d *double) says(data string) { d.answer.Store(&data) }

func vector(values ...float64) string {
	var all []string
	for i, v := range values {
		all = append(all, fmt.Sprintf(`{"metric":{"i":"%d"},"value":[1782907200,"%s"]}`, i, strings.NewReplacer("NaN", "NaN").Replace(fmt.Sprint(v))))
	}
	return `{"resultType":"vector","result":[` + strings.Join(all, ",") + `]}`
}

func prometheusAt(t *testing.T, change func(*schemas.PrometheusGauge)) (port.Gauge, *double, *httptest.Server) {
	t.Helper()
	d := &double{}
	d.says(vector(0))
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	most := 0.05
	spec := schemas.PrometheusGauge{URL: s.URL, Query: "sum(errors)", Max: &most, Token: "VISHWA_SOURCE_PROM"}
	if change != nil {
		change(&spec)
	}
	g, err := Prometheus(spec, Options{Env: env(), Allow: []string{"127.0.0.1"}, Wait: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return g, d, s
}

func TestPrometheusKeepsTheGaugesPromises(t *testing.T) {
	porttest.Gauge(t, func(t *testing.T) porttest.Gauged {
		g, d, s := prometheusAt(t, nil)
		return porttest.Gauged{
			Gauge: g, Alarms: 0.06, Secrets: []string{secret}, GoneIs: fault.Transient,
			Show:   func(_ *testing.T, v float64) { d.says(vector(v)) },
			Empty:  func(*testing.T) { d.says(vector()) },
			Gone:   func(*testing.T) { s.Close() },
			Broken: func(*testing.T) { d.says(`"what"`) },
		}
	})
}

func TestPrometheusAnswersThatAreNotOneNumberAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		says, hint string
	}{
		"several series": {vector(1, 2), "aggregate it to one series"},
		"a matrix":       {`{"resultType":"matrix","result":[{"metric":{},"values":[[1782907200,"1"]]}]}`, "aggregate over the range"},
		"a text":         {`{"resultType":"string","result":[1782907200,"1"]}`, "correct the query"},
		"infinity":       {vector(math.Inf(1)), "has no value where nothing was measured"},
	} {
		t.Run(name, func(t *testing.T) {
			g, d, _ := prometheusAt(t, nil)
			d.says(c.says)
			_, err := g.Measure(t.Context())
			if fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("%v; %s", err, fault.HintOf(err))
			}
		})
	}
	g, d, _ := prometheusAt(t, nil)
	d.says(`{"resultType":"scalar","result":[1782907200,"0.01"]}`)
	if all, err := g.Measure(t.Context()); err != nil || *all[0].Value != 0.01 {
		t.Errorf("a scalar: %+v, %v", all, err)
	}
	if got := d.seen.Load().Header.Get("Authorization"); got != "Bearer "+secret {
		t.Errorf("it was asked with %q", got)
	}
}

func TestPrometheusStatusesHaveTheirKind(t *testing.T) {
	for status, want := range map[int]fault.Kind{500: fault.Transient, 503: fault.Transient, 401: fault.Denied, 403: fault.Denied} {
		g, d, _ := prometheusAt(t, nil)
		d.status.Store(int32(status))
		if _, err := g.Measure(t.Context()); fault.Of(err) != want || strings.Contains(err.Error(), secret) {
			t.Errorf("%d: %v (%v)", status, err, fault.Of(err))
		}
	}
}

// What a server says goes into evidence, logs and comments.
func TestAServersWordsSteerNothingAndTellNoToken(t *testing.T) {
	for name, body := range map[string]string{
		"a kind":              `{"status":"error","errorType":"\u001b[2J` + secret + `\n::error::","error":"x"}`,
		"a message":           `{"status":"error","errorType":"bad_data","error":"\u001b]0;x\u0007 Bearer ` + secret + `"}`,
		"a kind at length":    `{"status":"error","errorType":"` + strings.Repeat("k", 1<<20) + `","error":"x"}`,
		"a message at length": `{"status":"error","errorType":"execution","error":"` + strings.Repeat("m ", 1<<20) + `"}`,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, body)
		}))
		most := 1.0
		g, err := Prometheus(schemas.PrometheusGauge{URL: s.URL, Query: "up", Max: &most, Token: "VISHWA_SOURCE_PROM"}, Options{Env: env(), Allow: []string{"127.0.0.1"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Measure(t.Context())
		s.Close()
		if err == nil || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\x1b\x07\n") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %.500q", name, fmt.Sprint(err))
		}
	}
}

// A bound counts once it was broken all the time.
func TestPrometheusAlarmsAfterItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		values string
		want   bool
	}{
		"all the time":    {`[[1782906600,"0.06"],[1782906900,"0.07"],[1782907200,"0.06"]]`, true},
		"with a good one": {`[[1782906600,"0.06"],[1782906900,"0.01"],[1782907200,"0.06"]]`, false},
		"only lately":     {`[[1782907100,"0.06"],[1782907200,"0.06"]]`, false},
	} {
		g, d, _ := prometheusAt(t, func(s *schemas.PrometheusGauge) { s.For = "10m" })
		d.says(vector(0.06))
		ranged := `{"resultType":"matrix","result":[{"metric":{},"values":` + c.values + `}]}`
		d.ranged.Store(&ranged)
		all, err := g.Measure(t.Context())
		if err != nil || all[0].Alarm != c.want {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}

func TestASlowPrometheusIsTransient(t *testing.T) {
	d := &double{hang: make(chan struct{})}
	s := httptest.NewServer(d)
	defer s.Close()
	defer close(d.hang)
	most := 1.0
	g, err := Prometheus(schemas.PrometheusGauge{URL: s.URL, Query: "up", Max: &most}, Options{Env: env(), Allow: []string{"127.0.0.1"}, Wait: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Measure(t.Context()); fault.Of(err) != fault.Transient {
		t.Errorf("%v (%v)", err, fault.Of(err))
	}
}

// A declaration does not lead this process to what only this machine sees.
func TestAPrivatePrometheusIsAskedWhereItIsAllowed(t *testing.T) {
	d := &double{}
	d.says(vector(0))
	s := httptest.NewServer(d)
	defer s.Close()
	most := 1.0
	g, err := Prometheus(schemas.PrometheusGauge{URL: s.URL, Query: "up", Max: &most}, Options{Env: env()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Measure(t.Context()); fault.Of(err) != fault.Denied || d.seen.Load() != nil {
		t.Errorf("%v (%v)", err, fault.Of(err))
	}
	if _, err := Prometheus(schemas.PrometheusGauge{URL: "http://u:p@h", Query: "up"}, Options{Env: env()}); fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "u:p") {
		t.Errorf("%v", err)
	}
}

func reportOf(v float64) []byte {
	value := "NaN"
	if !math.IsNaN(v) {
		value = fmt.Sprint(v)
	}
	return []byte(`{"metrics":[{"id":"x","metric_name":"ValueDrift(column=age)","config":{"type":"evidently:metric_v2:ValueDrift","column":"age","method":"Wasserstein distance (normed)","threshold":0.1},"value":` + value + `}],"tests":[]}`)
}

func TestEvidentlyKeepsTheGaugesPromises(t *testing.T) {
	porttest.Gauge(t, func(t *testing.T) porttest.Gauged {
		tree := fstest.MapFS{}
		put := func(b []byte) { tree["r.json"] = &fstest.MapFile{Data: b} }
		return porttest.Gauged{
			Gauge: Evidently(tree, schemas.EvidentlyGauge{Report: "r.json"}), Alarms: 0.1, GoneIs: fault.Missing,
			Show:   func(_ *testing.T, v float64) { put(reportOf(v)) },
			Gone:   func(*testing.T) { delete(tree, "r.json") },
			Broken: func(*testing.T) { put([]byte("{")) },
		}
	})
}

func TestEvidentlyReportsAreReadByTheirForm(t *testing.T) {
	read := func(text string) ([]port.Measurement, error) {
		return Evidently(fstest.MapFS{"r.json": {Data: []byte(text)}}, schemas.EvidentlyGauge{Report: "r.json"}).Measure(context.Background())
	}
	all, err := read(`{"metrics":[
		{"config":{"type":"evidently:metric_v2:DriftedColumnsCount","drift_share":0.5},"value":{"count":2.0,"share":0.2}},
		{"config":{"type":"evidently:metric_v2:MeanValue","column":"age"},"value":3},
		{"config":{"type":"evidently:metric_v2:ValueDrift","column":"age","method":"K-S p_value","threshold":0.05},"value":0.05}]}`)
	if err != nil || len(all) != 2 || all[0].Alarm || !all[1].Alarm { // a p-value at the threshold has drifted
		t.Errorf("%+v, %v", all, err)
	}
	for name, text := range map[string]string{
		"before 0.7":        `{"metrics":[{"metric":"DatasetDriftMetric","result":{"dataset_drift":true}}]}`,
		"nothing of drift":  `{"metrics":[]}`,
		"an unknown method": strings.Replace(string(reportOf(1)), "Wasserstein distance (normed)", "somehow", 1),
		"no end":            `{"metrics":[` + strings.Repeat(`{"config":{"type":"evidently:metric_v2:DriftedColumnsCount"},"value":{"share":1}},`, mostMetrics) + `{"config":{"type":"evidently:metric_v2:DriftedColumnsCount"},"value":{"share":1}}]}`,
		"no number":         strings.Replace(string(reportOf(1)), `"value":1`, `"value":null`, 1),
	} {
		if _, err := read(text); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a report holds, reading it ends.
func FuzzEvidentlyReport(f *testing.F) {
	f.Add(reportOf(0.1))
	f.Add([]byte(`{"metrics":[{"config":{"type":"evidently:metric_v2:DriftedColumnsCount"},"value":{"share":1}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Evidently(fstest.MapFS{"r.json": {Data: b}}, schemas.EvidentlyGauge{Report: "r.json"}).Measure(context.Background())
		if err == nil && !json.Valid(b) {
			t.Errorf("%q is read as %+v", b, all)
		}
	})
}
