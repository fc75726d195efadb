// An S3 in this process, and somebody between a client and its server.

package peers

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// S3 is a server that keeps its buckets in memory; it makes one when it is asked for it,
// and believes every signature.
func S3() http.Handler {
	s := gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// It does not know If-Match.
		if want := r.Header.Get("If-Match"); want != "" && r.Method == http.MethodGet {
			is := httptest.NewRecorder()
			head := r.Clone(r.Context())
			head.Method = http.MethodHead
			head.Header.Del("Range")
			if s.ServeHTTP(is, head); is.Code == http.StatusOK && is.Header().Get("ETag") != want {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
		}
		s.ServeHTTP(w, r)
	})
}

// Proxy hands requests on as they are, signatures and all.
func Proxy(t testing.TB, endpoint string) http.Handler {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}
}

// Between stands before a server. Requests go through Meddle where there is one; it may
// answer by itself, or hand them on to next.
type Between struct {
	URL    string
	meddle atomic.Pointer[func(w http.ResponseWriter, r *http.Request, next http.Handler)]
}

// NewBetween listens for one test.
func NewBetween(t testing.TB, next http.Handler) *Between {
	t.Helper()
	b := &Between{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := b.meddle.Load(); f != nil {
			(*f)(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(srv.Close)
	b.URL = srv.URL
	return b
}

// Meddle sets what is done from now on; nil is nothing.
func (b *Between) Meddle(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	if f == nil {
		b.meddle.Store(nil)
		return
	}
	b.meddle.Store(&f)
}

// Cut is w whose connection breaks after n bytes of a body.
func Cut(w http.ResponseWriter, n int) http.ResponseWriter { return &cut{w, n} }

type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cut) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// Garble is r with one bit of it wrong.
func Garble(r io.ReadCloser) io.ReadCloser { return &garbled{ReadCloser: r} }

type garbled struct {
	io.ReadCloser
	done bool
}

func (g *garbled) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	if n > 0 && !g.done {
		p[n/2] ^= 1
		g.done = true
	}
	return n, err
}
