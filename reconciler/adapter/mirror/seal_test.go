// What is planted in a mirror by code that ran on this machine does nothing: every way in
// which a repository's own files steer Git, one row each. Git without the seal is led by
// most of them, which shows that the rows would tell.

package mirror

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// witness is a server that notes what it is asked.
type witness struct {
	*httptest.Server
	mu    sync.Mutex
	heard []string
}

func newWitness(t testing.TB, next http.Handler) *witness {
	t.Helper()
	w := &witness{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.heard = append(w.heard, r.Method+" "+r.Host+r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Planted")+" "+r.Header.Get("Cookie"))
		w.mu.Unlock()
		if next == nil { // it would like a login
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(rw, "", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *witness) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.heard, "\n")
	w.heard = nil
	return all
}

// planted is one row at work.
type planted struct {
	plant
	m       *Mirror
	loot    string
	front   *witness // the remote's own server
	thief   *witness
	environ []string
	field
	pushed  string // a ref of the remote's that is this row's
	replace *strings.Replacer
}

// field is where the rows are sown: one remote for all of them.
type field struct {
	url, dir string // by HTTP with a login, and as a folder
	other    string // another repository
	head     string // of main
	a, b     string // two commits whose merge is in conflict
}

func newField(t *testing.T) field {
	t.Helper()
	s, dir, clones := gittest.OverHTTP(t, 1)
	s.Breaks(gittest.Broken{User: "ada", Password: "hunter2"})
	f, local := field{url: s.URL, dir: dir}, clones[0]
	git(t, local, "remote", "set-url", "origin", dir)
	f.a = commit(t, local, "a", "f", "one\n")
	git(t, local, "reset", "-q", "--hard", "origin/main")
	f.b = commit(t, local, "b", "f", "two\n")
	git(t, local, "reset", "-q", "--hard", "origin/main")
	f.head = commit(t, local, "main", "g", "more\n")
	f.other, _ = newClones(t, 0)
	return f
}

func newPlanted(t *testing.T, f field, p plant) *planted {
	t.Helper()
	to, err := url.Parse(f.url)
	if err != nil {
		t.Fatal(err)
	}
	r := &planted{plant: p, field: f, front: newWitness(t, httputil.NewSingleHostReverseProxy(to)), thief: newWitness(t, nil)}
	home := t.TempDir()
	r.pushed = "refs/heads/" + filepath.Base(filepath.Dir(home))
	r.loot = filepath.Join(home, "loot")
	if err := os.Mkdir(r.loot, 0o755); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(home, "run")
	write(t, home, "run", "#!/bin/sh\necho ran >> "+r.loot+"/mark\n[ \"$1\" = store ] && timeout 1 cat >> "+r.loot+"/mark\nexit 1\n")
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	at := map[string]string{"": r.front.URL + "/remote.git", "ssh": "ssh://nobody@127.0.0.1:1/remote.git", "file": f.dir}[p.on]
	address := strings.TrimPrefix(r.front.URL, "http://")
	r.replace = strings.NewReplacer("RUN", run, "LOOT", r.loot, "THIEF", r.thief.URL, "OTHER", f.other, "URL", at, "HOSTNAME", "127.0.0.1", "HOST", address)
	for k, v := range p.env {
		r.environ = append(r.environ, k+"="+r.replace.Replace(v))
	}
	r.m = mirrorOf(t, at, as("ada", "hunter2"), func(o *Options) {
		o.Dir = filepath.Join(home, "m.git")
		o.Env.Lookup = func(name string) (string, bool) {
			if v, ok := p.env[name]; ok {
				return r.replace.Replace(v), true
			}
			return os.LookupEnv(name)
		}
	})
	if p.on != "ssh" {
		mustFetch(t, r.m, "refs/heads/a", "refs/heads/b")
	}
	r.front.said()
	return r
}

// sow plants, as code that runs as our user may do at any moment.
func (r *planted) sow(t testing.TB) {
	t.Helper()
	if r.config != "" {
		f, err := os.OpenFile(filepath.Join(r.m.Dir(), "config"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(r.replace.Replace(r.config) + "\n")
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	for name, text := range r.files {
		write(t, r.m.Dir(), name, r.replace.Replace(text))
		if err := os.Chmod(filepath.Join(r.m.Dir(), name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// taken is what the planter has got.
func (r *planted) taken(t testing.TB) string {
	t.Helper()
	got := ""
	entries, err := os.ReadDir(r.loot)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join(r.loot, e.Name()))
		got += e.Name() + ": " + string(b)
		if err := os.RemoveAll(filepath.Join(r.loot, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	got += r.thief.said()
	if said := r.front.said(); strings.Contains(said, "yes") || strings.Contains(said, base64.StdEncoding.EncodeToString([]byte("eve:planted"))) {
		got += "the remote hears " + said
	}
	return got
}

func TestNothingPlantedInAMirrorActs(t *testing.T) {
	f := newField(t)
	for name, p := range plants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newPlanted(t, f, p)
			for _, do := range []struct {
				what string
				f    func() error
			}{
				{"fetch", func() error { return r.m.Fetch(t.Context(), "refs/heads/main") }},
				{"refs", func() error { _, err := r.m.Refs(t.Context()); return err }},
				{"push", func() error { return r.m.Push(t.Context(), r.head, r.pushed, "") }},
				{"merge", func() error { _, _, err := r.m.Merge(t.Context(), r.a, r.b); return err }},
				{"ledger", func() error { return r.ledger(t) }},
				{"open again", func() error { _, err := Open(t.Context(), r.m.o); return err }},
			} {
				r.sow(t)
				if err := do.f(); err != nil && p.on != "ssh" {
					t.Errorf("%s: %v", do.what, err)
				}
				if got := r.taken(t); got != "" {
					t.Errorf("%s: it is led by what was planted:\n%s", do.what, got)
				}
			}
			if p.on != "ssh" && at(t, r.m, "refs/heads/main") != r.head {
				t.Error("main was not fetched")
			}
		})
	}
}

// TestWhatIsPlantedMeanwhileGetsNoCredentials: what is written between the seal and
// Git's own look meets settings that have the last word. A few it can still lead to
// another place, which hears no credentials.
func TestWhatIsPlantedMeanwhileGetsNoCredentials(t *testing.T) {
	f := newField(t)
	for name, p := range plants {
		if p.deaf || len(p.env) > 0 || p.config == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newPlanted(t, f, p)
			dir := t.TempDir()
			write(t, dir, "config", r.replace.Replace(p.config)+"\n")
			script := "#!/bin/sh\ncat " + dir + "/config >> " + r.m.Dir() + "/config\n"
			for name, text := range p.files {
				from, to := filepath.Join(dir, "files", name), filepath.Join(r.m.Dir(), name)
				write(t, dir, filepath.Join("files", name), r.replace.Replace(text))
				if err := os.Chmod(from, 0o755); err != nil {
					t.Fatal(err)
				}
				script += "mkdir -p " + filepath.Dir(to) + "; cp -p " + from + " " + to + "\n"
			}
			write(t, dir, "git", script+"exec git \"$@\"\n")
			if err := os.Chmod(filepath.Join(dir, "git"), 0o755); err != nil {
				t.Fatal(err)
			}
			r.m.o.Git = filepath.Join(dir, "git")
			_ = r.m.Fetch(t.Context(), "refs/heads/main") // it may be led astray, and fail
			_ = r.m.Push(t.Context(), r.head, r.pushed, "")
			_, _, _ = r.m.Merge(t.Context(), r.a, r.b)
			got := r.taken(t)
			if strings.Contains(got, "hunter2") || strings.Contains(got, base64.StdEncoding.EncodeToString([]byte("ada:hunter2"))) {
				t.Errorf("the credentials are with the planter:\n%s", got)
			}
			if got != "" && !p.raced {
				t.Errorf("it is led by what was planted:\n%s", got)
			}
		})
	}
}

// ledger reads the ledger as a reconciler in the mirror does.
func (r *planted) ledger(t testing.TB) error {
	t.Helper()
	place, err := gitstore.Find(r.m.Dir())
	if err != nil {
		return err
	}
	place.Remote, place.URL = "origin", r.m.o.URL
	n := &gittest.Notary{}
	l, err := gitledger.Open(place, gitledger.Options{Signer: n, Verifier: n, Now: r.m.o.Env.Now, Credentials: r.m.o.Credentials})
	if err != nil {
		return err
	}
	_, err = l.Facts(t.Context())
	return err
}

// TestGitAloneIsLed: the rows above would tell. Git itself, in the same mirror, does what
// is planted there.
func TestGitAloneIsLed(t *testing.T) {
	f := newField(t)
	for name, p := range plants {
		if p.deaf {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newPlanted(t, f, p)
			r.sow(t)
			in := "http.extraHeader=Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ada:hunter2"))
			for _, args := range [][]string{
				{"fetch", "origin", "refs/heads/main:refs/heads/main"}, {"push", "origin", r.a + ":" + r.pushed},
				{"-c", in, "fetch", "origin", "refs/heads/main:refs/heads/main"}, {"-c", in, "push", "origin", r.a + ":" + r.pushed},
				{"merge-tree", "--write-tree", r.a, r.b},
			} {
				c := exec.Command("git", args...)
				c.Env = append(os.Environ(), "GIT_DIR="+r.m.Dir(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
				if p.env["HOME"] == "" {
					c.Env = append(c.Env, "GIT_CONFIG_GLOBAL=/dev/null")
				}
				c.Env = append(c.Env, r.environ...)
				_ = c.Run() // it may well fail of what it does
			}
			if r.taken(t) == "" {
				t.Error("nothing comes of it: the row shows nothing")
			}
		})
	}
}

// TestCredentialsNeedADeclaredAddress: what a clone's own configuration names is not
// logged in to with what the caller holds.
func TestCredentialsNeedADeclaredAddress(t *testing.T) {
	_, _, clones := gittest.OverHTTP(t, 1)
	thief := newWitness(t, nil)
	git(t, clones[0], "remote", "set-url", "origin", thief.URL+"/x.git")
	l := openLedger(t, clones[0], func(o *gitledger.Options) { o.Credentials = mirrorOf(t, thief.URL, as("ada", "hunter2")).o.Credentials })
	_, err := l.Facts(t.Context())
	wantFault(t, err, fault.Internal)
	if said := thief.said(); said != "" {
		t.Errorf("it was asked %s", said)
	}
}

// TestALinkIsNoMirror: a folder, or a part of it, that was replaced by a link leads
// nowhere, and what it led to stays as it is.
func TestALinkIsNoMirror(t *testing.T) {
	for _, name := range []string{".", "objects", "objects/info", "objects/pack", "refs", "refs/heads", "config", "HEAD", "vishwa"} {
		t.Run(name, func(t *testing.T) {
			dir, _ := newClones(t, 0)
			m := mirrorOf(t, dir)
			mustFetch(t, m, "refs/heads/main")
			outside := filepath.Join(t.TempDir(), "outside")
			write(t, filepath.Dir(outside), "kept", "x")
			at := filepath.Join(m.Dir(), name)
			if err := os.RemoveAll(outside); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(at); err == nil {
				if err := os.Rename(at, outside); err != nil {
					t.Fatal(err)
				}
			} else if err := os.Mkdir(outside, 0o755); err != nil {
				t.Fatal(err)
			}
			before := listed(t, outside)
			if err := os.Symlink(outside, at); err != nil {
				t.Fatal(err)
			}
			if err := m.Fetch(t.Context(), "refs/heads/main"); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(at); err == nil && info.Mode()&os.ModeSymlink != 0 {
				t.Error("the link is still there")
			}
			if after := listed(t, outside); after != before {
				t.Errorf("outside there is\n%s, and was\n%s", after, before)
			}
		})
	}
}

func listed(t testing.TB, dir string) string {
	t.Helper()
	out := ""
	_ = filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil {
			b, _ := os.ReadFile(p)
			out += p + " " + string(b) + "\n"
		}
		return nil
	})
	return out
}
