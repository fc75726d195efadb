// A server that is away, answers by halves or has enough for now: what is recorded comes through when it can, and else says what to do.

package tracker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// answered is a transport that answers by itself with a status, headers and a body.
func answered(code int, body io.Reader, headers ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(body), Request: r}, nil
	}
}

// TestAServerThatIsAwaySaysWhatToDo: by whatever it is away.
func TestAServerThatIsAwaySaysWhatToDo(t *testing.T) {
	nobody, err := freeport.Address("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + nobody
	half := `{"experiment": {"experi`
	for name, c := range map[string]struct {
		url  string
		by   http.RoundTripper
		want fault.Kind
		says string
	}{
		"nobody listens":                  {gone, nil, fault.Transient, "connection"},
		"a gateway's page":                {gone, answered(502, strings.NewReader("<html>Bad Gateway")), fault.Transient, "502"},
		"a gateway that waited":           {gone, answered(504, strings.NewReader("")), fault.Transient, "504"},
		"a request that took too long":    {gone, answered(408, strings.NewReader("")), fault.Transient, "408"},
		"a rate limit of a day":           {gone, answered(429, strings.NewReader(""), "Retry-After", "86400"), fault.Transient, "24h"},
		"half an answer":                  {gone, answered(200, io.MultiReader(strings.NewReader(half), failing{io.ErrUnexpectedEOF})), fault.Transient, "could not be read to its end"},
		"half an answer, said to be all":  {gone, answered(200, strings.NewReader(half)), fault.Invalid, "not its REST API"},
		"a connection that is broken off": {gone, roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }), fault.Transient, "connection"},
	} {
		m := MLflow(schemas.MLflowTracker{URL: c.url}, Options{Own: own, Env: env(nil), Transport: c.by, Sleep: atOnce})
		_, err := m.Record(t.Context(), oneRun("l"), false)
		if fault.Of(err) != c.want || !strings.Contains(fmt.Sprint(err), c.says) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "<html>") {
			t.Errorf("%s: %s: %v (%s)", name, fault.Of(err), err, fault.HintOf(err))
		}
	}
}

// TestAServerThatComesBackIsAskedAgain: within one recording, and nothing is written twice.
func TestAServerThatComesBackIsAskedAgain(t *testing.T) {
	for name, once := range map[string]http.RoundTripper{
		"after a rate limit":  answered(429, strings.NewReader(""), "Retry-After", "1"),
		"after a fault of it": answered(503, strings.NewReader("")),
	} {
		srv := httptest.NewServer(mlflowtest.New())
		defer srv.Close()
		var asked atomic.Int64
		by := roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked.Add(1)%3 == 1 && (!changes(r.Method, r.URL.Path) || name == "after a rate limit") { // what changes something is not asked again after a fault
				if r.Body != nil {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				return once.RoundTrip(r)
			}
			return http.DefaultTransport.RoundTrip(r)
		})
		var waited time.Duration
		pause := func(_ context.Context, d time.Duration) error { waited += d; return nil }
		p := oneRun("l")
		m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Writer: "one", Transport: by, Sleep: pause})
		var err error
		for range 20 {
			if _, err = m.Record(t.Context(), p, false); err == nil {
				break
			}
		}
		if err != nil || waited == 0 {
			t.Errorf("%s: %v, after %s", name, err, waited)
		}
		if got := (rest{srv.URL}).show(t, "vishwa", p.Runs[0].Key); len(got) != 1 || got[0].Status != "FINISHED" || len(got[0].Points["a"]) != 1 {
			t.Errorf("%s: shown as %+v", name, got)
		}
	}
}

// TestOddValuesAndNamesAreShown: of a whole metric that is no number, of names that are paths, empty for a server or very long, and of a parameter that was
// logged twice.
func TestOddValuesAndNamesAreShown(t *testing.T) {
	srv := httptest.NewServer(mlflowtest.New())
	defer srv.Close()
	names := []string{"..", "/", "a//b", "a/../b", " ", "loss 🎉", "%2e%2e", strings.Repeat("x", 400), "-", "AUC", "auc"}
	p := oneRun("l")
	p.Runs[0].Metrics, p.Runs[0].Params = map[string]float64{"nan": math.NaN(), "inf": math.Inf(-1)}, map[string]string{"depth": "3"}
	for i, name := range names {
		p.Runs[0].Metrics[name] = float64(i)
		p.Runs[0].Params[name] = fmt.Sprint(i)
	}
	p.Runs[0].Logged = func(context.Context) (port.TrackerLog, error) {
		return port.TrackerLog{Params: map[string]string{"depth": "4", "..": "twice"}, Series: []port.TrackerSeries{{Name: "nan", Steps: []int64{0, 1}, Times: []int64{0, 0}, Values: []float64{math.NaN(), math.Inf(1)}}}}, nil
	}
	m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Sleep: atOnce})
	if _, err := m.Record(t.Context(), p, false); err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	got := (rest{srv.URL}).show(t, "vishwa", p.Runs[0].Key)
	if len(got) != 1 || got[0].Status != "FINISHED" || got[0].Params["depth"] != "3" || len(got[0].Params) != len(p.Runs[0].Params) || len(got[0].Points) != len(p.Runs[0].Metrics) {
		t.Fatalf("shown as %+v", got)
	}
	values := map[float64]bool{}
	for name, points := range got[0].Points {
		for _, v := range points {
			values[v] = true
		}
		if len(name) > 250 || strings.Contains(name, "..") || strings.HasPrefix(name, "/") {
			t.Errorf("%q is a name of its", name)
		}
	}
	for i := range names {
		if !values[float64(i)] {
			t.Errorf("the value of %q is not there", names[i])
		}
	}
	if r, err := m.Record(t.Context(), p, false); err != nil || r.Writes != 0 {
		t.Errorf("the second time: %+v, %v", r, err)
	}
}

// TestAnAliasThatPointsNowhereIsPutRight: where no version of its number is there any more, or ever was.
func TestAnAliasThatPointsNowhereIsPutRight(t *testing.T) {
	for _, number := range []string{"7", "999999999999999999999", "x"} {
		s := mlflowtest.New()
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "registered-models/get") {
				s.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			w.WriteHeader(rec.Code)
			_, _ = w.Write(bytes.Replace(rec.Body.Bytes(), []byte(`"version":"1"`), []byte(`"version":"`+number+`"`), 1))
		}))
		defer srv.Close()
		key := digest.Of([]byte("key"))
		p := port.Projection{Ledger: "l", Heal: true, Models: []port.TrackerModel{{Name: "m", Versions: []port.TrackerVersion{{Key: key, Digest: key}}, Serves: map[string]digest.Digest{"production": key}}}}
		m := MLflow(schemas.MLflowTracker{URL: srv.URL}, Options{Own: own, Env: env(nil), Sleep: atOnce})
		if _, err := m.Record(t.Context(), p, false); err != nil {
			t.Fatal(err)
		}
		r, err := m.Record(t.Context(), p, false)
		if err != nil || len(r.Drift) != 1 || r.Writes != 1 || !strings.Contains(r.Drift[0], "was on version 1 and is on "+number) {
			t.Errorf("%s: %+v, %v", number, r, err)
		}
	}
}

// TestAClockThatIsWrongHoldsNothingForGood: of who began a run whose clock goes a year ahead, or behind.
func TestAClockThatIsWrongHoldsNothingForGood(t *testing.T) {
	for _, years := range []int{-1, 1} {
		srv := httptest.NewServer(mlflowtest.New())
		defer srv.Close()
		p, spec, cut := oneRun("l"), schemas.MLflowTracker{URL: srv.URL}, &cutting{}
		cut.left.Store(4) // the experiment with its signature, the run and its first batch
		wrong := env(nil)
		wrong.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) }
		if _, err := MLflow(spec, Options{Own: own, Env: wrong, Writer: "one", Transport: cut, Sleep: atOnce}).Record(t.Context(), p, false); err == nil || errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		r, err := MLflow(spec, Options{Own: own, Env: env(nil), Writer: "two", Sleep: atOnce}).Record(t.Context(), p, false)
		if err != nil || r.Runs != 1 || r.Left != 0 {
			t.Errorf("%d years: %+v, %v", years, r, err)
		}
	}
}
