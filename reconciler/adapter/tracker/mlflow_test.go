// MLflow keeps the promises of a Tracker: in one process always, and on a real server where
// VISHWA_MLFLOW names an environment that has it.

package tracker

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
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

// TestAServerThatCannotProveWhoItIsGetsNoCredential: and one that can is asked by TLS.
func TestAServerThatCannotProveWhoItIsGetsNoCredential(t *testing.T) {
	s := mlflowtest.New()
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	o := Options{Own: own, Env: env(map[string]string{mlflowapi.TokenVariable: "user:secret"}), Sleep: atOnce}
	_, err := MLflow(schemas.MLflowTracker{URL: srv.URL}, o).Record(t.Context(), oneRun("l"), false)
	if fault.Of(err) != fault.Denied || !strings.Contains(fmt.Sprint(err), "certificate is not trusted") || !strings.Contains(fault.HintOf(err), "SSL_CERT_FILE") || len(s.Log()) > 0 {
		t.Errorf("%v (%s), after %q", err, fault.HintOf(err), s.Log())
	}
	o.Transport = srv.Client().Transport
	if r, err := MLflow(schemas.MLflowTracker{URL: srv.URL}, o).Record(t.Context(), oneRun("l"), false); err != nil || r.Runs != 1 {
		t.Errorf("one that is trusted: %+v, %v", r, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
