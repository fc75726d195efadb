// What a web server, or somebody between, must not be able to do.
package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.Of(err) != want {
		t.Errorf("got error %v of kind %v, want %v", err, fault.Of(err), want)
	}
}

func tagged(h http.Header, b []byte) { h.Set("ETag", `"`+tag(b)+`"`) }

func TestOnlyPublicAddressesAreReached(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700::1111": true, "64:ff9b::808:808": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "169.254.170.2": false, "fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
		"fe80::1": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "::7f00:1": false,
		"2002:7f00:1::": false, "2001::1": false, "fec0::1": false, "192.0.2.1": false, "2001:db8::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: public %v, want %v", address, got, want)
		}
	}
}

func TestWhatIsDialledCountsAndNotTheName(t *testing.T) {
	var asked atomic.Int64
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	port := url[strings.LastIndex(url, ":"):]
	for name, c := range map[string]struct {
		host  string
		allow []string
		want  fault.Kind
	}{
		"an address":               {"127.0.0.1", nil, fault.Denied},
		"a name that leads there":  {"localhost", nil, fault.Denied},
		"a number":                 {"2130706433", nil, fault.Denied},
		"another spelling":         {"[::ffff:127.0.0.1]", nil, fault.Denied},
		"another name is allowed":  {"127.0.0.1", []string{"localhost", "10.0.0.0/8"}, fault.Denied},
		"no authority in a prefix": {"127.0.0.1", []string{"127.0.0.2/32"}, fault.Denied},
	} {
		_, err := webSource(t, "http://"+c.host+port+"/x", Options{Allow: c.allow}).Look(t.Context())
		if k := fault.Of(err); err == nil || k != c.want && (c.host != "2130706433" || k != fault.Transient) { // no resolver need take it for an address
			t.Errorf("%s: got %v of kind %v, want %v", name, err, k, c.want)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	if _, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: "http://h/x"}}, Options{Allow: []string{"10.0.0.0/99"}}); fault.Of(err) != fault.Invalid {
		t.Errorf("a network that is none was taken: %v", err)
	}
}

func TestARedirectReachesNothingPrivate(t *testing.T) {
	var asked atomic.Int64
	inner := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("ETag", `"x"`)
	})
	inner = strings.Replace(inner, "127.0.0.1", "127.0.0.2", 1)
	listener := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost:1/latest/meta-data", http.StatusFound)
	}))
	listener.Start()
	t.Cleanup(listener.Close)
	_, err := webSource(t, listener.URL, Options{Allow: loopback}).Look(t.Context())
	if fault.Of(err) == fault.Denied || err == nil { // localhost is at an allowed address
		t.Errorf("an allowed address was refused: %v", err)
	}
	outer := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner, http.StatusFound) })
	_, err = webSource(t, outer, Options{Allow: loopback}).Look(t.Context())
	wantKind(t, err, fault.Denied)
	if asked.Load() != 0 {
		t.Error("what is not allowed was asked")
	}

	// The allowance is for declarations of allowed hosts: a stranger's redirect has none.
	g, err := newGuard("stranger.example", []string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.dial(t.Context(), "tcp", strings.TrimPrefix(outer, "http://"))
	if err == nil || !strings.Contains(err.Error(), "no public address") {
		t.Errorf("a stranger's redirect was followed inside: %v", err)
	}
}

func TestTenRedirectsAreFollowedAndNotEleven(t *testing.T) {
	for n, want := range map[int]bool{0: true, 1: true, 10: true, 11: false, 1000: false} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			var at int
			_, _ = fmt.Sscanf(r.URL.Path, "/%d", &at)
			if at < n {
				http.Redirect(w, r, fmt.Sprintf("/%d", at+1), http.StatusFound)
				return
			}
			w.Header().Set("ETag", `"x"`)
		})
		_, err := webSource(t, url+"/0", Options{Allow: loopback}).Look(t.Context())
		if want != (err == nil) || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%d redirects: %v", n, err)
		}
	}
}

func TestTheTokenIsForItsHostAlone(t *testing.T) {
	var mu sync.Mutex
	var heard []string
	note := func(where string, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for _, v := range []string{r.Header.Get("Authorization"), r.Header.Get("Referer"), r.Header.Get("Cookie")} {
			if v != "" {
				heard = append(heard, where+" "+v)
			}
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note("other", r)
		w.Header().Set("ETag", `"x"`)
	}))
	t.Cleanup(other.Close)
	elsewhere := map[string]string{
		"another port": other.URL, "a password": strings.Replace(other.URL, "://", "://user:pw@", 1), "another name": strings.Replace(other.URL, "127.0.0.1", "localhost", 1),
	}
	for name, target := range elsewhere {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer t0k3n" {
				t.Error("the host itself did not hear the token")
			}
			http.Redirect(w, r, target+"/?sig=1", http.StatusTemporaryRedirect)
		}))
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		s, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: server.URL + "/x?sig=s3cr3t", Token: "T"}},
			Options{Allow: []string{"127.0.0.0/8", "::1", "localhost"}, Roots: roots, Env: env(map[string]string{"T": "t0k3n"})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Look(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(heard) > 0 {
		t.Errorf("another host heard %q", heard)
	}
}

func TestATokenThatIsNotSetIsDenied(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was asked without its token") })
	s, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: url, Token: "NOT_SET"}}, Options{Allow: loopback})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Look(t.Context())
	wantKind(t, err, fault.Denied)
	if err != nil && !strings.Contains(err.Error(), "NOT_SET") {
		t.Errorf("the error does not name the variable: %v", err)
	}
}

func TestNoErrorTellsAnAddressWhole(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a redirect that cannot be read": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://h:s3cr3t/%zz?sig=s3cr3t")
			w.WriteHeader(http.StatusFound)
		},
		"a redirect to another protocol": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "ftp://s3cr3t@h/s3cr3t", http.StatusFound)
		},
		"an answer that is none": func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(c, "s3cr3t\r\n\r\n")
				c.Close()
			}
		},
		"a status": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "s3cr3t", http.StatusTeapot) },
	} {
		_, err := webSource(t, serve(t, h)+"/x?sig=s3cr3t#s3cr3t", Options{Allow: loopback}).Look(t.Context())
		if err == nil || strings.Contains(err.Error()+fault.Way(err), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: "https://user:s3cr3t@host/x"}}, Options{})
	if fault.Of(err) != fault.Invalid || err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a password in the address: %v", err)
	}
}

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
	look, err := s.Look(t.Context())
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
	look, err := s.Look(t.Context())
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
		look, err := s.Look(t.Context())
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
		look, err := s.Look(t.Context())
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
	look, err := s.Look(t.Context())
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
		look, err := s.Look(t.Context())
		if err != nil || len(look.Files) != 1 || look.Files[0].Size != 3 || look.Files[0].Path != "data" {
			t.Errorf("HEAD answers %d: %+v %v", status, look, err)
		}
		if s := webSource(t, url, Options{Allow: loopback, Last: look.Token}); err == nil {
			if look, _ = s.Look(t.Context()); look.Moved {
				t.Errorf("HEAD answers %d: the same data has moved", status)
			}
		}
	}
}
