// The way to a remote over HTTP is the one of Git's configuration: its helpers log in, its
// proxy is gone through, its headers are sent, and to nobody else.

package gitledger

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
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

func TestProxiesOfTheConfigurationAreGoneThrough(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, remote, clones := gittest.OverHTTP(t, 1)
	git(t, remote, "config", "http.receivepack", "true")
	var through atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		through.Add(1)
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

func TestAuthoritiesOfTheConfigurationAreTrusted(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	s, _, clones := gittest.OverHTTP(t, 1)
	at, authority := gittest.Secured(t, s)
	git(t, clones[0], "remote", "set-url", "origin", at+"/remote.git")
	git(t, clones[0], "config", "http.sslCAInfo", authority)
	mustFacts(t, openLedger(t, clones[0]))
}

// TestWhoAsksForNoVerificationGetsWhatGitGives: for the address that the configuration says it of, and no other.
func TestWhoAsksForNoVerificationGetsWhatGitGives(t *testing.T) {
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
