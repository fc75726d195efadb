// What Airflow announces: the laws of sources on data behind it, and what moves a pin.

package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// airflows answers as Airflow 3 does of one DAG and one asset, whose data it serves below /data as well.
type airflows struct {
	site
	mu     sync.Mutex
	events int    // of the asset
	runs   int    // of the DAG that succeeded
	run    string // the id of each begins with it
}

func (a *airflows) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/data/") {
		a.site.ServeHTTP(w, r)
		return
	}
	_, status, hang := a.now()
	switch {
	case hang != nil:
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return
	case status != 0:
		w.WriteHeader(status)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	type m = map[string]any
	q, said := r.URL.Query(), any(nil)
	switch {
	case r.URL.Path == "/auth/token" && r.Method == http.MethodPost:
		var who map[string]string
		_ = json.NewDecoder(r.Body).Decode(&who)
		if who["password"] != "s3cr3t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		said = m{"access_token": "a-session"}
	case r.Header.Get("Authorization") != "Bearer a-session":
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.URL.Path == "/api/v2/assets":
		all := slices.Repeat([]m{{"id": 6, "uri": "s3://acme/orders-2"}}, 120) // those with URIs alike come first
		all = append(all, m{"id": 7, "uri": "s3://acme/orders"})
		from, _ := strconv.Atoi(q.Get("offset"))
		said = m{"assets": all[min(from, len(all)):min(from+100, len(all))], "total_entries": len(all)}
	case r.URL.Path == "/api/v2/assets/events" && q.Get("asset_id") == "7" && q.Get("order_by") == "-timestamp" && q.Get("limit") == "1":
		all := []m{}
		if a.events > 0 {
			all = append(all, m{"id": a.events, "timestamp": fmt.Sprintf("2026-11-29T03:00:%02dZ", a.events), "source_run_id": fmt.Sprint(a.run, a.events), "extra": m{"url": "http://169.254.169.254/"}})
		}
		said = m{"asset_events": all}
	case r.URL.Path == "/api/v2/dags/etl/dagRuns" && q.Get("state") == "success" && q.Get("order_by") == "-end_date" && q.Get("limit") == "1":
		all := []m{}
		if a.runs > 0 {
			all = append(all, m{"dag_run_id": fmt.Sprint(a.run, a.runs), "end_date": fmt.Sprintf("2026-11-29T03:00:%02dZ", a.runs)})
		}
		said = m{"dag_runs": all}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(said)
}

func (a *airflows) set(f func()) { a.mu.Lock(); defer a.mu.Unlock(); f() }

func newAirflow(t *testing.T) (*airflows, string) {
	t.Helper()
	a := &airflows{run: "manual__"}
	a.cut = -1
	a.head = func(h http.Header, b []byte) { h.Set("ETag", `"`+tag(b)+`"`) }
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, server.URL
}

func airflowSource(t *testing.T, spec schemas.AirflowData, last string) port.Source {
	t.Helper()
	spec.Token = "TOKEN"
	s, err := Open(schemas.DataSource{Airflow: &spec}, Options{Allow: loopback, Last: last, Env: env(map[string]string{"TOKEN": "ada:s3cr3t"})})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAirflowKeepsTheLawsOfSources(t *testing.T) {
	for name, spec := range map[string]schemas.AirflowData{"asset": {Asset: "s3://acme/orders"}, "dag": {DAG: "etl"}} {
		t.Run(name, func(t *testing.T) {
			porttest.Source(t, func(t *testing.T) porttest.Sourced {
				a, url := newAirflow(t)
				spec := spec
				spec.URL, spec.HTTP = url, &schemas.HTTP{URL: url + "/data/data.csv"}
				return a.into(porttest.Sourced{Source: airflowSource(t, spec, ""), Name: "data.csv", Secrets: []string{"s3cr3t"},
					Write: func(_ *testing.T, b []byte) {
						a.set(func() { a.events++; a.runs++ })
						a.trouble.set(func() { a.data = bytes.Clone(b) })
					}})
			})
		})
	}
}

// TestOnlyAnAnnouncementMovesWhatAirflowTellsOf: what changes without one is not taken.
func TestOnlyAnAnnouncementMovesWhatAirflowTellsOf(t *testing.T) {
	a, url := newAirflow(t)
	spec := schemas.AirflowData{URL: url, DAG: "etl", HTTP: &schemas.HTTP{URL: url + "/data/{run}.csv"}}
	a.site.data = []byte("a\n1\n")
	if _, err := airflowSource(t, spec, "").Inspect(t.Context()); fault.Of(err) != fault.Missing {
		t.Errorf("before any run: %v", err)
	}
	a.runs = 1
	first := seen(t, airflowSource(t, spec, ""))
	if first.Files[0].Path != "manual__1.csv" {
		t.Errorf("it is at %+v", first.Files)
	}
	if Run(first.Token) != "manual__1" {
		t.Errorf("the run of %q", first.Token)
	}
	a.site.data = []byte("a\n2\n")
	if again := seen(t, airflowSource(t, spec, first.Token)); again.Changed || again.Token != first.Token {
		t.Errorf("moved without a run: %+v", again)
	}
	a.set(func() { a.runs = 2 })
	if now := seen(t, airflowSource(t, spec, first.Token)); !now.Changed || now.Files[0].Path != "manual__2.csv" {
		t.Errorf("a run did not move it: %+v", now)
	}
}

func TestWhatAirflowSaysIsNotFollowed(t *testing.T) {
	a, url := newAirflow(t)
	a.events, a.runs, a.site.data = 1, 1, []byte("a\n")
	at := &schemas.HTTP{URL: url + "/data/{run}"}
	for _, run := range []string{"../../x", "a/b", "?q=", "", "a b", "-o", "%2e%2e", "a#", strings.Repeat("x", 300)} {
		a.set(func() { a.run = run })
		a.set(func() { a.runs = 1 })
		for name, spec := range map[string]schemas.AirflowData{"dag": {URL: url, DAG: "etl", HTTP: at}, "asset": {URL: url, Asset: "s3://acme/orders", HTTP: at}} {
			if run == "" { // which then is a number
				continue
			}
			if look, err := airflowSource(t, spec, "").Inspect(t.Context()); fault.Of(err) != fault.Invalid || err == nil {
				t.Errorf("%s: a run %q leads to %+v: %v", name, run, look.Files, err)
			}
		}
	}
	a.set(func() { a.run = "r" })
	for name, c := range map[string]struct {
		spec  schemas.AirflowData
		token string
		want  fault.Kind
	}{
		"another asset":  {schemas.AirflowData{URL: url, Asset: "s3://acme/order", HTTP: at}, "ada:s3cr3t", fault.Missing},
		"another DAG":    {schemas.AirflowData{URL: url, DAG: "elt", HTTP: at}, "ada:s3cr3t", fault.Missing},
		"wrong password": {schemas.AirflowData{URL: url, DAG: "etl", HTTP: at}, "ada:s3cr4t", fault.Denied},
		"wrong token":    {schemas.AirflowData{URL: url, DAG: "etl", HTTP: at}, "other", fault.Denied},
		"no token":       {schemas.AirflowData{URL: url, DAG: "etl", HTTP: at}, "", fault.Denied},
	} {
		c.spec.Token = "TOKEN"
		s, err := Open(schemas.DataSource{Airflow: &c.spec}, Options{Allow: loopback, Env: env(map[string]string{"TOKEN": c.token})})
		if err == nil {
			_, err = s.Inspect(t.Context())
		}
		if err == nil || fault.Of(err) != c.want || strings.Contains(err.Error(), "s3cr4t") {
			t.Errorf("%s: %v of kind %v, want %v", name, err, fault.Of(err), c.want)
		}
	}
	spec := schemas.AirflowData{URL: url, DAG: "etl", HTTP: at, Token: "TOKEN"}
	s, err := Open(schemas.DataSource{Airflow: &spec}, Options{Env: env(map[string]string{"TOKEN": "a-session"})})
	if err == nil {
		_, err = s.Inspect(t.Context())
	}
	if fault.Of(err) != fault.Denied {
		t.Errorf("a private address: %v", err)
	}
}
