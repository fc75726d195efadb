// Bodies that are cut, changed, shifted or packed on their way.

package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// metered counts the bytes of bodies, and remembers what was asked for.
type metered struct {
	site
	sent   atomic.Int64
	ranges []string
}

func (m *metered) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if v := r.Header.Get("Range"); v != "" {
		m.set(func() { m.ranges = append(m.ranges, v+" if "+r.Header.Get("If-Range")) })
	}
	m.site.ServeHTTP(&counted{w, &m.sent}, r)
}

type counted struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

func (c *counted) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

func TestACutBodyGoesOnWhereItWas(t *testing.T) {
	const size = 5 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	m := &metered{site: site{head: tagged, data: data}}
	m.cut = 2 << 20
	server := httptest.NewServer(m)
	defer server.Close()
	s := webSource(t, server.URL+"/data", Options{Allow: loopback})
	look, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Fetch(t.Context(), look, dir, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "data")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("fetched something else: %v", err)
	}
	if n := m.sent.Load(); n > size+size/10 {
		t.Errorf("%d bytes were sent of %d", n, size)
	}
	if len(m.ranges) != 2 || !strings.Contains(m.ranges[0], `if "`+tag(data)) {
		t.Errorf("asked for %q, want two ranges bound to the tag", m.ranges)
	}
}

func TestTheNextFetchGoesOnWhereTheLastWasStopped(t *testing.T) {
	const size = 8 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	m := &metered{site: site{head: tagged, data: data}}
	m.cut = -1
	server := httptest.NewServer(m)
	defer server.Close()
	s := webSource(t, server.URL+"/data", Options{Allow: loopback})
	look, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Fetch(ctx, look, dir, func(done, _ int64) {
		if done >= size/2 {
			cancel()
		}
	})
	wantKind(t, err, fault.Cancelled)
	var began int64 = -1
	if err := s.Fetch(t.Context(), look, dir, func(done, _ int64) {
		if began < 0 {
			began = done
		}
	}); err != nil {
		t.Fatal(err)
	}
	if began < size/2 {
		t.Errorf("the second began at %d, want at least %d", began, size/2)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "data")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("fetched something else: %v", err)
	}
}

func TestTwoContentsAreNeverMixed(t *testing.T) {
	old, young := bytes.Repeat([]byte("a"), 1<<20), bytes.Repeat([]byte("b"), 1<<20)
	for name, head := range map[string]func(http.Header, []byte){"tagged": tagged, "bare": func(http.Header, []byte) {}} {
		w := &site{head: head, data: old}
		w.cut = -1
		server := httptest.NewServer(w)
		s := webSource(t, server.URL+"/data", Options{Allow: loopback})
		look, err := s.Inspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.set(func() { w.cut = 1 << 19 })
		dir := t.TempDir()
		err = s.Fetch(t.Context(), look, dir, func(int64, int64) { w.set(func() { w.data, w.cut = young, -1 }) })
		if k := fault.Of(err); k != fault.Conflict {
			t.Errorf("%s: got %v of kind %v, want %v", name, err, k, fault.Conflict)
		}
		if _, err := os.Lstat(filepath.Join(dir, "data")); err == nil {
			t.Errorf("%s: half of each stands in the folder", name)
		}
		server.Close()
	}
}

func TestARangeThatIsAnotherIsRefused(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 1<<20)
	var lie atomic.Value
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tagged(w.Header(), data)
		if r.Header.Get("Range") == "" {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			if r.Method == http.MethodGet {
				_, _ = w.Write(data[:1<<19])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			return
		}
		w.Header().Set("Content-Range", lie.Load().(string))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[1<<19:])
	})
	for span, want := range map[string]fault.Kind{
		"bytes 0-524287/1048576": fault.Corrupt, "bytes 524289-1048575/1048576": fault.Corrupt, "bytes 524288-2097151/2097152": fault.Conflict, "nonsense": fault.Corrupt, "": fault.Corrupt,
	} {
		lie.Store(span)
		s := webSource(t, url, Options{Allow: loopback})
		look, err := s.Inspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Fetch(t.Context(), look, t.TempDir(), nil); fault.Of(err) != want || err == nil {
			t.Errorf("%q: got %v of kind %v, want %v", span, err, fault.Of(err), want)
		}
	}
}

func TestGzipStaysAsItIs(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("a,b\n1,2\n"))
	z.Close()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"z"`)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", fmt.Sprint(packed.Len()))
		if r.Method == http.MethodGet {
			_, _ = w.Write(packed.Bytes())
		}
	})
	s := webSource(t, url+"/data.csv.gz", Options{Allow: loopback})
	look, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Fetch(t.Context(), look, dir, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "data.csv.gz")); !bytes.Equal(got, packed.Bytes()) {
		t.Errorf("fetched %d bytes, want the %d that are sent", len(got), packed.Len())
	}
}

func TestAServerWithoutHEADIsLookedAt(t *testing.T) {
	for _, status := range []int{403, 404, 405, 501} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("ETag", `"x"`)
			fmt.Fprint(w, "abc")
		})
		s := webSource(t, url, Options{Allow: loopback})
		look, err := s.Inspect(t.Context())
		if err != nil || len(look.Files) != 1 || look.Files[0].Size != 3 || look.Files[0].Path != "data" {
			t.Errorf("HEAD answers %d: %+v %v", status, look, err)
		}
		if s := webSource(t, url, Options{Allow: loopback, Last: look.Token}); err == nil {
			if look, _ = s.Inspect(t.Context()); look.Changed {
				t.Errorf("HEAD answers %d: the same data has moved", status)
			}
		}
	}
}
