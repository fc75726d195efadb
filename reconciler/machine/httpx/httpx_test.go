// What a server's bad hours become: asked again where that is safe, waited out where it
// says so, and an error of the right kind without a secret where neither helps.

package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// server answers with one of answers after the other, the last again and again.
func server(t *testing.T, answers ...func(http.ResponseWriter, *http.Request)) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := int(asked.Add(1))
		answers[min(n, len(answers))-1](w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestWhatIsSafeIsAskedAgainAndLimitsAreWaitedOut(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		method  string
		answers []func(http.ResponseWriter, *http.Request)
		code    int // 0: an error
		asked   int
		waited  time.Duration
	}{
		"a GET that is cut off":         {"GET", []func(http.ResponseWriter, *http.Request){cut, status(200)}, 200, 2, 250 * time.Millisecond},
		"a GET that is answered by 503": {"GET", []func(http.ResponseWriter, *http.Request){status(503), status(200)}, 200, 2, 250 * time.Millisecond},
		"a GET that goes on failing":    {"GET", []func(http.ResponseWriter, *http.Request){status(500)}, 500, 4, 1750 * time.Millisecond},
		"a POST that is cut off":        {"POST", []func(http.ResponseWriter, *http.Request){cut, status(200)}, 0, 1, 0},
		"a POST that a limit turned away": {"POST", []func(http.ResponseWriter, *http.Request){status(429, "Retry-After", "7"), status(200)}, 200, 2,
			7 * time.Second},
		"a limit until a date": {"GET", []func(http.ResponseWriter, *http.Request){status(429, "Retry-After", now.Add(9*time.Second).Format(http.TimeFormat)), status(200)}, 200, 2,
			9 * time.Second},
		"a limit without end":    {"GET", []func(http.ResponseWriter, *http.Request){status(429, "Retry-After", "99999999999999")}, 0, 1, 0},
		"limits again and again": {"GET", []func(http.ResponseWriter, *http.Request){status(429, "Retry-After", "1")}, 429, 6, 5 * time.Second},
		"what is not there":      {"GET", []func(http.ResponseWriter, *http.Request){status(404)}, 404, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			url, asked := server(t, c.answers...)
			var waited time.Duration
			client := &http.Client{Transport: &Retry{Next: &http.Transport{DisableKeepAlives: true}, Who: "it", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), Limit: time.Minute,
				Sleep: func(_ context.Context, d time.Duration) error { waited += d; return nil }}}
			req, err := http.NewRequest(c.method, url, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			code := 0
			if err == nil {
				code = resp.StatusCode
				resp.Body.Close()
			}
			if code != c.code || int(asked.Load()) != c.asked || waited != c.waited {
				t.Errorf("code %d, want %d; asked %d times, want %d; waited %s, want %s (%v)", code, c.code, asked.Load(), c.asked, waited, c.waited, err)
			}
		})
	}
}

func TestWhatDidNotChangeIsNotSentAgainAndNotToOthers(t *testing.T) {
	var sent atomic.Int64
	url, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent.Add(1)
		fmt.Fprint(w, "for "+r.Header.Get("Authorization"))
	})
	client := &http.Client{Transport: &Cache{Next: http.DefaultTransport}}
	for _, who := range []string{"alice", "alice", "bob", "alice", "bob"} {
		req, _ := http.NewRequest("GET", url, nil)
		req.Header.Set("Authorization", who)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(body) != "for "+who {
			t.Errorf("%s is answered %d %q", who, resp.StatusCode, body)
		}
	}
	if sent.Load() != 2 {
		t.Errorf("sent %d times, want 2", sent.Load())
	}
}

func TestAFailureHasAKindAndNoSecret(t *testing.T) {
	plain, _ := server(t, cut)
	safe := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	safe.Config.ErrorLog = log.New(io.Discard, "", 0)
	safe.StartTLS()
	t.Cleanup(safe.Close)
	ended, stop := context.WithCancel(t.Context())
	stop()
	for name, c := range map[string]struct {
		ctx  context.Context
		url  string
		want fault.Kind
	}{
		"cut off":            {t.Context(), plain, fault.Transient},
		"not trusted":        {t.Context(), safe.URL, fault.Denied},
		"nobody there":       {t.Context(), "http://127.0.0.1:1", fault.Transient},
		"no such host":       {t.Context(), "http://nowhere.invalid", fault.Transient},
		"the caller gave up": {ended, plain, fault.Cancelled},
	} {
		req, _ := http.NewRequestWithContext(c.ctx, "GET", c.url+"/?token=hunter2", nil)
		_, err := (&http.Client{Transport: Transport(Options{})}).Do(req)
		got := Failed(c.ctx, err)
		if fault.Of(got) != c.want || strings.Contains(got.Error(), "hunter2") {
			t.Errorf("%s: %s: %v", name, fault.Of(got), got)
		}
	}
	known := fault.WithHint(fault.New(fault.Held, "not yet"), "wait")
	if got := Failed(t.Context(), fmt.Errorf("get: %w", known)); fault.Of(got) != fault.Held || fault.HintOf(got) != "wait" {
		t.Errorf("what has a kind becomes %v", got)
	}
	if !Untrusted(fmt.Errorf("x: %w", &tls.CertificateVerificationError{Err: errors.New("y")})) || Untrusted(io.EOF) {
		t.Error("a certificate that does not hold is not told from a line that does not")
	}
}

func TestAStatusHasAKind(t *testing.T) {
	for code, want := range map[int]fault.Kind{
		400: fault.Invalid, 401: fault.Denied, 403: fault.Denied, 404: fault.Missing, 407: fault.Denied, 408: fault.Transient, 409: fault.Conflict,
		410: fault.Missing, 412: fault.Conflict, 416: fault.Conflict, 418: fault.Invalid, 425: fault.Transient, 429: fault.Transient, 500: fault.Transient, 503: fault.Transient,
	} {
		if got := KindOf(code); got != want {
			t.Errorf("%d is %s, want %s", code, got, want)
		}
	}
}
