// What a registry and the way to it do wrong, and what comes of it.

package registry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// meddle is what somebody between does.
type meddle = func(w http.ResponseWriter, r *http.Request, next http.Handler)

// nth tells whether this is one of the first n requests of which pick is true.
func nth(n int32, pick func(r *http.Request) bool) func(r *http.Request) bool {
	var seen atomic.Int32
	return func(r *http.Request) bool { return pick(r) && seen.Add(1) <= n }
}

func asks(method, part string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && strings.Contains(r.URL.Path, part) }
}

// TestWhatARegistryDoesWrongPasses: it is asked again, and everything arrives.
func TestWhatARegistryDoesWrongPasses(t *testing.T) {
	answer := func(pick func(*http.Request) bool, code int, header ...string) meddle {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !pick(r) {
				next.ServeHTTP(w, r)
				return
			}
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			if code == http.StatusNotFound {
				fmt.Fprint(w, `{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "it was collected"}]}`)
			}
		}
	}
	cut := func(pick func(*http.Request) bool, n int) meddle {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if pick(r) {
				w = peers.Cut(w, n)
			}
			next.ServeHTTP(w, r)
		}
	}
	for name, f := range map[string]func() meddle{
		"too many requests":  func() meddle { return answer(nth(2, asks("", "")), 429, "Retry-After", "0") },
		"too many uploads":   func() meddle { return answer(nth(2, asks("POST", "uploads")), 429, "Retry-After", "0") },
		"broken uploads":     func() meddle { return answer(nth(2, asks("PUT", "uploads")), 500) },
		"broken downloads":   func() meddle { return answer(nth(3, asks("GET", "blobs")), 502) },
		"broken manifests":   func() meddle { return answer(nth(3, asks("PUT", "manifests")), 503) },
		"a token that ended": func() meddle { return answer(nth(1, asks("PUT", "uploads")), 401) },
		"parts that were collected": func() meddle {
			return answer(nth(2, asks("PUT", "manifests")), 404, "Content-Type", "application/json")
		},
		"downloads that are cut": func() meddle { return cut(nth(3, asks("GET", "blobs")), 300) },
		"manifests that are cut": func() meddle { return cut(nth(3, asks("GET", "manifests")), 30) },
		"uploads that are garbled": func() meddle {
			pick := nth(2, asks("PUT", "uploads"))
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if pick(r) {
					r.Body = peers.Garble(r.Body)
				}
				next.ServeHTTP(w, r)
			}
		},
		"no pieces, and cut": func() meddle {
			pick := nth(2, asks("GET", "blobs"))
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				r.Header.Del("Range")
				if pick(r) {
					w = peers.Cut(w, 700)
				}
				next.ServeHTTP(w, r)
			}
		},
		"uploads whose answer is lost": func() meddle {
			pick := nth(2, asks("PUT", "uploads"))
			return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if pick(r) {
					next.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				}
				next.ServeHTTP(w, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			b, p := atRegistry(t, between.URL, "team/vishwa"), noise(3500)
			between.Meddle(f())
			put(t, b, "k", p)
			between.Meddle(f()) // once more, for who reads
			if got, err := get(t, b, "k", port.All); err != nil || !bytes.Equal(got, p) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// TestWhatARegistryLiesAboutIsSeen: nothing that it says is believed without its digest.
func TestWhatARegistryLiesAboutIsSeen(t *testing.T) {
	rewrite := func(part string, change func(h http.Header, body []byte) []byte) meddle {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
				next.ServeHTTP(w, r)
				return
			}
			is := httptest.NewRecorder()
			next.ServeHTTP(is, r)
			body := change(is.Header(), bytes.Clone(is.Body.Bytes()))
			for k, v := range is.Header() {
				w.Header()[k] = v
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(is.Code)
			_, _ = w.Write(body)
		}
	}
	html := func(h http.Header, _ []byte) []byte {
		h.Set("Content-Type", "text/html; charset=utf-8")
		return []byte("<html>Please sign in, or tell us hunter2</html>")
	}
	for name, c := range map[string]struct {
		do   meddle
		want fault.Kind
	}{
		"other bytes":        {rewrite("/blobs/", func(_ http.Header, b []byte) []byte { b[len(b)/2] ^= 1; return b }), fault.Corrupt},
		"fewer bytes":        {rewrite("/blobs/", func(_ http.Header, b []byte) []byte { return b[1:] }), fault.Corrupt},
		"more bytes":         {rewrite("/blobs/", func(_ http.Header, b []byte) []byte { return append(b, 'x') }), fault.Corrupt},
		"a page for bytes":   {rewrite("/blobs/", html), fault.Corrupt},
		"a page":             {rewrite("/manifests/", html), fault.Invalid},
		"a changed manifest": {rewrite("/manifests/", func(_ http.Header, b []byte) []byte { return append(b, ' ') }), fault.Corrupt},
		"a manifest of its own": {rewrite("/manifests/", func(h http.Header, b []byte) []byte {
			h.Del("Docker-Content-Digest")
			return bytes.Replace(b, []byte(`"size":1000`), []byte(`"size":1001`), 1)
		}), fault.Corrupt},
		"another object's manifest": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = strings.Replace(r.URL.Path, "/vishwa.k", "/vishwa.other", 1)
			next.ServeHTTP(w, r)
		}, fault.Corrupt},
		"a huge manifest": {rewrite("/manifests/", func(h http.Header, b []byte) []byte {
			h.Del("Docker-Content-Digest")
			return append(b, bytes.Repeat([]byte(" "), 5<<20)...)
		}), fault.Corrupt},
		"a digest of its own": {rewrite("/manifests/", func(h http.Header, b []byte) []byte {
			h.Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
			return b
		}), fault.Corrupt},
		"no digest at all": {rewrite("/manifests/", func(h http.Header, b []byte) []byte {
			h.Set("Docker-Content-Digest", "hunter2")
			return b
		}), fault.Invalid},
		"another range": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				r.Header.Set("Range", "bytes=1-999")
			}
			next.ServeHTTP(w, r)
		}, fault.Corrupt},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			b := atRegistry(t, between.URL, "team/vishwa")
			put(t, b, "k", noise(2500))
			put(t, b, "other", []byte("other"))
			between.Meddle(c.do)
			got, err := get(t, b, "k", port.All)
			if err == nil || fault.Of(err) != c.want || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%d bytes, %v (%v), want %v", len(got), err, fault.Of(err), c.want)
			}
		})
	}
}

// TestWhatNoRegistryAnswersEnds: it is given up, in a few tries, with a kind and no secret.
func TestWhatNoRegistryAnswersEnds(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		body string
		want fault.Kind
		way  string
	}{
		"too many requests": {429, "", fault.Transient, "try again"},
		"broken":            {500, "<html>hunter2</html>", fault.Transient, "try again"},
		"no room":           {507, "", fault.Transient, "room"},
		"a page":            {200, "<html>hunter2</html>", fault.Invalid, "address"},
		"no such page":      {404, "<html>hunter2</html>", fault.Invalid, "address"},
		"no such name":      {404, `{"errors": [{"code": "NAME_UNKNOWN", "message": "hunter2"}]}`, fault.Missing, "make the repository"},
		"not you":           {403, `{"errors": [{"code": "DENIED", "message": "hunter2", "detail": "hunter2"}]}`, fault.Denied, "docker login"},
		"who are you":       {401, `{"errors": [{"code": "UNAUTHORIZED\u001b[1m"}]}`, fault.Denied, "docker login"},
		"too large":         {413, "", fault.Invalid, "MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			between := peers.NewBetween(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				if r.Method == http.MethodHead {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.body)
			}))
			b := atRegistry(t, between.URL, "team/vishwa")
			_, err := b.Put(t.Context(), "k", strings.NewReader("x"), 1)
			if fault.Of(err) != c.want || err == nil || !strings.Contains(fault.HintOf(err), c.way) || strings.ContainsAny(err.Error(), "\x1b<") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v (%v; %s), want %v", err, fault.Of(err), fault.HintOf(err), c.want)
			}
			if n.Load() > 80 {
				t.Errorf("%d requests", n.Load())
			}
		})
	}
}

// TestWhatArrivedIsNotSentAgain: by another process, after the first was killed.
func TestWhatArrivedIsNotSentAgain(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	var sent atomic.Int64
	var parts atomic.Int32
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "uploads") && parts.Add(1) > 6 {
			w.WriteHeader(http.StatusForbidden) // as good as killed
			return
		}
		next.ServeHTTP(w, r)
	})
	p := noise(20_000)
	killed := atRegistry(t, between.URL, "x").(*repository)
	if _, err := killed.Put(t.Context(), "k", bytes.NewReader(p), int64(len(p))); err == nil {
		t.Fatal("it was not cut off")
	}
	arrived := int64(0)
	for i := range int64(20) {
		part, err := described(t.Context(), io.NewSectionReader(bytes.NewReader(p), 1000*i, 1000))
		if err != nil {
			t.Fatal(err)
		}
		if there, err := killed.has(t.Context(), "k", part); err != nil {
			t.Fatal(err)
		} else if there {
			arrived += 1000
		}
	}
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "uploads") {
			sent.Add(r.ContentLength)
		}
		next.ServeHTTP(w, r)
	})
	b := atRegistry(t, between.URL, "x")
	put(t, b, "k", p)
	if n := sent.Load(); arrived == 0 || n > 20_000+2-arrived {
		t.Errorf("%d bytes were sent of 20000, of which %d had arrived", n, arrived)
	}
	sent.Store(0)
	put(t, b, "twin", p)
	if n := sent.Load(); n != 0 {
		t.Errorf("%d bytes were sent that are there under another name", n)
	}
}

// TestTwoWhoPutAtOnceMixNothing: one of them is there, whole.
func TestTwoWhoPutAtOnceMixNothing(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	one, other := noise(4000), bytes.Repeat([]byte("other"), 900)
	for range 10 {
		var g errgroup.Group
		for _, p := range [][]byte{one, other, one, other} {
			b := atRegistry(t, between.URL, "x")
			g.Go(func() error {
				_, err := b.Put(t.Context(), "k", bytes.NewReader(p), int64(len(p)))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if got, err := get(t, atRegistry(t, between.URL, "x"), "k", port.All); err != nil || !bytes.Equal(got, one) && !bytes.Equal(got, other) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

// TestBytesThatChangeAreNotKept: what is put is what was read once.
func TestBytesThatChangeAreNotKept(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	b := atRegistry(t, between.URL, "x")
	if _, err := b.Put(t.Context(), "k", strings.NewReader("short"), 2000); fault.Of(err) != fault.Conflict || err == nil {
		t.Errorf("%v, want Conflict", err)
	}
	_, err := b.Put(t.Context(), "k", &shifting{}, 500)
	if _, missing := b.Stat(t.Context(), "k"); err == nil || fault.Of(missing) != fault.Missing {
		t.Errorf("%v; %v", err, missing)
	}
}

// shifting is other bytes each time.
type shifting struct{ n atomic.Int32 }

func (s *shifting) ReadAt(p []byte, _ int64) (int, error) {
	for i := range p {
		p[i] = byte(s.n.Load())
	}
	s.n.Add(1)
	return len(p), nil
}

// TestTagsInNoOrderAreSorted: a registry that lists them as it likes, and does not know
// where to begin.
func TestTagsInNoOrderAreSorted(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string // on two pages
		late bool     // it is found out when some were told of
	}{
		"at the first page":  {[]string{"c/5", "b/1", "c/9", "c/4", "a", "c/7"}, false},
		"at the second page": {[]string{"b/1", "c/5", "c/9", "c/4", "a", "c/7"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			between := peers.NewBetween(t, registrytest.Memory())
			b := atRegistry(t, between.URL, "x")
			var tags []string
			for _, k := range c.keys {
				put(t, b, k, []byte(k))
				tag, err := tagOf(k)
				if err != nil {
					t.Fatal(err)
				}
				tags = append(tags, strconv.Quote(tag))
			}
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				switch {
				case !asks("GET", "/tags/")(r):
					next.ServeHTTP(w, r)
				case r.URL.Query().Get("page") == "":
					w.Header().Set("Link", `</v2/x/tags/list?page=2>; rel="next"`)
					fmt.Fprintf(w, `{"name": "x", "tags": [%s]}`, strings.Join(tags[:3], ","))
				default:
					fmt.Fprintf(w, `{"name": "x", "tags": [%s]}`, strings.Join(tags[3:], ","))
				}
			})
			list := func() (got []string, err error) {
				for o, err := range b.List(t.Context(), "c/") {
					if err != nil {
						return got, err
					}
					got = append(got, o.Key)
				}
				return got, nil
			}
			if c.late {
				if got, err := list(); fault.Of(err) != fault.Transient || err == nil {
					t.Errorf("%q, %v", got, err)
				}
			}
			if got, err := list(); err != nil || !slices.Equal(got, []string{"c/4", "c/5", "c/7", "c/9"}) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestARegistryThatDeletesNothingIsSaid.
func TestARegistryThatDeletesNothingIsSaid(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	b := atRegistry(t, between.URL, "x")
	put(t, b, "k", []byte("x"))
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusMethodNotAllowed)
			_, _ = io.WriteString(w, `{"errors": [{"code": "UNSUPPORTED"}]}`)
			return
		}
		next.ServeHTTP(w, r)
	})
	if err := b.Delete(t.Context(), "k"); fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "allow it") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
