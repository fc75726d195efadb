// A registry, and what it leads to, gets no credentials but its own, and none in clear.

package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// listener is a server that notes what it is asked, and what comes with it.
type listener struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

func (l *listener) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.heard, "\n")
}

func listen(t *testing.T, secure bool, answer http.Handler) *listener {
	t.Helper()
	l := &listener{}
	l.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.heard = append(l.heard, fmt.Sprintf("%s %s %s", r.Method, r.URL, r.Header.Get("Authorization")))
		l.mu.Unlock()
		answer.ServeHTTP(w, r)
	}))
	l.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if secure {
		l.StartTLS()
	} else {
		l.Start()
	}
	t.Cleanup(l.Close)
	return l
}

// trusting is an environment that trusts a server's certificate, with its password.
func trusting(t *testing.T, at *listener) func(*Options) {
	t.Helper()
	set := map[string]string{"VISHWA_OCI_REGISTRY": at.Listener.Addr().String(), "VISHWA_OCI_USERNAME": "vera", "VISHWA_OCI_PASSWORD": "hunter2"}
	if at.Certificate() != nil {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: at.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		set["VISHWA_OCI_CA_FILE"] = file
	}
	secure := at.Certificate() == nil
	return func(o *Options) {
		vars(set)(o)
		o.PlainHTTP = &secure
	}
}

var basic = "Basic " + base64.StdEncoding.EncodeToString([]byte("vera:hunter2"))

// challenged asks for a token of realm before it lets anybody to next.
func challenged(realm func() string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="registry"`, realm()))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// TestATokenIsAskedFor: with the password at the realm, and with the token at the registry,
// over TLS and on this machine without.
func TestATokenIsAskedFor(t *testing.T) {
	for name, secure := range map[string]bool{"TLS": true, "this machine": false} {
		t.Run(name, func(t *testing.T) {
			tokens := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != basic || !strings.Contains(r.URL.Query().Get("scope"), "repository:team/vishwa:pull") {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				fmt.Fprint(w, `{"token": "good"}`)
			})
			var at *listener
			registry := challenged(func() string { return at.URL + "/token" }, registrytest.Memory())
			at = listen(t, secure, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					tokens.ServeHTTP(w, r)
					return
				}
				registry.ServeHTTP(w, r)
			}))
			b := atRegistry(t, at.URL, "team/vishwa", trusting(t, at))
			put(t, b, "k", noise(3000))
			if got, err := get(t, b, "k", port.All); err != nil || !bytes.Equal(got, noise(3000)) {
				t.Error(len(got), err)
			}
			for _, line := range strings.Split(at.all(), "\n") {
				if strings.Contains(line, "Basic") && !strings.Contains(line, "/token") {
					t.Errorf("the password goes to %s", line)
				}
			}
		})
	}
}

// TestCredentialsAreNotLedAway: by a realm, a redirect or the place of an upload.
func TestCredentialsAreNotLedAway(t *testing.T) {
	there := listen(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token": "good"}`) }))
	elsewhere := "http://elsewhere.invalid"
	for name, c := range map[string]struct {
		secure bool
		to     string
		lead   func(to string, next http.Handler) http.Handler
		want   fault.Kind
	}{
		"a realm without TLS": {true, there.URL, func(to string, next http.Handler) http.Handler {
			return challenged(func() string { return to + "/token" }, next)
		}, fault.Denied},
		"a realm without TLS on another machine": {false, elsewhere, func(to string, next http.Handler) http.Handler {
			return challenged(func() string { return to + "/token" }, next)
		}, fault.Denied},
		"a realm where clouds have their metadata": {false, "https://169.254.169.254", func(to string, next http.Handler) http.Handler {
			return challenged(func() string { return to + "/token" }, next)
		}, fault.Denied},
		"a realm that is no web address":            {true, "file:///etc/passwd", func(to string, next http.Handler) http.Handler { return challenged(func() string { return to }, next) }, fault.Denied},
		"a redirect without TLS":                    {true, there.URL, leads, fault.Denied},
		"a redirect without TLS to another machine": {false, elsewhere, leads, fault.Denied},
		"an upload elsewhere":                       {false, there.URL, uploads, fault.Denied},
		"an upload elsewhere, from TLS":             {true, there.URL, uploads, fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			there.mu.Lock()
			there.heard = nil
			there.mu.Unlock()
			at := listen(t, c.secure, c.lead(c.to, registrytest.Memory()))
			_, err := atRegistry(t, at.URL, "x", trusting(t, at)).Put(t.Context(), "k", strings.NewReader("x"), 1)
			if fault.Of(err) != c.want || err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v (%v; %s), want %v", err, fault.Of(err), fault.HintOf(err), c.want)
			}
			if heard := there.all(); heard != "" {
				t.Errorf("it was led to %s", heard)
			}
		})
	}
}

// leads redirects every question.
func leads(to string, _ http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, to+r.URL.Path+"?X-Signature=hunter2", http.StatusTemporaryRedirect)
	})
}

// uploads has uploads go on elsewhere.
func uploads(to string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost:
			w.Header().Set("Location", to+"/v2/x/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// TestDownloadsMayBeElsewhere: without the credentials, and with the digest checked.
func TestDownloadsMayBeElsewhere(t *testing.T) {
	registry := registrytest.Memory()
	cdn := listen(t, false, registry)
	spoilt := false
	at := listen(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != basic:
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && spoilt:
			http.Redirect(w, r, cdn.URL+"/v2/", http.StatusTemporaryRedirect)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/"):
			http.Redirect(w, r, cdn.URL+r.URL.Path, http.StatusTemporaryRedirect)
		default:
			registry.ServeHTTP(w, r)
		}
	}))
	b := atRegistry(t, at.URL, "x", trusting(t, at))
	put(t, b, "k", noise(2500))
	if got, err := get(t, b, "k", port.All); err != nil || !bytes.Equal(got, noise(2500)) {
		t.Error(len(got), err)
	}
	if got, err := get(t, b, "k", port.Range{Offset: 1500, Length: 700}); err != nil || !bytes.Equal(got, noise(2500)[1500:2200]) {
		t.Error(len(got), err)
	}
	if heard := cdn.all(); !strings.Contains(heard, "/blobs/") || strings.Contains(heard, "Basic") {
		t.Errorf("there: %s", heard)
	}
	spoilt = true
	if _, err := get(t, b, "k", port.All); fault.Of(err) != fault.Corrupt {
		t.Errorf("%v, want Corrupt", err)
	}
}

// TestWithoutTLSNoPasswordLeavesThisMachine: whatever is declared.
func TestWithoutTLSNoPasswordLeavesThisMachine(t *testing.T) {
	o := Options{}
	vars(map[string]string{"VISHWA_OCI_REGISTRY": "registry.example.com", "VISHWA_OCI_USERNAME": "vera", "VISHWA_OCI_PASSWORD": "hunter2"})(&o)
	for at, given := range map[server]bool{
		{host: "registry.example.com", name: "registry.example.com"}:              true,
		{host: "registry.example.com", name: "registry.example.com", plain: true}: false,
		{host: "registry.example.org", name: "registry.example.org"}:              false,
	} {
		c, err := o.credential(at)(t.Context(), at.host)
		if err != nil || (c.Password != "") != given {
			t.Errorf("%+v: %q, %v", at, c.Password, err)
		}
		if c, err := o.credential(at)(t.Context(), "elsewhere.example.com"); err != nil || c.Password != "" {
			t.Errorf("%+v: elsewhere gets %q, %v", at, c.Password, err)
		}
	}
	never := http.RoundTripper(fails{t})
	for _, c := range []struct {
		at            server
		address, auth string
	}{
		{server{host: "r.example:5000", plain: true}, "http://r.example:5000/v2/", "Bearer x"},
		{server{host: "r.example:5000", plain: true}, "http://r.example:5001/v2/", ""},
		{server{host: "r.example"}, "http://r.example/v2/", ""},
		{server{host: "127.0.0.1:5000", plain: true, loopback: true}, "http://r.example/v2/", ""},
		{server{host: "r.example"}, "http://127.0.0.1/v2/", ""},
	} {
		req := httptest.NewRequest(http.MethodGet, c.address, nil)
		req.Header.Set("Authorization", c.auth)
		if _, err := (within{never, c.at}).RoundTrip(req); fault.Of(err) != fault.Denied {
			t.Errorf("%s from %s: %v", c.address, c.at.host, err)
		}
	}
}

type fails struct{ t *testing.T }

func (f fails) RoundTrip(r *http.Request) (*http.Response, error) {
	f.t.Errorf("%s was asked", r.URL)
	return nil, http.ErrNotSupported
}

// TestAddresses: which name a registry's repository, and which are refused before anything is asked.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"oci://registry.example.com/team/vishwa": "registry.example.com",
		"oci://docker.io/team/vishwa":            "registry-1.docker.io",
		"oci://[::1]:5000/x":                     "[::1]:5000 plain",
		"oci://localhost/x":                      "localhost plain",
		"oci://127.0.0.1.example.com/x":          "127.0.0.1.example.com",
		"https://registry.example.com/x":         "",
		"oci://registry.example.com":             "",
		"oci://registry.example.com/":            "",
		"oci://registry.example.com/x:latest":    "",
		"oci://registry.example.com/x@sha256:00": "",
		"oci://vera:hunter2@registry.example/x":  "",
		"oci://registry.example.com/../x":        "",
		"oci://registry.example.com/X":           "",
	} {
		b, err := Open(Options{URL: address})
		got := ""
		if err == nil {
			if got = b.(*repository).at.host; b.(*repository).at.plain {
				got += " plain"
			}
		} else if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", address, err)
		}
		if got != want {
			t.Errorf("%s is at %q, want %q", address, got, want)
		}
	}
}

// TestAStrangersCertificateIsSaid, and a cloud's metadata is no registry.
func TestAStrangersCertificateIsSaid(t *testing.T) {
	at := listen(t, true, registrytest.Memory())
	secure := false
	b := atRegistry(t, at.URL, "x", func(o *Options) { o.PlainHTTP = &secure })
	if _, err := b.Stat(t.Context(), "k"); fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "VISHWA_OCI_CA_FILE") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	if _, err := atRegistry(t, "169.254.169.254", "x").Stat(t.Context(), "k"); fault.Of(err) != fault.Denied {
		t.Errorf("%v", err)
	}
}
