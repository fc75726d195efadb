// Places that can be made to fail, for the laws of sources.

package source

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/schemas"
)

// trouble is what a place can be made to do.
type trouble struct {
	mu     sync.Mutex
	cut    int
	status int
	hang   chan struct{}
}

func (w *trouble) now() (cut, status int, hang chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut, w.status, w.hang
}

func (w *trouble) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// into has the suite make trouble.
func (w *trouble) into(s porttest.Sourced) porttest.Sourced {
	w.cut = -1
	s.Cut = func(n int) { w.set(func() { w.cut = n }) }
	s.Answer = func(status int) { w.set(func() { w.status = status }) }
	s.Hang = func() func() {
		until := make(chan struct{})
		w.set(func() { w.hang = until })
		return func() { close(until); w.set(func() { w.hang = nil }) }
	}
	return s
}

// site is a web server with one file.
type site struct {
	trouble
	data []byte
	head func(http.Header, []byte) // names the bytes
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cut, status, hang := s.now()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
		return
	}
	if status != 0 {
		w.WriteHeader(status)
		fmt.Fprint(w, "s3cr3t")
		return
	}
	s.mu.Lock()
	data := s.data
	s.mu.Unlock()
	if data == nil {
		http.NotFound(w, r)
		return
	}
	s.head(w.Header(), data)
	if cut >= 0 && r.Method == http.MethodGet {
		w = peers.Cut(w, cut)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func tag(b []byte) string { h := md5.Sum(b); return hex.EncodeToString(h[:]) }

func env(vars map[string]string) port.Env {
	return port.Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

var loopback = []string{"127.0.0.1"}

func webSource(t *testing.T, url string, o Options) port.Source {
	t.Helper()
	s, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: url}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// b0 makes a date of content.
func b0(b []byte) uint32 {
	h := md5.Sum(b)
	return uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
}

// troubled puts trouble before a bucket.
type troubled struct {
	port.Bucket
	*trouble
}

func (o *troubled) ahead(ctx context.Context) error {
	_, status, hang := o.now()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
		}
	}
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "ask: %w", ctx.Err())
	case status == 401, status == 403:
		return fault.New(fault.Denied, "status %d", status)
	case status != 0:
		return fault.New(fault.Transient, "status %d", status)
	}
	return nil
}

func (o *troubled) Stat(ctx context.Context, key string) (port.Object, error) {
	if err := o.ahead(ctx); err != nil {
		return port.Object{}, err
	}
	return o.Bucket.Stat(ctx, key)
}

func (o *troubled) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	if err := o.ahead(ctx); err != nil {
		return nil, port.Object{}, err
	}
	body, at, err := o.Bucket.Get(ctx, key, r)
	if cut, _, _ := o.now(); err == nil && cut >= 0 {
		body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(body, int64(cut)), broken{}), body}
	}
	return body, at, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fault.New(fault.Transient, "cut") }

// folder is a bucket on disk whose tags move with every Put.
func folder(t *testing.T) (port.Bucket, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

var ticks atomic.Int64

func put(t *testing.T, b port.Bucket, dir, key string, data []byte) {
	t.Helper()
	if data == nil {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := b.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if dir == "" {
		return
	}
	clock := time.Unix(1_600_000_000+ticks.Add(1), 0) // two writes may fall in one tick of the file system's
	if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(key)), clock, clock); err != nil {
		t.Fatal(err)
	}
}

func s3Source(t *testing.T, url string, at port.Objects) port.Source {
	t.Helper()
	s, err := Open(schemas.DataSource{S3: &schemas.S3{URL: url}}, Options{Bucket: func(schemas.S3) (port.Objects, error) { return at, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (o *troubled) List(ctx context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		if err := o.ahead(ctx); err != nil {
			yield(port.Object{}, err)
			return
		}
		o.Bucket.List(ctx, prefix)(yield)
	}
}

// changing is a tree that can be replaced, and whose files can be cut and hang.
type changing struct {
	trouble
	files fstest.MapFS
}

func (c *changing) Open(name string) (fs.File, error) {
	cut, _, hang := c.now()
	c.mu.Lock()
	files := c.files
	c.mu.Unlock()
	f, err := files.Open(name)
	if st, serr := fs.Stat(files, name); err != nil || serr != nil || st.IsDir() {
		return f, err
	}
	switch {
	case hang != nil:
		return struct{ fs.File }{&slow{f}}, nil
	case cut >= 0:
		return &cutFile{f, cut}, nil
	}
	return f, nil
}

// slow is a file that takes all day.
type slow struct{ fs.File }

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.File.Read(p[:1])
}

type cutFile struct {
	fs.File
	left int
}

func (c *cutFile) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.File.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// pointed is a tree whose pointer names data in a bucket.
func pointed(t *testing.T, b port.Bucket, data []byte) fstest.MapFS {
	t.Helper()
	if data == nil {
		return fstest.MapFS{}
	}
	oid := dvc.OID(tag(data))
	put(t, b, "", oid.Key(), data)
	return fstest.MapFS{"raw/data.csv.dvc": {Data: fmt.Appendf(nil, "outs:\n- md5: %s\n  size: %d\n  hash: md5\n  path: data.csv\n", oid, len(data))}}
}
