package repo

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// TestOpenFindsTheRepository: from any folder of a checkout, a linked worktree, a bare repository.
func TestOpenFindsTheRepository(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "a/b/c.txt", "x")
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", linked)
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, dir, "clone", "-q", "--bare", dir, bare)
	want := git(t, dir, "rev-parse", "HEAD")
	for _, at := range []string{dir, filepath.Join(dir, "a/b"), linked, bare} {
		rev, err := openRepo(t, at).Head(t.Context())
		if err != nil || rev.SHA != want || rev.Subject != "first" || rev.Author != "Ada <ada@example.org>" || rev.Branch == "" {
			t.Errorf("%s: %+v, %v", at, rev, err)
		}
	}
	git(t, dir, "checkout", "-q", "--detach")
	if rev, err := openRepo(t, dir).Head(t.Context()); err != nil || rev.Branch != "" || rev.SHA != want {
		t.Errorf("detached: %+v, %v", rev, err)
	}
	tracked, err := Open(dir, Options{Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if rev, err := tracked.Head(t.Context()); err != nil || rev.Branch != "main" {
		t.Errorf("tracked: %+v, %v", rev, err)
	}
}

// TestWhereThereIsNothing: no repository, no commit, no branch, no revision are Missing, each with the way out.
func TestWhereThereIsNothing(t *testing.T) {
	gittest.NeedGit(t)
	empty := t.TempDir()
	git(t, empty, "init", "-q")
	dir := newRepo(t)
	sha := git(t, dir, "rev-parse", "HEAD:vishwa.yaml")
	for name, get := range map[string]func() error{
		"not a repository": func() error { _, err := Open(t.TempDir(), Options{}); return err },
		"no such folder":   func() error { _, err := Open("/no/such/folder", Options{}); return err },
		"empty repository": func() error { _, err := openRepo(t, empty).Head(t.Context()); return err },
		"no such branch": func() error {
			r, err := Open(dir, Options{Branch: "gone"})
			if err != nil {
				return err
			}
			_, err = r.Head(t.Context())
			return err
		},
		"no such revision": func() error {
			_, err := openRepo(t, dir).Open(t.Context(), "0123456789012345678901234567890123456789")
			return err
		},
		"a blob": func() error { _, err := openRepo(t, dir).Open(t.Context(), sha); return err },
	} {
		err := get()
		if fault.Of(err) != fault.Missing || fault.HintOf(err) == "" {
			t.Errorf("%s: %s %v, way out %q", name, fault.Of(err), err, fault.HintOf(err))
		}
	}
	for _, bad := range []string{"", "HEAD", "main", "-x", "--output=x", "0123"} {
		_, err := openRepo(t, dir).Open(t.Context(), bad)
		wantFault(t, err, fault.Invalid)
	}
}

// TestTreeIsAFileSystem: a revision and a checkout pass the standard library's own test, and hold the same bytes.
func TestTreeIsAFileSystem(t *testing.T) {
	dir := newRepo(t)
	outside := t.TempDir()
	write(t, outside, "secret", "s3cret")
	write(t, dir, "data/students.csv", "a,b\n1,2\n")
	write(t, dir, "data/deep/er/x.bin", string(make([]byte, 1<<17)))
	write(t, dir, "empty", "")
	for name, to := range map[string]string{"link": "vishwa.yaml", "out": filepath.Join(outside, "secret"), "away": outside, "up": "../.."} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "second")
	r := openRepo(t, dir)
	head, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revision, err := r.Open(t.Context(), head.SHA)
	if err != nil {
		t.Fatal(err)
	}
	for name, tree := range map[string]fs.FS{"revision": revision, "checkout": r.Worktree()} {
		for _, l := range []string{"link", "out", "away", "away/secret", "up/x"} {
			if b, err := fs.ReadFile(tree, l); err == nil {
				t.Errorf("%s: %s was followed to %q", name, l, b)
			}
		}
		if info, err := fs.Stat(tree, "out"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s: a link is shown as %v, %v", name, info, err)
		}
		if _, err := fs.Stat(tree, ".git/config"); err == nil {
			t.Errorf("%s: .git is there", name)
		}
	}
	write(t, dir, "vishwa.yaml", "kind: Changed\n")
	a, _ := fs.ReadFile(revision, "vishwa.yaml")
	b, _ := fs.ReadFile(r.Worktree(), "vishwa.yaml")
	if string(a) != "kind: Project\n" || string(b) != "kind: Changed\n" {
		t.Errorf("revision has %q, checkout %q", a, b)
	}
	git(t, dir, "checkout", "-q", "--", ".")
	for _, l := range []string{"link", "out", "away", "up"} {
		git(t, dir, "rm", "-q", l)
	}
	git(t, dir, "commit", "-q", "-m", "third")
	git(t, dir, "gc", "-q")
	head, err = r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if revision, err = r.Open(t.Context(), head.SHA); err != nil {
		t.Fatal(err)
	}
	var walked []digest.Digest
	for name, tree := range map[string]fs.FS{"revision": revision, "checkout": r.Worktree()} {
		if err := fstest.TestFS(tree, "vishwa.yaml", "data/students.csv", "data/deep/er/x.bin", "empty"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m, err := digest.Walk(tree)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		walked = append(walked, m.Digest())
	}
	if walked[0] != walked[1] {
		t.Error("revision and checkout hold different bytes")
	}
}

// TestAuthorsOfAChange: whoever wrote, committed or signed along with any commit of it, and nobody before.
func TestAuthorsOfAChange(t *testing.T) {
	dir := newRepo(t)
	base := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "checkout", "-q", "-b", "side")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "side\n\nCo-authored-by: Linus <linus@example.org>", "--author=Mary <mary@example.org>")
	git(t, dir, "checkout", "-q", "main")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "more\n\nco-authored-By:  Ken <ken@example.org>  ")
	mid := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "merge", "-q", "--no-edit", "side", "-m", "merge")
	tip := git(t, dir, "rev-parse", "HEAD")
	const ada, grace = "Ada <ada@example.org>", "Grace <grace@example.org>"
	for name, c := range map[string]struct {
		from, to string
		want     []string
	}{
		"alone":     {"", mid, []string{ada, grace, "Ken <ken@example.org>"}},
		"equal":     {base, base, []string{ada, grace}},
		"merge":     {base, tip, []string{ada, grace, "Ken <ken@example.org>", "Linus <linus@example.org>", "Mary <mary@example.org>"}},
		"last part": {mid, tip, []string{ada, grace, "Linus <linus@example.org>", "Mary <mary@example.org>"}},
		"back":      {tip, base, []string{ada, grace}},
	} {
		got, err := openRepo(t, dir).Authors(t.Context(), c.from, c.to)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}

// TestOneRemoteOneName: the remote names the repository, without the credentials of its URL.
func TestOneRemoteOneName(t *testing.T) {
	dir := newRepo(t)
	local := openRepo(t, dir).ID()
	git(t, dir, "remote", "add", "origin", "https://ada:hunter2@github.com/acme/ml.git")
	r := openRepo(t, dir)
	if r.ID() == local || r.ID() != digest.Of([]byte("github.com/acme/ml")) {
		t.Errorf("ID is %s", r.ID())
	}
	if u := r.RemoteURL("origin"); u != "https://github.com/acme/ml.git" {
		t.Errorf("URL is shown as %s", u)
	}
	if u := r.RemoteURL("other"); u != "" {
		t.Errorf("no remote has the URL %q", u)
	}
}

// TestBareHasNoWorktree: asking a bare repository for its checkout says so.
func TestBareHasNoWorktree(t *testing.T) {
	remote, _ := newClones(t, 0)
	_, err := fs.ReadFile(openRepo(t, remote).Worktree(), "vishwa.yaml")
	wantFault(t, err, fault.Missing, "bare")
}
