// Names, addresses and trees that are made to harm: they are refused or read, and
// nothing is run or written because of them.

package repo

import (
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
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
	m := mirrorOf(t, remote, func(o *MirrorOptions) { o.Git = filepath.Join(dir, "git") })
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
	needGit(t)
	dir := t.TempDir()
	t.Chdir(dir)
	touched := filepath.Join(dir, "touched")
	for _, url := range []string{
		"ext::sh -c touch% " + touched, "--upload-pack=touch " + touched, "ssh://-oProxyCommand=touch " + touched + "/x", "-oProxyCommand=touch:x",
		"fd::0", "file:///nowhere/$(touch " + touched + ")", "http://127.0.0.1:1/;touch%20" + touched,
	} {
		m, err := OpenMirror(t.Context(), MirrorOptions{URL: url, Dir: filepath.Join(t.TempDir(), "m.git"), Env: mirrorEnv(t)})
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

// raw writes an object as it is, however malformed.
func raw(t testing.TB, dir, kind string, content []byte) string {
	t.Helper()
	c := exec.Command("git", "hash-object", "--literally", "-t", kind, "-w", "--stdin")
	c.Dir, c.Stdin = dir, strings.NewReader(string(content))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("hash-object: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func treeLine(t testing.TB, mode, name, sha string) string {
	t.Helper()
	b, err := hex.DecodeString(sha)
	if err != nil {
		t.Fatal(err)
	}
	return mode + " " + name + "\x00" + string(b)
}

// TestHostileTreesAreOnlyRead: whatever a tree holds, reading it ends in files or in an
// error: no panic, nothing outside of it, no link followed.
func TestHostileTreesAreOnlyRead(t *testing.T) {
	dir := newRepo(t)
	outside := t.TempDir()
	write(t, outside, "secret", "hunter2")
	blob := raw(t, dir, "blob", []byte("hunted"))
	inner := raw(t, dir, "tree", []byte(treeLine(t, "100644", "config", blob)))
	var deep string
	for at, i := inner, 0; i < 300; i++ {
		at = raw(t, dir, "tree", []byte(treeLine(t, "40000", "d", at)))
		deep = at
	}
	link := func(to string) string { return treeLine(t, "120000", "link", raw(t, dir, "blob", []byte(to))) }
	header := "author A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n"
	for name, tree := range map[string]string{
		".git": treeLine(t, "40000", ".git", inner), ".GIT": treeLine(t, "40000", ".GIT", inner), ".git and space": treeLine(t, "40000", ".git ", inner),
		"dots": treeLine(t, "40000", "..", inner), "absolute": treeLine(t, "100644", "/etc/x", blob), "path": treeLine(t, "100644", "../x", blob),
		"escape": link(outside + "/secret"), "cycle": link("link"), "submodule": treeLine(t, "160000", "sub", strings.Repeat("12", 20)),
		"deep": treeLine(t, "40000", "d", deep), "twice": treeLine(t, "100644", "a", blob) + treeLine(t, "100644", "a", blob),
		"gone": treeLine(t, "100644", "a", strings.Repeat("34", 20)), "cut": treeLine(t, "100644", "a", blob)[:20], "mode": treeLine(t, "7777777", "a", blob), "no name": treeLine(t, "100644", "", blob),
	} {
		t.Run(name, func(t *testing.T) {
			sha := raw(t, dir, "tree", []byte(tree))
			for _, head := range []string{"tree " + sha + "\n" + header, "tree " + sha + "\ntree " + sha + "\n" + header + header} {
				c := raw(t, dir, "commit", []byte(head+"\nx\n"))
				files, err := openRepo(t, dir).Open(t.Context(), c)
				if err != nil {
					continue
				}
				_ = fs.WalkDir(files, ".", func(p string, _ fs.DirEntry, err error) error {
					if err != nil {
						return fs.SkipDir
					}
					if !fs.ValidPath(p) || strings.EqualFold(filepath.Base(p), ".git") {
						t.Errorf("%q is a path", p)
					}
					if b, err := fs.ReadFile(files, p); err == nil && strings.Contains(string(b), "hunter2") {
						t.Errorf("%s is read from outside", p)
					}
					return nil
				})
			}
		})
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
