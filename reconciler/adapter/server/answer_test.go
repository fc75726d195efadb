package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// written is a listener whose connections count what is written to them.
type written struct {
	net.Listener
	n atomic.Int64
}

func (w *written) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return &writtenConn{c, &w.n}, err
}

type writtenConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *writtenConn) Write(b []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(b)
}

// fronting is a proxy, its requests divided between two processes that answer so.
func fronting(t testing.TB, answer http.HandlerFunc) (string, *written) {
	t.Helper()
	g := newGate()
	var units []*instance
	for i := range 2 {
		back := httptest.NewServer(answer)
		t.Cleanup(back.Close)
		u := &instance{gate: g}
		g.seat(u, newBackend(back.Listener.Addr().String(), digest.Of(fmt.Append(nil, i)), "", (&net.Dialer{}).DialContext))
		units = append(units, u)
	}
	g.point(units[0])
	g.split([]part{{units[1], armCanary, 50}})
	front := httptest.NewUnstartedServer(newProxy(g, func() time.Duration { return time.Second }, func() (time.Duration, Limits) { return time.Minute, Limits{}.filled() }, testEnv().Log))
	w := &written{Listener: front.Listener}
	front.Listener = w
	front.Start()
	t.Cleanup(front.Close)
	return front.URL, w
}

// TestAnAnswerThatIsThereIsSentByOneWrite: a client has it whole at its first look, and nothing of it is waited for.
func TestAnAnswerThatIsThereIsSentByOneWrite(t *testing.T) {
	at, w := fronting(t, func(rw http.ResponseWriter, r *http.Request) { _, _ = io.Copy(rw, r.Body) })
	const asked = 200
	for i := range asked {
		a, err := http.Post(at, "application/json", strings.NewReader(strings.Repeat("x", i)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || len(body) != i {
			t.Fatalf("%d bytes of %d: %v", len(body), i, err)
		}
	}
	if n := w.n.Load(); n > asked+asked/10 { // on a machine that is busy a part may wait for longer than it should
		t.Errorf("%d answers were sent by %d writes", asked, n)
	}
}

// TestAnAnswerStreamsWhetherItsLengthIsKnownOrNot: each part comes while the next one is not there yet.
func TestAnAnswerStreamsWhetherItsLengthIsKnownOrNot(t *testing.T) {
	for name, length := range map[string]string{"known": "6", "not known": "", "of events": ""} {
		next := make(chan struct{})
		at, _ := fronting(t, func(rw http.ResponseWriter, _ *http.Request) {
			if length != "" {
				rw.Header().Set("Content-Length", length)
			}
			if name == "of events" {
				rw.Header().Set("Content-Type", "text/event-stream")
			}
			rw.WriteHeader(http.StatusOK)
			for range 3 {
				_ = http.NewResponseController(rw).Flush() // the first time of the headers alone
				<-next
				fmt.Fprint(rw, "a\n")
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r) // returns with the headers
		if err != nil {
			t.Fatalf("length %s: %v", name, err)
		}
		lines := bufio.NewReader(a.Body)
		for i := range 3 {
			next <- struct{}{}
			if i == 2 {
				close(next)
			}
			if line, err := lines.ReadString('\n'); err != nil || line != "a\n" {
				t.Errorf("length %s: part %d: %q, %v", name, i, line, err)
			}
		}
		a.Body.Close()
		cancel()
	}
}

// BenchmarkAnswer counts what one answer takes that is divided: allocations of client, proxy and server together.
func BenchmarkAnswer(b *testing.B) {
	at, w := fronting(b, func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(rw, `{"outputs":[{"name":"probability","shape":[1],"datatype":"FP64","data":[0.25]}]}`)
	})
	b.ReportAllocs()
	for b.Loop() {
		a, err := http.Post(at, "application/json", strings.NewReader(`{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[12.5]}]}`))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		a.Body.Close()
	}
	b.ReportMetric(float64(w.n.Load())/float64(b.N), "writes/op")
}
