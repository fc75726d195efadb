// The way to a remote over HTTP is the one of Git's configuration: its helpers log in, its
// proxy is gone through, its headers are sent, and to nobody else.

package gitledger

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// helping has a helper of Git's give a login, and note what it is told.
func helping(t *testing.T, dir, user, password string) (notes string) {
	t.Helper()
	notes = filepath.Join(t.TempDir(), "notes")
	write(t, filepath.Dir(notes), "helper", "#!/bin/sh\necho $1 >> "+notes+"\n[ $1 = get ] && printf 'username=%s\\npassword=%s\\n' "+user+" "+password+"\nenv | grep VISHWA_ >> "+notes+"\nexit 0\n")
	git(t, dir, "config", "credential.helper", "!sh "+filepath.Dir(notes)+"/helper")
	return notes
}

func TestCredentialHelpersLogIn(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_TERMINAL_PROMPT", "0")
	t.Setenv("VISHWA_KEY_PASSWORD", "theirs")
	s, remote, clones := gittest.OverHTTP(t, 1)
	git(t, remote, "config", "http.receivepack", "true")
	s.Breaks(gittest.Broken{User: "ada", Password: "hunter2"})
	_, err := openLedger(t, clones[0]).Facts(t.Context())
	wantFault(t, err, fault.Denied, "login")
	if !strings.Contains(fault.HintOf(err), "credential helper") {
		t.Errorf("the way out is %q", fault.HintOf(err))
	}
	notes := helping(t, clones[0], "ada", "hunter2")
	mustAppend(t, openLedger(t, clones[0]), trained(1))
	if f := mustFacts(t, openLedger(t, clones[0])); f.ByKey[key(1)] == nil {
		t.Error("the entry is not there")
	}
	if b, _ := os.ReadFile(notes); !strings.Contains(string(b), "get\nstore\n") || strings.Contains(string(b), "VISHWA_") {
		t.Errorf("the helper was told %q", b)
	}
	notes = helping(t, clones[0], "ada", "wrong")
	_, err = openLedger(t, clones[0]).Facts(t.Context())
	wantFault(t, err, fault.Denied)
	if b, _ := os.ReadFile(notes); !strings.Contains(string(b), "get\nerase\n") {
		t.Errorf("the helper was told %q", b)
	}
	if strings.Contains(err.Error()+fault.HintOf(err), "wrong") {
		t.Errorf("the error holds the password: %v", err)
	}
}

// TestNetrcLogsIn: as curl has it, before any helper is asked, for its own host and, where the
// address names one, its own user.
func TestNetrcLogsIn(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_TERMINAL_PROMPT", "0")
	s, remote, clones := gittest.OverHTTP(t, 1)
	git(t, remote, "config", "http.receivepack", "true")
	home := t.TempDir()
	t.Setenv("HOME", home)
	named := strings.Replace(s.URL, "://", "://ada@", 1)
	git(t, clones[0], "remote", "set-url", "origin", named+"/remote.git")
	mustFacts(t, openLedger(t, clones[0])) // who is let in without a login is asked for none
	s.Breaks(gittest.Broken{User: "ada", Password: `hun"ter 2`})
	for text, in := range map[string]bool{
		"machine 127.0.0.1 login ada password \"hun\\\"ter 2\"\n": true,
		"# mine\nmachine other login ada password x\nmacdef init\nmachine 127.0.0.1 login ada password x\n\ndefault login ada\n password \"hun\\\"ter 2\"": true,
		"machine 127.0.0.1 login bob password x machine 127.0.0.1 login ada password \"hun\\\"ter 2\"":                                                     true,
		"machine other login ada password \"hun\\\"ter 2\"\n":                                                                                              false,
		"machine 127.0.0.1 login ada\n": false,
		"machine 127.0.0.1":             false,
		"":                              false,
	} {
		write(t, home, ".netrc", text)
		notes := helping(t, clones[0], "ada", "wrong")
		_, err := openLedger(t, clones[0]).Facts(t.Context())
		if _, git := exec.Command("git", "-C", clones[0], "ls-remote", "origin").Output(); (err == nil) != in || (git == nil) != in {
			t.Errorf("%q: %v, and git: %v", text, err, git)
		}
		if asked, _ := os.ReadFile(notes); (len(asked) == 0) != in {
			t.Errorf("%q: the helper was told %q", text, asked)
		}
	}
	// Where it does not hold, the helpers are asked.
	write(t, home, ".netrc", "machine 127.0.0.1 login ada password old")
	helping(t, clones[0], "ada", `'hun"ter 2'`)
	mustAppend(t, openLedger(t, clones[0]), trained(1))
}

func TestProxiesOfTheConfigurationAreGoneThrough(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, remote, clones := gittest.OverHTTP(t, 1)
	git(t, remote, "config", "http.receivepack", "true")
	var through atomic.Int64
	var login atomic.Value
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		through.Add(1)
		login.Store(r.In.Header.Get("Proxy-Authorization"))
		r.Out.URL.Scheme, r.Out.URL.Host = "http", strings.TrimPrefix(s.URL, "http://")
	}})
	defer proxy.Close()
	dir := clones[0]
	git(t, dir, "remote", "set-url", "origin", "http://git.example.invalid/remote.git")
	for _, args := range [][]string{
		{"http.proxy", proxy.URL}, {"http.http://git.example.invalid/.proxy", proxy.URL}, {"remote.origin.proxy", proxy.URL},
	} {
		git(t, dir, "config", args[0], args[1])
		before := through.Load()
		mustFacts(t, openLedger(t, dir))
		if through.Load() == before {
			t.Errorf("%s is passed over", args[0])
		}
		git(t, dir, "config", "--unset", args[0])
	}
	// One of the environment for all, which Go knows nothing of; and who is to be reached without one.
	seen := through.Load()
	t.Setenv("ALL_PROXY", proxy.URL)
	if mustFacts(t, openLedger(t, dir)); through.Load() == seen {
		t.Error("ALL_PROXY is passed over")
	}
	t.Setenv("ALL_PROXY", "")
	git(t, dir, "config", "http.proxy", strings.Replace(proxy.URL, "://", "://ada@", 1))
	helping(t, dir, "ada", "hunter2")
	if mustFacts(t, openLedger(t, dir)); login.Load() != "Basic "+base64.StdEncoding.EncodeToString([]byte("ada:hunter2")) {
		t.Errorf("the proxy was sent the login %v", login.Load())
	}
	seen = through.Load()
	t.Setenv("NO_PROXY", "example.invalid")
	if _, err := openLedger(t, dir).Facts(t.Context()); err == nil || through.Load() != seen {
		t.Errorf("NO_PROXY is passed over: %v", err)
	}
	t.Setenv("NO_PROXY", "")
	git(t, dir, "config", "http.proxy", "://nothing")
	_, err := openLedger(t, dir).Facts(t.Context())
	wantFault(t, err, fault.Invalid, "proxy")
	// One that is set to nothing is none.
	git(t, dir, "config", "http.proxy", proxy.URL)
	git(t, dir, "config", "remote.origin.proxy", "")
	git(t, dir, "remote", "set-url", "origin", s.URL+"/remote.git")
	before := through.Load()
	mustFacts(t, openLedger(t, dir))
	if through.Load() != before {
		t.Error("the proxy was gone through, and the remote is to have none")
	}
}

func TestExtraHeadersGoToTheirHostAlone(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, _, clones := gittest.OverHTTP(t, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "basic Zm9v" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.Redirect(w, r, s.URL+r.URL.String(), http.StatusFound)
	}))
	defer front.Close()
	git(t, clones[0], "remote", "set-url", "origin", front.URL+"/remote.git")
	git(t, clones[0], "config", "http."+front.URL+"/.extraheader", "AUTHORIZATION: basic Zm9v")
	s.Mu.Lock()
	s.Asked = nil
	s.Mu.Unlock()
	mustFacts(t, openLedger(t, clones[0]))
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if len(s.Asked) == 0 || strings.Join(s.Asked, "") != "" {
		t.Errorf("the other host was sent %q", s.Asked)
	}
}

// TestExtraHeadersAreThoseThatGitSends: all of them, but for those of other addresses, and
// for what an empty one takes back.
func TestExtraHeadersAreThoseThatGitSends(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, _, clones := gittest.OverHTTP(t, 1)
	var mu sync.Mutex
	var sent string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sent = r.Header.Get("X-A") + r.Header.Get("X-B") + r.Header.Get("X-C")
		mu.Unlock()
		s.Config.Handler.ServeHTTP(w, r)
	}))
	defer front.Close()
	git(t, clones[0], "remote", "set-url", "origin", front.URL+"/remote.git")
	for name, lines := range map[string][][2]string{
		"two":                       {{"http", "X-A: a"}, {"http", "X-B: b"}},
		"of all, then of one":       {{"http", "X-A: a"}, {"http." + front.URL, "X-B: b"}, {"http.https://other.example.com", "X-C: c"}},
		"of one, then of all":       {{"http." + front.URL, "X-B: b"}, {"http", "X-A: a"}},
		"of another":                {{"http.https://other.example.com", "X-C: c"}},
		"taken back":                {{"http", "X-A: a"}, {"http", ""}, {"http", "X-B: b"}},
		"of a folder and of a host": {{"http." + front.URL + "/remote.git", "X-A: a"}, {"http." + front.URL, "X-B: b"}, {"http." + front.URL + "/remote.git", "X-C: c"}},
	} {
		t.Setenv("GIT_CONFIG_COUNT", strconv.Itoa(len(lines)))
		for i, l := range lines {
			t.Setenv("GIT_CONFIG_KEY_"+strconv.Itoa(i), l[0]+".extraHeader")
			t.Setenv("GIT_CONFIG_VALUE_"+strconv.Itoa(i), l[1])
		}
		git(t, clones[0], "ls-remote", "origin")
		mu.Lock()
		want := sent
		sent = ""
		mu.Unlock()
		mustFacts(t, openLedger(t, clones[0]))
		mu.Lock()
		if sent != want {
			t.Errorf("%s: sent %q, and git sends %q", name, sent, want)
		}
		mu.Unlock()
	}
}

// TestPinnedKeysHold: who has another key is not spoken to, whoever vouches for it.
func TestPinnedKeysHold(t *testing.T) {
	t.Setenv("GIT_SSL_CAINFO", "")
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, _, clones := gittest.OverHTTP(t, 1)
	at, authority := gittest.Secured(t, s)
	git(t, clones[0], "remote", "set-url", "origin", at+"/remote.git")
	t.Setenv("GIT_SSL_CAINFO", authority) // as Git has it, without a setting
	text, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	right, other := "sha256//"+base64.StdEncoding.EncodeToString(sum[:]), "sha256//"+strings.Repeat("A", 43)+"="
	write(t, clones[0], "key.der", string(cert.RawSubjectPublicKeyInfo))
	for pin, kind := range map[string]fault.Kind{
		right: 0, other + ";" + right: 0, filepath.Join(clones[0], "key.der"): 0, other: fault.Denied, "sha256//x": fault.Invalid, "/none": fault.Invalid,
	} {
		git(t, clones[0], "config", "http.pinnedPubkey", pin)
		_, err := openLedger(t, clones[0]).Facts(t.Context())
		if kind != 0 {
			wantFault(t, err, kind, "key")
		} else if err != nil {
			t.Errorf("%s: %v", pin, err)
		}
	}
}

func TestAuthoritiesOfTheConfigurationAreTrusted(t *testing.T) {
	t.Setenv("GIT_SSL_CAINFO", "")
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, _, clones := gittest.OverHTTP(t, 1)
	at, authority := gittest.Secured(t, s)
	git(t, clones[0], "remote", "set-url", "origin", at+"/remote.git")
	git(t, clones[0], "config", "http.sslCAInfo", authority)
	mustFacts(t, openLedger(t, clones[0]))
}

// TestWhoAsksForNoVerificationGetsWhatGitGives: for the address that the configuration says it of, and no other.
func TestWhoAsksForNoVerificationGetsWhatGitGives(t *testing.T) {
	t.Setenv("GIT_SSL_CAINFO", "")
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, _, clones := gittest.OverHTTP(t, 1)
	at, _ := gittest.Secured(t, s)
	git(t, clones[0], "remote", "set-url", "origin", at+"/remote.git")
	for value, let := range map[string]bool{"": false, "true": false, "false": true, "off": true} {
		git(t, clones[0], "config", "http."+at+".sslVerify", value)
		if _, err := openLedger(t, clones[0]).Facts(t.Context()); (err == nil) != let || err != nil && fault.Of(err) != fault.Denied {
			t.Errorf("sslVerify = %q: %v", value, err)
		}
	}
	git(t, clones[0], "config", "--unset-all", "http."+at+".sslVerify")
	git(t, clones[0], "config", "http.https://other.example.com.sslVerify", "false")
	if _, err := openLedger(t, clones[0]).Facts(t.Context()); fault.Of(err) != fault.Denied || err == nil {
		t.Errorf("said of another address: %v", err)
	}
}
