// Names, addresses and trees that are made to harm: they are refused or read, and
// nothing is run or written because of them.

package mirror

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// TestStrangeRefsNeverReachGit: a name that git could take for an option, or for more
// than one ref, is Invalid before git is run.
func TestStrangeRefsNeverReachGit(t *testing.T) {
	remote, _ := newClones(t, 1)
	dir := t.TempDir()
	write(t, dir, "git", "#!/bin/sh\necho ran >> "+dir+"/runs\nexec git \"$@\"\n")
	if err := os.Chmod(filepath.Join(dir, "git"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := mirrorOf(t, remote, func(o *Options) { o.Git = filepath.Join(dir, "git") })
	if err := m.Fetch(t.Context(), "refs/heads/main"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{
		"", "-x", "--upload-pack=touch touched", "refs/heads/a\nb", "refs/heads/a\x00b", "refs/heads/a\x7f", "refs/heads/../../x",
		"refs/heads/a..b", "refs/heads/@{u}", "refs/heads/a:refs/heads/main", "+refs/heads/a", "refs/heads/*", "refs/heads/a.lock", "refs/heads//a", "/refs", "^main",
	} {
		wantFault(t, m.Fetch(t.Context(), ref), fault.Invalid)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "runs")); string(after) != string(before) {
		t.Errorf("git was run %d times", strings.Count(string(after), "\n")-strings.Count(string(before), "\n"))
	}
}

// TestStrangeAddressesRunNothing: an address is only ever an address.
func TestStrangeAddressesRunNothing(t *testing.T) {
	gittest.NeedGit(t)
	dir := t.TempDir()
	t.Chdir(dir)
	touched := filepath.Join(dir, "touched")
	for _, url := range []string{
		"ext::sh -c touch% " + touched, "--upload-pack=touch " + touched, "ssh://-oProxyCommand=touch " + touched + "/x", "-oProxyCommand=touch:x",
		"fd::0", "file:///nowhere/$(touch " + touched + ")", "http://127.0.0.1:1/;touch%20" + touched,
	} {
		m, err := Open(t.Context(), Options{URL: url, Dir: filepath.Join(t.TempDir(), "m.git"), Env: mirrorEnv(t)})
		if err == nil {
			if err := m.Fetch(t.Context(), "refs/heads/main"); err == nil {
				t.Errorf("%s was fetched from", url)
			}
			if _, err := m.Refs(t.Context()); err == nil {
				t.Errorf("%s was asked for refs", url)
			}
		}
	}
	if _, err := os.Lstat(touched); err == nil {
		t.Error("a program was run")
	}
}

// TestAlternatesOfARemoteAreNotFollowed: a repository that says that its objects are
// elsewhere has nobody asked there, and leaves nothing of the kind in the mirror.
func TestAlternatesOfARemoteAreNotFollowed(t *testing.T) {
	secret := newRepo(t)
	inner := httptest.NewServer(nil)
	t.Cleanup(inner.Close)
	asked := make(chan string, 100)
	inner.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		http.FileServer(http.Dir(filepath.Join(secret, ".git"))).ServeHTTP(w, r)
	})
	for name, files := range map[string]map[string]string{
		"another server's": {"objects/info/http-alternates": inner.URL + "/objects\n", "objects/info/alternates": inner.URL + "/objects\n"},
		"another folder":   {"objects/info/alternates": filepath.Join(secret, ".git", "objects") + "\n"},
		"one above":        {"objects/info/http-alternates": "/../../secret/objects\n", "objects/info/alternates": "../../../secret/.git/objects\n"},
	} {
		t.Run(name, func(t *testing.T) {
			// Served as mere files, the repository's own word is all that Git has to go by.
			hostile := filepath.Join(t.TempDir(), "hostile.git")
			git(t, secret, "init", "-q", "--bare", "-b", "main", hostile)
			write(t, hostile, "refs/heads/main", git(t, secret, "rev-parse", "HEAD")+"\n")
			write(t, hostile, "info/refs", git(t, secret, "rev-parse", "HEAD")+"\trefs/heads/main\n")
			for path, text := range files {
				write(t, hostile, path, text)
			}
			served := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(hostile))))
			defer served.Close()
			m := mirrorOf(t, served.URL+"/hostile.git")
			if err := m.Fetch(t.Context(), "refs/heads/main"); err == nil {
				t.Error("what is not in the repository was fetched")
			}
			select {
			case path := <-asked:
				t.Errorf("the other server was asked for %s", path)
			default:
			}
			for _, left := range []string{"objects/info/alternates", "objects/info/http-alternates"} {
				if _, err := os.Lstat(filepath.Join(m.Dir(), left)); err == nil {
					t.Errorf("the mirror has %s", left)
				}
			}
			if _, err := tryGit(m.Dir(), "cat-file", "-e", git(t, secret, "rev-parse", "HEAD")); err == nil {
				t.Error("the mirror has what was elsewhere")
			}
		})
	}
}
