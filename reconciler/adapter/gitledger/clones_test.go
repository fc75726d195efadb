// Clones as people make them: what Git works with, Vishwa works with, or says why not.

package gitledger

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// filled is a remote with a history, a ledger of n entries, and a whole clone of it.
func filled(t *testing.T, n int) (remote, whole string) {
	t.Helper()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	remote, clones := newClones(t, 1)
	git(t, remote, "config", "uploadpack.allowFilter", "true")
	git(t, remote, "config", "uploadpack.allowAnySHA1InWant", "true")
	whole = clones[0]
	for _, text := range []string{"a", "b", "c"} {
		write(t, whole, "data/d.csv", text)
		git(t, whole, "add", ".")
		git(t, whole, "commit", "-q", "-m", text)
	}
	git(t, whole, "push", "-q", "origin", "main")
	l := openLedger(t, whole)
	for i := range n {
		mustAppend(t, l, trained(i))
	}
	git(t, whole, "fetch", "-q")
	return remote, whole
}

func TestEveryKindOfCloneReadsAndContinuesTheLedger(t *testing.T) {
	remote, whole := filled(t, 5)
	url, entries := "file://"+remote, mustFacts(t, openLedger(t, whole)).Count
	for _, c := range []struct {
		name  string
		clone []string
		after [][]string
	}{
		{"whole", nil, nil},
		{"shallow", []string{"--depth=1"}, nil},
		{"shallow of all branches", []string{"--depth=1", "--no-single-branch"}, nil},
		{"shallow, two deep", []string{"--depth=2", "--no-single-branch"}, nil},
		{"blobless", []string{"--filter=blob:none"}, nil},
		{"treeless", []string{"--filter=tree:0"}, nil},
		{"blobless and shallow", []string{"--filter=blob:none", "--depth=1", "--no-single-branch"}, nil},
		{"by size", []string{"--filter=blob:limit=200"}, nil},
		{"borrowing", []string{"--reference", whole}, nil},
		{"of one branch", []string{"--single-branch"}, nil},
		{"sparse", nil, [][]string{{"sparse-checkout", "set", "nothing"}}},
		{"sparse from the start", []string{"--sparse", "--filter=blob:none"}, nil},
		{"configuration of the worktree", nil, [][]string{{"config", "extensions.worktreeConfig", "true"}}},
		{"packed", nil, [][]string{{"gc", "-q"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "clone")
			git(t, remote, append(append([]string{"clone", "-q"}, c.clone...), url, dir)...)
			for _, args := range c.after {
				git(t, dir, args...)
			}
			l := openLedger(t, dir)
			if f := mustFacts(t, l); f.Count != entries {
				t.Fatalf("%d entries, want %d", f.Count, entries)
			}
			if _, err := verify(t, l); err != nil {
				t.Fatal(err)
			}
			entries++
			mustAppend(t, openLedger(t, dir), trained(int(100+entries)))
			if f := mustFacts(t, openLedger(t, whole)); f.Count != entries {
				t.Fatalf("the others see %d entries, want %d", f.Count, entries)
			}
			r := openRepo(t, dir)
			head, err := r.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tree, err := r.Open(t.Context(), head.SHA)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := fs.ReadFile(tree, "data/d.csv"); err != nil || string(b) != "c" {
				t.Fatalf("the revision reads %q, %v", b, err)
			}
		})
	}
}

func TestSharedCloneBorrowsThroughAnother(t *testing.T) {
	remote, whole := filled(t, 2)
	want := mustFacts(t, openLedger(t, whole)).Count
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	git(t, remote, "clone", "-q", "--shared", whole, first)
	git(t, remote, "clone", "-q", "--shared", first, second)
	for _, dir := range []string{first, second} {
		git(t, dir, "remote", "set-url", "origin", "file://"+remote)
		if f := mustFacts(t, openLedger(t, dir)); f.Count != want {
			t.Fatalf("%d entries", f.Count)
		}
	}
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, second, "worktree", "add", "-q", linked)
	if f := mustFacts(t, openLedger(t, linked)); f.Count != want {
		t.Fatalf("%d entries in a linked worktree", f.Count)
	}
}

func TestShallowSaysHowToGetTheRest(t *testing.T) {
	remote, _ := filled(t, 3)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, remote, "clone", "-q", "--depth=1", "--no-single-branch", "file://"+remote, dir)
	l := openLedger(t, dir, func(o *Options) { o.Offline = true })
	_, err := l.Facts(t.Context())
	wantFault(t, err, fault.Missing)
	if !strings.Contains(fault.HintOf(err), "git fetch --unshallow") {
		t.Fatalf("the hint is %q", fault.HintOf(err))
	}
}

// TestPushURLIsWhereTheLedgerIs: one that is another repository than is fetched from is
// read too, as the ledger is nowhere else; one that is the same is only written by it.
func TestPushURLIsWhereTheLedgerIs(t *testing.T) {
	remote, whole := filled(t, 0)
	fork := filepath.Join(t.TempDir(), "fork.git")
	git(t, remote, "init", "-q", "--bare", fork)
	git(t, whole, "config", "remote.origin.pushurl", fork)
	l := openLedger(t, whole)
	mustAppend(t, l, trained(1))
	if out, err := tryGit(remote, "rev-parse", "--verify", "vishwa/ledger"); err == nil {
		was := git(t, whole, "rev-parse", "vishwa/ledger")
		if out == was {
			t.Fatal("the entry went to the address that is only fetched from")
		}
	}
	if got, want := git(t, fork, "rev-parse", "vishwa/ledger"), git(t, whole, "rev-parse", "vishwa/ledger"); got != want {
		t.Fatalf("the fork is at %s and this clone at %s", got, want)
	}
	again := mustFacts(t, openLedger(t, whole))
	if again.ByKey[key(1)] == nil {
		t.Fatal("the entry is not read back")
	}
}
