// What a web server, or somebody between, must not be able to do.

package source

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
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
		_, err := webSource(t, "http://"+c.host+port+"/x", Options{Allow: c.allow}).Inspect(t.Context())
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
	_, err := webSource(t, listener.URL, Options{Allow: loopback}).Inspect(t.Context())
	if fault.Of(err) == fault.Denied || err == nil { // localhost is at an allowed address
		t.Errorf("an allowed address was refused: %v", err)
	}
	outer := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inner, http.StatusFound) })
	_, err = webSource(t, outer, Options{Allow: loopback}).Inspect(t.Context())
	wantKind(t, err, fault.Denied)
	if asked.Load() != 0 {
		t.Error("what is not allowed was asked")
	}

	// The allowance is for declarations of allowed hosts: a stranger's redirect has none.
	g, err := dial.NewGuard("stranger.example", []string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Dial(t.Context(), "tcp", strings.TrimPrefix(outer, "http://"))
	if err == nil || !strings.Contains(err.Error(), "not a public address") {
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
		_, err := webSource(t, url+"/0", Options{Allow: loopback}).Inspect(t.Context())
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
		if _, err := s.Inspect(t.Context()); err != nil {
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
	_, err = s.Inspect(t.Context())
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
		_, err := webSource(t, serve(t, h)+"/x?sig=s3cr3t#s3cr3t", Options{Allow: loopback}).Inspect(t.Context())
		if err == nil || strings.Contains(err.Error()+fault.HintOf(err), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: "https://user:s3cr3t@host/x"}}, Options{})
	if fault.Of(err) != fault.Invalid || err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a password in the address: %v", err)
	}
}
