// Clones as people make them: what Git works with, Vishwa works with, or says why not.

package repo

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
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

// TestMirrorBorrowsNothing: whoever can write into a mirror's folder must not have it
// read objects from elsewhere.
func TestMirrorBorrowsNothing(t *testing.T) {
	_, whole := filled(t, 1)
	dir := filepath.Join(t.TempDir(), "mirror")
	git(t, whole, "clone", "-q", "--bare", "--shared", whole, dir)
	sha := git(t, whole, "rev-parse", "HEAD")
	r, err := Open(dir, Options{URL: "file://" + whole})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Open(t.Context(), sha)
	wantFault(t, err, fault.Missing)
}

func TestShallowSaysHowToGetTheRest(t *testing.T) {
	remote, _ := filled(t, 3)
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, remote, "clone", "-q", "--depth=1", "--no-single-branch", "file://"+remote, dir)
	l := openLedger(t, dir, func(o *LedgerOptions) { o.Offline = true })
	_, err := l.Facts(t.Context())
	wantFault(t, err, fault.Missing)
	if !strings.Contains(fault.HintOf(err), "git fetch --unshallow") {
		t.Fatalf("the hint is %q", fault.HintOf(err))
	}
}

func TestFormatsThatCannotBeReadAreRefused(t *testing.T) {
	needGit(t)
	dir := t.TempDir()
	if out, err := tryGit(dir, "init", "-q", "--object-format=sha256"); err != nil {
		t.Skipf("this git makes no such repository: %s", out)
	}
	_, err := Open(dir, Options{})
	wantFault(t, err, fault.Invalid, "sha256")
	dir = newRepo(t)
	git(t, dir, "config", "core.repositoryFormatVersion", "1")
	git(t, dir, "config", "extensions.refStorage", "reftable")
	_, err = Open(dir, Options{})
	wantFault(t, err, fault.Invalid)
	if !strings.Contains(fault.HintOf(err), "--ref-format") {
		t.Fatalf("the hint is %q", fault.HintOf(err))
	}
}

func TestDubiousOwnershipIsRefusedAsGitDoes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives folders away")
	}
	t.Setenv("SUDO_UID", "")
	for _, bare := range []bool{false, true} {
		dir := newRepo(t)
		if bare {
			to := filepath.Join(t.TempDir(), "bare.git")
			git(t, dir, "clone", "-q", "--bare", dir, to)
			dir = to
		}
		err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = os.Chown(p, 12345, 12345)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		config := filepath.Join(t.TempDir(), "config")
		t.Setenv("GIT_CONFIG_GLOBAL", config)
		_, err = Open(dir, Options{})
		wantFault(t, err, fault.Denied, "dubious ownership")
		if !strings.Contains(fault.HintOf(err), "safe.directory") {
			t.Fatalf("the hint is %q", fault.HintOf(err))
		}
		write(t, filepath.Dir(config), "config", "[safe]\n\tdirectory = "+dir+"\n")
		r, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

func TestRemoteIsWhereTheConfigurationSays(t *testing.T) {
	dir, homeDir := newRepo(t), t.TempDir()
	global := filepath.Join(homeDir, "config")
	t.Setenv("GIT_CONFIG_GLOBAL", global)
	write(t, homeDir, "config", "[include]\n\tpath = more\n[includeIf \"gitdir:"+dir+"/\"]\n\tpath = here\n[url \"https://git.example.com/\"]\n\tinsteadOf = gh:\n\tinsteadOf = nobody:\n")
	write(t, homeDir, "more", "[url \"ssh://git@push.example.com/\"]\n\tpushInsteadOf = https://plain.example.com/\n")
	write(t, homeDir, "here", "[remote \"conditional\"]\n\turl = gh:acme/c\n[user]\n\tname = Ada Here\n")
	for _, args := range [][]string{
		{"remote", "add", "origin", "gh:acme/m"}, {"remote", "add", "plain", "https://plain.example.com/acme/m"},
		{"remote", "add", "split", "https://read.example.com/m"}, {"config", "remote.split.pushurl", "gh:fork/m"},
	} {
		git(t, dir, args...)
	}
	r := openRepo(t, dir)
	for name, want := range map[string]gitremote.Addresses{
		"origin":      {Fetch: "https://git.example.com/acme/m", Push: "https://git.example.com/acme/m"},
		"plain":       {Fetch: "https://plain.example.com/acme/m", Push: "ssh://git@push.example.com/acme/m"},
		"split":       {Fetch: "https://read.example.com/m", Push: "https://git.example.com/fork/m"},
		"conditional": {Fetch: "https://git.example.com/acme/c", Push: "https://git.example.com/acme/c"},
		"none":        {},
	} {
		got, err := r.place.own.Remote(name)
		if err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, err, want)
		}
		for i, args := range [][]string{{"remote", "get-url", name}, {"remote", "get-url", "--push", name}} {
			if at, err := r.place.own.Ask(t.Context(), nil, args...); err == nil && trimmed(at) != [2]string{got.Fetch, got.Push}[i] {
				t.Errorf("git %s says %s, and Vishwa %v", strings.Join(args, " "), at, got)
			}
		}
	}
	if name, _ := r.Person(); name != "Ada Here" {
		t.Errorf("the user is %q", name)
	}
	git(t, dir, "config", "--add", "remote.split.pushurl", "gh:third/m")
	_, err := openRepo(t, dir).place.own.Remote("split")
	wantFault(t, err, fault.Invalid, "2 addresses")
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
