// The tests' world: repositories made by the real git.

package repo

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// What the tests share with those of other packages.
var (
	git, tryGit = gittest.Git, gittest.TryGit
	write       = gittest.Write
	newRepo     = gittest.NewRepo
	newClones   = gittest.NewClones
	wantFault   = gittest.WantFault
)

func openRepo(t testing.TB, dir string) *Repo {
	t.Helper()
	r, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}
