// What the tests of the double share: a running one, and the real git before it.

package devforge_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

const repoName = "acme/models"

// start is a running forge with acme/models: asha may write, bela may read.
func start(t *testing.T) *devforge.Forge {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git is missing: apt-get install git")
		}
		t.Skip("git is missing: apt-get install git")
	}
	f, err := devforge.New(devforge.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ok(t, f.CreateRepo("acme", "models"))
	ok(t, f.Grant(repoName, "asha", "write"))
	ok(t, f.Grant(repoName, "bela", "read"))
	return f
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client is go-github as token sees f; no token means nobody.
func client(t *testing.T, f *devforge.Forge, token string) *github.Client {
	t.Helper()
	c := github.NewClient(nil)
	if token != "" {
		c = c.WithAuthToken(token)
	}
	base, err := url.Parse(f.URL() + "/api/v3/")
	ok(t, err)
	c.BaseURL = base
	return c
}

// tree is a clone in which the real git works.
type tree struct {
	t   *testing.T
	dir string
}

func (w tree) try(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Asha", "GIT_AUTHOR_EMAIL=asha@example.com", "GIT_COMMITTER_NAME=Asha", "GIT_COMMITTER_EMAIL=asha@example.com")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (w tree) git(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// object writes a raw commit and tells its name.
func (w tree) object(raw string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "commit")
	ok(w.t, os.WriteFile(file, []byte(raw), 0o644))
	return w.git("hash-object", "-t", "commit", "-w", file)
}

// commit writes a file and commits it.
func (w tree) commit(name, text string) string {
	w.t.Helper()
	ok(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644))
	w.git("add", ".")
	w.git("commit", "--quiet", "-m", "Change "+name)
	return w.git("rev-parse", "HEAD")
}

func clone(t *testing.T, f *devforge.Forge, name, login string) tree {
	t.Helper()
	w := tree{t: t, dir: t.TempDir()}
	u, err := url.Parse(f.CloneURL(name))
	ok(t, err)
	u.User = url.UserPassword("x-access-token", f.Token(login))
	w.git("clone", "--quiet", u.String(), ".")
	return w
}

// seeded is a clone of acme/models by asha with one commit on main.
func seeded(t *testing.T, f *devforge.Forge) tree {
	t.Helper()
	w := clone(t, f, repoName, "asha")
	w.git("checkout", "--quiet", "-B", "main")
	w.commit("README.md", "models\n")
	w.git("push", "--quiet", "origin", "main")
	return w
}

// proposed is pull request 1 of asha's branch topic.
func proposed(t *testing.T, f *devforge.Forge) (tree, string) {
	t.Helper()
	w := seeded(t, f)
	w.git("checkout", "--quiet", "-b", "topic")
	sha := w.commit("train.py", "epochs = 3\n")
	w.git("push", "--quiet", "origin", "topic")
	n, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: "topic", Title: "Train longer", Author: "asha"})
	ok(t, err)
	if n != 1 {
		t.Fatalf("the first pull request has number %d", n)
	}
	return w, sha
}

// eventually polls until done, for at most ten seconds.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after ten seconds", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func background() context.Context { return context.Background() }

// status is the status of an error of go-github, or 0.
func status(err error) int {
	if e, ok := err.(*github.ErrorResponse); ok { // go-github returns it bare
		return e.Response.StatusCode
	}
	return 0
}
