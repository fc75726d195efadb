// A session that has ended is begun anew, once, and one is begun for all who ask at once.

package airflow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// server gives sessions, each of which is good until the next, and an answer to each.
type server struct {
	logins, good atomic.Int64
	password     string
	gives        string // in place of a session
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth/token" {
		var who map[string]string
		if _ = json.NewDecoder(r.Body).Decode(&who); who["password"] != s.password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		token := s.gives
		if token == "" {
			token = fmt.Sprint("session-", s.logins.Add(1))
			s.good.Store(s.logins.Load())
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": token})
		return
	}
	if r.Header.Get("Authorization") != fmt.Sprint("Bearer session-", s.good.Load()) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = w.Write([]byte(`{"assets": [], "total_entries": 0}`))
}

func clientOf(t *testing.T, s *server, credential func() string) *Client {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c, err := New(srv.URL+"/", Options{Transport: http.DefaultTransport, Credential: func() (string, error) { return credential(), nil }, May: "read assets"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASessionThatHasEndedIsBegunAnew(t *testing.T) {
	s := &server{password: "s3cr3t"}
	password := "s3cr3t"
	c := clientOf(t, s, func() string { return "ada:" + password })
	ask := func() error { _, err := c.Asset(t.Context(), "s3://a/b"); return err }
	for range 3 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.logins.Load(); n != 1 {
		t.Errorf("three questions began %d sessions", n)
	}
	s.good.Store(0) // it ended there
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := ask(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.logins.Load(); n != 2 {
		t.Errorf("eight who asked at once began %d sessions anew, not 1", n-1)
	}
	password = "changed" // who may not log in any more is not let in by the session of before
	if err := ask(); fault.Of(err) != fault.Denied || strings.Contains(err.Error(), "changed") || fault.HintOf(err) == "" {
		t.Errorf("another password: %v (%s)", err, fault.HintOf(err))
	}
}

// TestWhatAirflowGivesAsASessionIsNoHeader: nor is one without end asked for again and again.
func TestWhatAirflowGivesAsASessionIsNoHeader(t *testing.T) {
	for _, gives := range []string{"a\r\nX-Admin: 1", "a b", "\x00"} {
		c := clientOf(t, &server{password: "p", gives: gives}, func() string { return "ada:p" })
		if err := c.Get(t.Context(), "/assets", url.Values{}, nil); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "no session") {
			t.Errorf("%q: %v", gives, err)
		}
	}
	c := clientOf(t, &server{password: "p", gives: "never-good"}, func() string { return "ada:p" })
	if err := c.Get(t.Context(), "/assets", url.Values{}, nil); fault.Of(err) != fault.Denied {
		t.Errorf("a session that is good for nothing: %v", err)
	}
}

func TestAnAddressHoldsNoUser(t *testing.T) {
	for at, want := range map[string]fault.Kind{"https://ada:s3cr3t@airflow.example": fault.Denied, "airflow.example": fault.Invalid, "ftp://a": fault.Invalid, "http://[::1": fault.Invalid} {
		_, err := New(at, Options{Declared: "spec.trackers.airflow.url"})
		if fault.Of(err) != want || err == nil || strings.Contains(err.Error()+fault.HintOf(err), "s3cr3t") {
			t.Errorf("%s: %v (%s)", at, err, fault.HintOf(err))
		}
	}
}
