// Events of KServe and Seldon become rows, whatever order they come in and whoever sends them.

package sink

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// send puts an event to the sink, and tells the answer's status.
func send(s http.Handler, body string, headers ...string) int {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Ce-Specversion", "1.0")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func kserve(side, id string, after time.Duration) []string {
	return []string{"Ce-Type", "org.kubeflow.serving.inference." + side, "Ce-Id", id, "Ce-Time", noon.Add(after).Format(time.RFC3339Nano),
		"Ce-Inferenceservicename", "churn", "Ce-Namespace", "prod", "Ce-Component", "predictor", "Ce-Endpoint", "", "Content-Type", "application/x-www-form-urlencoded"}
}

func seldon(side, id string) []string {
	return []string{"Ce-Type", "io.seldon.serving.inference." + side, "Ce-Id", side + id, "Ce-Requestid", id, "Ce-Time", noon.Format(time.RFC3339Nano),
		"Ce-Inferenceservicename", "iris", "Ce-Namespace", "prod", "Ce-Modelid", "classifier", "Ce-Endpoint", "canary"}
}

// rows reads a log of the sink, sorted.
func rows(t *testing.T, dir string, columns ...string) []string {
	t.Helper()
	b, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := predictionlog.Read(t.Context(), b, predictionlog.Query{})
	defer r.Close()
	var out []string
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(out)
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, c := range columns {
			v := "-"
			if i := slices.Index(r.Columns(), c); i >= 0 && row.Cells[i] != nil {
				v = string(row.Cells[i])
			}
			said += v + " "
		}
		out = append(out, strings.TrimSpace(said))
	}
}

// A file of a year to come is never removed, and events of many hours are as many files.
func TestAnEventsTimeIsBelievedAboutNow(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Log: predictionlog.Options{Dir: dir}, Now: func() time.Time { return noon }})
	for id, after := range map[string]time.Duration{"a": 0, "b": 80 * 365 * 24 * time.Hour, "c": -80 * 365 * 24 * time.Hour, "d": -time.Hour, "e": time.Minute} {
		if status := send(s, `{"instances":[[1]]}`, kserve("request", id, after)...); status != http.StatusAccepted {
			t.Fatalf("%d", status)
		}
	}
	s.Close()
	at := func(d time.Duration) string { return noon.Add(d).UTC().Format("15:04") }
	want := []string{"a " + at(0), "b " + at(0), "c " + at(0), "d " + at(-time.Hour), "e " + at(time.Minute)}
	for i, got := range rows(t, filepath.Join(dir, "prod", "churn"), "id", "time") {
		id, when, _ := strings.Cut(got, " ")
		if t0, err := time.Parse(time.RFC3339Nano, when); err != nil || id+" "+t0.UTC().Format("15:04") != want[i] || !strings.HasPrefix(when, noon.UTC().Format("2006-01-02")) {
			t.Errorf("%q, want %s", got, want[i])
		}
	}
}

func TestEventsBecomeRows(t *testing.T) {
	dir := t.TempDir()
	now := noon
	s := New(Options{Log: predictionlog.Options{Dir: dir}, Now: func() time.Time { return now }})
	for _, e := range []struct {
		body    string
		headers []string
	}{
		{`{"instances":[[1,2],[3,4]]}`, kserve("request", "a", 0)},
		{`{"instances":[[5,6]]}`, kserve("request", "b", 0)},
		{`{"predictions":[0]}`, kserve("response", "b", time.Second)},
		{`{"predictions":[1,1]}`, kserve("response", "a", 2*time.Second)},
		{`{"predictions":[7]}`, kserve("response", "c", 3*time.Second)}, // before its request
		{`{"instances":[[7,8]]}`, kserve("request", "c", time.Second)},
		{`{"instances":[[7,8]]}`, kserve("request", "c", time.Second)}, // sent again
		{`{"instances":[[9,9]]}`, kserve("request", "lost", 0)},
		{`{"data":{"names":["x"],"ndarray":[[1]]}}`, seldon("request", "p")},
		{`{"data":{"names":["proba"],"ndarray":[[0.5]]}}`, seldon("response", "p")},
	} {
		if status := send(s, e.body, e.headers...); status != http.StatusAccepted {
			t.Fatalf("%d", status)
		}
	}
	now = now.Add(2 * time.Minute)
	s.Expire()
	if c := s.Counts(); c.Events != 10 || c.Pairs != 4 || c.Alone != 2 || c.Refused != 0 {
		t.Errorf("%+v", c)
	}
	s.Close()
	want := []string{"a/0 200 1 2 1 2.0 default", "a/1 200 3 4 1 2.0 default", "b 200 5 6 0 1.0 default", "c 0 7 8 - 0.0 default", "c 200 7 8 7 2.0 default", "lost 0 9 9 - 0.0 default"}
	if got := rows(t, filepath.Join(dir, "prod", "churn"), "id", "status", "feature.0", "feature.1", "prediction", "latency", "arm"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if got := rows(t, filepath.Join(dir, "prod", "iris"), "id", "feature.x", "score", "model", "arm"); fmt.Sprint(got) != "[p 1 0.5 classifier canary]" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	s := New(Options{Log: predictionlog.Options{Dir: t.TempDir()}, Token: "secret", Body: 1 << 10})
	defer s.Close()
	good := append(kserve("request", "a", 0), "Authorization", "Bearer secret")
	with := func(name, value string) []string { return append(slices.Clone(good), name, value) }
	for name, c := range map[string]struct {
		headers []string
		body    string
		status  int
	}{
		"one that is":         {good, "{}", http.StatusAccepted},
		"a password":          {with("Authorization", "Basic a3NlcnZlOnNlY3JldA=="), "{}", http.StatusAccepted},
		"no token":            {with("Authorization", ""), "{}", http.StatusUnauthorized},
		"another token":       {with("Authorization", "Bearer secreT"), "{}", http.StatusUnauthorized},
		"another type":        {with("Ce-Type", "org.kubeflow.serving.inference.outlier"), "{}", http.StatusBadRequest},
		"no type":             {with("Ce-Type", ""), "{}", http.StatusBadRequest},
		"no id":               {with("Ce-Id", ""), "{}", http.StatusBadRequest},
		"a way out":           {with("Ce-Inferenceservicename", "../../etc"), "{}", http.StatusBadRequest},
		"another way out":     {with("Ce-Namespace", ".."), "{}", http.StatusBadRequest},
		"a body too large":    {good, strings.Repeat("x", 2<<10), http.StatusRequestEntityTooLarge},
		"a time that is none": {with("Ce-Time", "soon"), "{}", http.StatusAccepted},
		"no JSON":             {with("Ce-Id", "z"), "\x00\xff", http.StatusAccepted},
	} {
		if got := send(s, c.body, c.headers...); got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
	}
}

// However many halves come and however large, what waits is bounded, and nothing is lost.
func TestHalvesThatNeverMatchAreBounded(t *testing.T) {
	s := New(Options{Log: predictionlog.Options{Dir: t.TempDir()}, Services: 8})
	defer s.Close()
	const n = mostHalves + 500
	for i := range n {
		send(s, "{}", kserve("request", fmt.Sprint(i), 0)...)
	}
	if c := s.Counts(); c.Alone != 500 || len(s.halves) != mostHalves {
		t.Errorf("%+v, %d wait", c, len(s.halves))
	}
	big := strings.Repeat("x", 4<<20)
	for i := range 40 {
		send(s, big, kserve("response", fmt.Sprint("big", i), 0)...)
	}
	if s.bytes > mostBytes {
		t.Errorf("%d MiB wait", s.bytes>>20)
	}
	for i := range 18 {
		headers := append(kserve("request", "x", 0), "Ce-Inferenceservicename", fmt.Sprint("s", i))
		if status := send(s, "{}", headers...); status != http.StatusAccepted && i < 7 || status == http.StatusAccepted && i >= 8 {
			t.Fatalf("service %d: %d", i, status)
		}
	}
}
