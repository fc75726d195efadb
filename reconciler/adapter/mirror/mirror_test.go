// The mirror and the lease against what happens to them: refs that move and vanish,
// crashes, junk on the disk, servers that ask for passwords or send elsewhere.

package mirror

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func mirrorEnv(t testing.TB) port.Env {
	return port.Env{Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Lookup: os.LookupEnv}
}

func mirrorOf(t testing.TB, url string, change ...func(*Options)) *Mirror {
	t.Helper()
	o := Options{
		URL: url, Dir: filepath.Join(t.TempDir(), "mirrors", "m.git"),
		Env: mirrorEnv(t),
	}
	for _, f := range change {
		f(&o)
	}
	m, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// commit makes a commit on branch of a clone and pushes it.
func commit(t testing.TB, dir, branch, name, text string) string {
	t.Helper()
	write(t, dir, name, text)
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", name)
	git(t, dir, "push", "-q", "--force", "origin", "HEAD:refs/heads/"+branch)
	return git(t, dir, "rev-parse", "HEAD")
}

func mustFetch(t testing.TB, m *Mirror, refs ...string) {
	t.Helper()
	if err := m.Fetch(t.Context(), refs...); err != nil {
		t.Fatal(err)
	}
}

func at(t testing.TB, m *Mirror, ref string) string {
	t.Helper()
	return git(t, m.Dir(), "rev-parse", ref)
}

// TestFetchFollows: a branch that was forced, and one whose name became a folder, are
// fetched as they are there.
func TestFetchFollows(t *testing.T) {
	remote, clones := newClones(t, 1)
	m := mirrorOf(t, remote)
	first := commit(t, clones[0], "a", "x", "1")
	mustFetch(t, m, "refs/heads/a")
	git(t, clones[0], "commit", "-q", "--amend", "-m", "other")
	git(t, clones[0], "push", "-q", "--force", "origin", "HEAD:refs/heads/a")
	mustFetch(t, m, "refs/heads/a")
	if got := at(t, m, "refs/heads/a"); got == first || got != git(t, remote, "rev-parse", "a") {
		t.Errorf("the forced branch is at %s", got)
	}
	git(t, clones[0], "push", "-q", "origin", ":refs/heads/a")
	want := commit(t, clones[0], "a/b", "x", "2")
	mustFetch(t, m, "refs/heads/a/b")
	if got := at(t, m, "refs/heads/a/b"); got != want {
		t.Errorf("a/b is at %s, want %s", got, want)
	}
	git(t, remote, "branch", "-m", "main", "trunk")
	refs, err := m.Refs(t.Context())
	if err != nil || refs["HEAD"] != "refs/heads/trunk" {
		t.Errorf("the default branch is %q, %v; want refs/heads/trunk", refs["HEAD"], err)
	}
}

// TestMirrorHeals: whatever a crash or a bad disk left, the next pass has the branch.
func TestMirrorHeals(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string){
		"lock of a ref":  func(t *testing.T, dir string) { write(t, dir, "refs/heads/main.lock", "") },
		"lock of config": func(t *testing.T, dir string) { write(t, dir, "config.lock", "") },
		"junk for HEAD":  func(t *testing.T, dir string) { write(t, dir, "HEAD", "junk") },
		"junk for a ref": func(t *testing.T, dir string) { write(t, dir, "refs/heads/main", "junk") },
		"init and no more": func(t *testing.T, dir string) {
			_ = os.RemoveAll(dir)
			git(t, filepath.Dir(dir), "init", "-q", "--bare", dir)
		},
		"half an init":    func(t *testing.T, dir string) { _ = os.RemoveAll(filepath.Join(dir, "refs")) },
		"junk for config": func(t *testing.T, dir string) { write(t, dir, "config", "[junk") },
	} {
		t.Run(name, func(t *testing.T) {
			remote, clones := newClones(t, 1)
			m := mirrorOf(t, remote)
			mustFetch(t, m, "refs/heads/main")
			harm(t, m.Dir())
			want := commit(t, clones[0], "main", "x", "1")
			again := mirrorOf(t, remote, func(o *Options) { o.Dir = m.Dir() })
			mustFetch(t, again, "refs/heads/main")
			if got := at(t, again, "refs/heads/main"); got != want {
				t.Errorf("main is at %s, want %s", got, want)
			}
		})
	}
}

// TestFetchersShareAMirror: several openers of one mirror fetch at once, and all have the branch.
func TestFetchersShareAMirror(t *testing.T) {
	remote, clones := newClones(t, 1)
	first := mirrorOf(t, remote)
	want := commit(t, clones[0], "main", "x", "1")
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		m := mirrorOf(t, remote, func(o *Options) { o.Dir = first.Dir() })
		wg.Go(func() { errs[i] = m.Fetch(t.Context(), "refs/heads/main") })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || at(t, first, "refs/heads/main") != want {
		t.Errorf("main is at %s, want %s: %v", at(t, first, "refs/heads/main"), want, err)
	}
}

// TestMergeIsAFunction: two mirrors try one merge as the same commit, conflicts are
// named, and a head that the base holds is the base.
func TestMergeIsAFunction(t *testing.T) {
	remote, clones := newClones(t, 1)
	d := clones[0]
	base := git(t, d, "rev-parse", "HEAD")
	head := commit(t, d, "h", "vishwa.yaml", "kind: Head\n")
	git(t, d, "checkout", "-q", "-B", "main", base)
	clean := commit(t, d, "main", "other", "1")
	clash := commit(t, d, "main", "vishwa.yaml", "kind: Base\n")
	a, b := mirrorOf(t, remote), mirrorOf(t, remote)
	mustFetch(t, a, "refs/heads/main", "refs/heads/h")
	mustFetch(t, b, "refs/heads/main", "refs/heads/h")
	x, _, err := a.Merge(t.Context(), clean, head)
	y, _, err2 := b.Merge(t.Context(), clean, head)
	if err = errors.Join(err, err2); err != nil || x != y || x == "" {
		t.Errorf("one merge is %q and %q, %v", x, y, err)
	}
	if sha, paths, err := a.Merge(t.Context(), clash, head); err != nil || sha != "" || !slices.Equal(paths, []string{"vishwa.yaml"}) {
		t.Errorf("the conflict is %q %v, %v", sha, paths, err)
	}
	if sha, _, err := a.Merge(t.Context(), clash, base); err != nil || sha != clash {
		t.Errorf("merging what is there is %q, %v; want %s", sha, err, clash)
	}
}

func as(user, password string) func(*Options) {
	return func(o *Options) {
		o.Credentials = func(context.Context) (string, string, error) { return user, password, nil }
	}
}

// TestErrorsSayWhoActs: wrong credentials are Denied, a dead port is Transient whatever
// its number (neither a connection that goes out nor another test is given one of these), a repository that is not there is Missing; no password is in any of it.
func TestErrorsSayWhoActs(t *testing.T) {
	s, _, _ := gittest.OverHTTP(t, 1)
	s.Breaks(gittest.Broken{User: "ada", Password: "right"})
	for _, c := range []struct {
		url  string
		pass string
		want fault.Kind
	}{
		{s.URL + "/remote.git", "hunter2", fault.Denied},
		{"http://127.0.0.1:4013/x.git", "hunter2", fault.Transient},
		{"http://127.0.0.1:4036/x.git", "hunter2", fault.Transient},
		{s.URL + "/none.git", "right", fault.Missing},
	} {
		m := mirrorOf(t, c.url, as("ada", c.pass))
		_, err := m.Refs(t.Context())
		for _, err := range []error{m.Fetch(t.Context(), "refs/heads/main"), err} {
			wantFault(t, err, c.want)
			if all := err.Error() + fault.HintOf(err); fault.HintOf(err) == "" || strings.Contains(all, c.pass+"@") || strings.Contains(all, "hunter2") {
				t.Errorf("%s: %q", c.url, all)
			}
		}
	}
}

// TestCredentialsGoNowhereElse: the password is in no argument, in no environment and in
// no file of the mirror, and another host that the remote sends us to does not get it.
func TestCredentialsGoNowhereElse(t *testing.T) {
	s, _, _ := gittest.OverHTTP(t, 1)
	s.Breaks(gittest.Broken{User: "ada", Password: "hunter2"})
	dir := t.TempDir()
	write(t, dir, "git", "#!/bin/sh\necho \"$@\" >> "+dir+"/argv\nenv >> "+dir+"/environ\nexec git \"$@\"\n")
	if err := os.Chmod(filepath.Join(dir, "git"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := mirrorOf(t, s.URL+"/remote.git", as("ada", "hunter2"), func(o *Options) { o.Git = filepath.Join(dir, "git") })
	mustFetch(t, m, "refs/heads/main")
	secrets := []string{"hunter2", base64.StdEncoding.EncodeToString([]byte("ada:hunter2"))}
	for _, root := range []string{dir + "/argv", dir + "/environ", filepath.Dir(m.Dir())} {
		err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			for _, secret := range secrets {
				if strings.Contains(string(b), secret) {
					t.Errorf("the password is in %s", p)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var got atomic.Value
	got.Store("")
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Store(got.Load().(string) + r.Header.Get("Authorization"))
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	sends := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
	}))
	defer sends.Close()
	away := mirrorOf(t, sends.URL+"/remote.git", as("ada", "hunter2"))
	_, err := away.Refs(t.Context())
	if err == nil || away.Fetch(t.Context(), "refs/heads/main") == nil {
		t.Error("a redirect to something that is not a repository is no error")
	}
	if got.Load() != "" {
		t.Errorf("the other host was given %q", got.Load())
	}
}

// TestCredentialsAreHandedOverOnce: whoever comes after Git's first question reads
// nothing, nobody has to read them at all, and a line break makes no second answer.
func TestCredentialsAreHandedOverOnce(t *testing.T) {
	r, err := handed("ada", "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"username=ada\npassword=hunter2\n", ""} {
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("reader %d has %q, %v", i, got, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if unread, err := handed("ada", strings.Repeat("x", 1<<20)); err != nil || unread.Close() != nil {
		t.Error("what nobody reads cannot be put away", err)
	}
	_, err = handed("ada\nurl=https://evil.example", "x")
	wantFault(t, err, fault.Invalid)
	m := mirrorOf(t, "http://127.0.0.1:1/x.git", as("ada\nhost=evil.example", "hunter2"))
	wantFault(t, m.Fetch(t.Context(), "refs/heads/main"), fault.Invalid)
}
