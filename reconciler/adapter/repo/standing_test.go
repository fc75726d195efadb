// How a revision stands against the remote, in clones of every kind.

package repo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

func TestARevisionIsHeldAgainstWhatTheRemoteHas(t *testing.T) {
	remote, clones := newClones(t, 2)
	here, other := clones[0], clones[1]
	head := func(dir string) string { return strings.TrimSpace(git(t, dir, "rev-parse", "HEAD")) }
	save := func(dir, name string) string {
		write(t, dir, name, name)
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "-m", name)
		return head(dir)
	}
	main := strings.TrimSpace(git(t, here, "branch", "--show-current"))
	pushed := save(here, "pushed")
	git(t, here, "push", "-q", "origin", "HEAD")
	alone := save(here, "alone")
	git(t, here, "checkout", "-q", "-b", "side", pushed)
	side := save(here, "side")
	git(t, here, "push", "-q", "origin", "side")
	git(t, here, "tag", "v1", save(here, "tagged"))
	tagged := head(here)
	git(t, here, "push", "-q", "origin", "v1")
	git(t, here, "push", "-q", "origin", head(here)+"~0:refs/pull/1/merge")
	// Others go on, and what they push this clone has not fetched.
	git(t, other, "pull", "-q", "origin", main)
	save(other, "newer")
	git(t, other, "push", "-q", "origin", "HEAD:"+main)
	shallow, bare := filepath.Join(t.TempDir(), "shallow"), filepath.Join(t.TempDir(), "bare.git")
	git(t, here, "clone", "-q", "--depth", "1", "file://"+remote, shallow)
	git(t, here, "init", "-q", "--bare", bare)
	empty := newRepo(t)
	git(t, empty, "remote", "add", "origin", bare)
	unknown := strings.Repeat("12", 20)
	for name, c := range map[string]struct {
		dir, sha string
		want     Standing
	}{
		"behind the tip, which is not here": {here, pushed, Standing{"origin", main, true, false, true}},
		"on top of it, and not pushed":      {here, alone, Standing{"origin", main, false, false, false}},
		"on another branch":                 {here, side, Standing{"origin", main, false, false, true}},
		"under a tag":                       {here, tagged, Standing{"origin", main, false, false, true}},
		"the tip":                           {other, head(other), Standing{"origin", main, true, true, true}},
		"the tip of a shallow clone":        {shallow, head(shallow), Standing{"origin", main, true, true, true}},
		"on top of a shallow clone":         {shallow, save(shallow, "new"), Standing{"origin", main, false, false, false}},
		"a remote that has nothing":         {empty, head(empty), Standing{"origin", "", false, false, false}},
		"no remote":                         {newRepo(t), unknown, Standing{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := openRepo(t, c.dir)
			l := ledgerOf(t, r, false)
			got, err := r.Standing(t.Context(), c.sha, l.Keeping())
			if name == "no remote" && got == (Standing{}) && err == nil {
				return
			}
			if err != nil || got != c.want {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
	// What the remote told is not needed where it was not asked.
	r := openRepo(t, here)
	l := ledgerOf(t, r, true)
	if got, err := r.Standing(t.Context(), side, l.Keeping()); err != nil || !got.Known || got.On {
		t.Errorf("offline: %+v, %v", got, err)
	}
	if sha, one, err := openRepo(t, other).Published(gitremote.Keeping{Remote: "origin", Branch: gitledger.UsualBranch}); err != nil || !one || sha == "" {
		t.Errorf("published: %q, %v, %v", sha, one, err)
	}
}

// ledgerOf is the ledger of r, which was read once.
func ledgerOf(t *testing.T, r *Repo, offline bool) *gitledger.Ledger {
	t.Helper()
	l, err := gitledger.Open(r.Place(), gitledger.Options{Verifier: &gittest.Notary{}, Now: time.Now, Offline: offline})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Facts(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestWhatIsPushedElsewhereIsHeldAgainstWhatIsFetched: the ledger's repository, a fork, may
// have none of the branches.
func TestWhatIsPushedElsewhereIsHeldAgainstWhatIsFetched(t *testing.T) {
	_, clones := newClones(t, 1)
	dir, fork := clones[0], filepath.Join(t.TempDir(), "fork.git")
	git(t, dir, "init", "-q", "--bare", fork)
	git(t, dir, "remote", "set-head", "origin", strings.TrimSpace(git(t, dir, "branch", "--show-current")))
	git(t, dir, "remote", "set-url", "--push", "origin", fork)
	sha := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	r := openRepo(t, dir)
	kept := ledgerOf(t, r, false).Keeping()
	if got, err := r.Standing(t.Context(), sha, kept); err != nil || !got.On || !got.Known {
		t.Errorf("%+v, %v", got, err)
	}
	if got, one, err := r.Published(kept); err != nil || !one || got != sha {
		t.Errorf("published: %q, %v, %v", got, one, err)
	}
}

// TestARemoteWhoseHeadNamesNoBranchHasMainOrMaster, as after a first push into a bare repository; of both, or of others, nobody says which.
func TestARemoteWhoseHeadNamesNoBranchHasMainOrMaster(t *testing.T) {
	for name, c := range map[string]struct {
		branches []string
		known    bool
	}{
		"main":        {[]string{"main"}, true},
		"master":      {[]string{"master", "another"}, true},
		"both":        {[]string{"main", "master"}, false},
		"another one": {[]string{"another"}, false},
	} {
		for _, offline := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", offline ", offline), func(t *testing.T) {
				dir, remote := t.TempDir(), filepath.Join(t.TempDir(), "remote.git")
				git(t, dir, "init", "-q", "--bare", remote)
				git(t, remote, "symbolic-ref", "HEAD", "refs/heads/nobody")
				git(t, dir, "init", "-q")
				git(t, dir, "commit", "-q", "--allow-empty", "-m", "first")
				git(t, dir, "remote", "add", "origin", remote)
				for _, branch := range c.branches {
					git(t, dir, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
				}
				r := openRepo(t, dir)
				got, one, err := r.Published(ledgerOf(t, r, offline).Keeping())
				want := ""
				if c.known {
					want = strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
				}
				if err != nil || !one || got != want {
					t.Errorf("%q, %v, %v; want %q", got, one, err, want)
				}
			})
		}
	}
}
