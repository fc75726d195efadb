// What git status calls clean reads as the commit has it, and what it names reads as it
// is: held against the real git, conversion by conversion.

package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
)

// rot is a filter that anybody can write; whoever runs it leaves a mark.
func rot(t *testing.T, dir, mark string) {
	git(t, dir, "config", "filter.rot.clean", "tr a-z n-za-m")
	git(t, dir, "config", "filter.rot.smudge", "touch '"+mark+"'; tr a-z n-za-m")
	git(t, dir, "config", "filter.rot.required", "true")
}

// largeFiles is what Git LFS does, in two lines of shell.
func largeFiles(t *testing.T, dir, keep string) {
	write(t, keep, "clean", "#!/bin/sh\nt=$(mktemp); cat > $t; h=$(sha256sum $t | cut -d' ' -f1); mkdir -p "+keep+"; cp $t "+keep+"/$h; rm $t\nprintf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $h $(stat -c %s "+keep+"/$h)\n")
	git(t, dir, "config", "filter.lfs.clean", "sh "+keep+"/clean")
	git(t, dir, "config", "filter.lfs.smudge", "cat "+keep+"/$(sed -n 's/^oid sha256://p')")
	git(t, dir, "config", "filter.lfs.required", "true")
}

func TestWhatGitCallsCleanReadsAsTheCommit(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	const file = "data/d.csv"
	for name, c := range map[string]struct {
		attributes string
		set        []string // of the configuration, in pairs
		disk       string
		read       string // "" is what stands on disk
		more       func(t *testing.T, dir string)
	}{
		"autocrlf":            {"", []string{"core.autocrlf", "true"}, "a,b\r\n1,2\r\n", "a,b\n1,2\n", nil},
		"autocrlf input":      {"", []string{"core.autocrlf", "input"}, "a,b\r\n1,2\r\n", "a,b\n1,2\n", nil},
		"eol=crlf":            {"*.csv text eol=crlf", nil, "a,b\r\n1,2\r\n", "a,b\n1,2\n", nil},
		"text=auto and eol":   {"* text=auto", []string{"core.eol", "crlf"}, "a,b\r\n1,2\r\n", "a,b\n1,2\n", nil},
		"crlf of old":         {"*.csv crlf", []string{"core.eol", "crlf"}, "a,b\r\n1,2\r\n", "a,b\n1,2\n", nil},
		"encoding":            {"*.csv text working-tree-encoding=UTF-16LE", nil, "a\x00,\x00b\x00\n\x00", "a,b\n", nil},
		"ident":               {"*.csv ident", nil, "# $Id: 0123 $\na,b\n", "# $Id$\na,b\n", nil},
		"filter":              {"*.csv filter=rot", nil, "a,b\nx,y\n", "", func(t *testing.T, dir string) { rot(t, dir, dir+"/.git/mark") }},
		"filter and eol":      {"*.csv text eol=crlf filter=rot", nil, "a,b\r\n", "", func(t *testing.T, dir string) { rot(t, dir, dir+"/.git/mark") }},
		"large":               {"*.csv filter=lfs -text", nil, "a,b\n5,6\n", "", func(t *testing.T, dir string) { largeFiles(t, dir, dir+"/.git/kept") }},
		"attributes beside":   {"", nil, "a,b\r\n", "a,b\n", func(t *testing.T, dir string) { write(t, dir, "data/.gitattributes", "*.csv text") }},
		"attributes of Git's": {"", nil, "a,b\r\n", "a,b\n", func(t *testing.T, dir string) { write(t, dir, ".git/info/attributes", "*.csv text") }},
		"attributes of users": {"", nil, "a,b\r\n", "a,b\n", func(t *testing.T, dir string) {
			write(t, dir, ".git/mine", "*.csv text")
			git(t, dir, "config", "core.attributesFile", dir+"/.git/mine")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			for i := 0; i < len(c.set); i += 2 {
				git(t, dir, "config", c.set[i], c.set[i+1])
			}
			if c.more != nil {
				c.more(t, dir)
			}
			if c.attributes != "" {
				write(t, dir, ".gitattributes", c.attributes+"\n")
			}
			write(t, dir, file, c.disk)
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-q", "-m", "data")
			if said := git(t, dir, "status", "--short"); said != "" {
				t.Fatalf("the case is wrong: git status says %s", said)
			}
			want := c.read
			if want == "" {
				want = c.disk
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
			if b, err := fs.ReadFile(tree, file); err != nil || name != "filter and eol" && string(b) != want {
				t.Errorf("the commit reads %q, %v; want %q", b, err, want)
			}
			work, same := r.Watch(recall.Memory{})
			a, errA := fs.ReadFile(tree, file)
			b, errB := fs.ReadFile(work, file)
			if errA != nil || errB != nil || string(a) != string(b) {
				t.Errorf("the commit reads %q and the checkout %q: %v, %v", a, b, errA, errB)
			}
			if info, err := fs.Stat(work, file); err != nil || info.Size() != int64(len(b)) {
				t.Errorf("its size is %v, %v", info, err)
			}
			if is, err := same(t.Context(), head.SHA); err != nil || !is {
				t.Errorf("the checkout is not the commit: %v", err)
			}
			write(t, dir, file, "changed\r\n")
			work, same = r.Watch(recall.Memory{})
			if b, err := fs.ReadFile(work, file); err != nil || string(b) != "changed\r\n" {
				t.Errorf("changed, it reads %q, %v", b, err)
			}
			if is, err := same(t.Context(), head.SHA); err != nil || is {
				t.Errorf("a changed checkout is the commit: %v", err)
			}
		})
	}
}

// TestMirrorRunsNoFilter: what a pull request names in .gitattributes does nothing in a
// mirror, whoever wrote its configuration.
func TestMirrorRunsNoFilter(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(t.TempDir(), "config"))
	dir := newRepo(t)
	mark := filepath.Join(t.TempDir(), "mark")
	rot(t, dir, mark)
	write(t, filepath.Dir(os.Getenv("GIT_CONFIG_GLOBAL")), "config", "[filter \"rot\"]\n\tsmudge = touch '"+mark+"'; cat\n\tclean = cat\n")
	write(t, dir, ".gitattributes", "*.csv filter=rot\n")
	write(t, dir, "d.csv", "abc\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "data")
	os.Remove(mark)
	for _, where := range []string{dir, filepath.Join(dir, ".git")} {
		r, err := Open(where, Options{URL: "https://git.example.com/m"})
		if err != nil {
			t.Fatal(err)
		}
		tree, err := r.Open(t.Context(), git(t, dir, "rev-parse", "HEAD"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := fs.ReadFile(tree, "d.csv"); err != nil || string(b) != "nop\n" {
			t.Errorf("it reads %q, %v", b, err)
		}
		r.Close()
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a filter was run")
	}
}

func TestLargeFilesAreTheirContentWhereItIsHere(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	content := "a,b\n1,2\n"
	sum := sha256.Sum256([]byte(content))
	oid := hex.EncodeToString(sum[:])
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content))
	dir := newRepo(t)
	write(t, dir, ".gitattributes", "*.csv filter=lfs -text\n")
	write(t, dir, "d.csv", pointer) // as without git-lfs
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "data")
	read := func() string {
		r := openRepo(t, dir)
		tree, err := r.Open(t.Context(), git(t, dir, "rev-parse", "HEAD"))
		if err != nil {
			t.Fatal(err)
		}
		a, errA := fs.ReadFile(tree, "d.csv")
		b, errB := fs.ReadFile(r.Worktree(), "d.csv")
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Fatalf("%q and %q, %v, %v", a, b, errA, errB)
		}
		return string(a)
	}
	if got := read(); got != pointer {
		t.Errorf("it reads %q where the content is nowhere", got)
	}
	at := filepath.Join(".git/lfs/objects", oid[:2], oid[2:4], oid)
	write(t, dir, at, "a,b\n9,9\n")
	if got := read(); got != pointer {
		t.Errorf("it reads %q where other content has its name", got)
	}
	write(t, dir, at, content)
	if got := read(); got != content {
		t.Errorf("it reads %q where the content is here", got)
	}
	os.RemoveAll(filepath.Join(dir, ".git/lfs"))
	write(t, dir, ".git/shared/objects/"+oid[:2]+"/"+oid[2:4]+"/"+oid, content)
	git(t, dir, "config", "lfs.storage", "shared")
	if got := read(); got != content {
		t.Errorf("it reads %q where lfs.storage has the content", got)
	}
}

func TestSparseCheckoutIsClean(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := newRepo(t)
	files := map[string]string{"in/a": "1", "in/deep/b": "2", "out/c": "3", "out/deep/d": "4"}
	for name, text := range files {
		write(t, dir, name, text)
	}
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "files")
	for _, args := range [][]string{{"set", "in"}, {"set", "--no-cone", "/in/deep/"}, {"set", "--sparse-index", "in"}} {
		git(t, dir, append([]string{"sparse-checkout"}, args...)...)
		r := openRepo(t, dir)
		work, same := r.Watch(recall.Memory{})
		if err := fstest.TestFS(work, "in/a", "in/deep/b", "out/c", "out/deep/d"); err != nil {
			t.Errorf("%v: %v", args, err)
		}
		if is, err := same(t.Context(), git(t, dir, "rev-parse", "HEAD")); err != nil || !is {
			t.Errorf("%v: the checkout is not the commit: %v", args, err)
		}
		if name, err := r.Tracked(t.Context(), "out"); err != nil || name != "out/c" {
			t.Errorf("%v: %s is tracked, %v", args, name, err)
		}
	}
}

func TestRepositoriesWithinHaveNoFiles(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir, other := newRepo(t), newRepo(t)
	git(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", other, "lib/sub")
	git(t, dir, "commit", "-q", "-m", "submodule")
	plain, staged := filepath.Join(t.TempDir(), "plain"), newRepo(t) // of neither are the submodule's files here
	git(t, dir, "clone", "-q", dir, plain)
	git(t, staged, "update-index", "--add", "--cacheinfo", "160000,"+strings.TrimSpace(git(t, other, "rev-parse", "HEAD"))+",lib/sub")
	if err := os.MkdirAll(filepath.Join(staged, "lib/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := openRepo(t, dir)
	tree, err := r.Open(t.Context(), git(t, dir, "rev-parse", "HEAD"))
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range []fs.FS{tree, r.Worktree(), openRepo(t, plain).Worktree(), openRepo(t, staged).Worktree()} {
		info, err := fs.Stat(view, "lib/sub")
		if err != nil || !info.IsDir() || info.Mode()&fs.ModeIrregular == 0 {
			t.Errorf("it is %v, %v", info, err)
		}
		l, err := fs.ReadDir(view, "lib")
		if err != nil || len(l) != 1 || !l[0].IsDir() || l[0].Type()&fs.ModeIrregular == 0 {
			t.Errorf("the folder above lists %v, %v", l, err)
		}
		if l, err := fs.ReadDir(view, "lib/sub"); err != nil || len(l) != 0 {
			t.Errorf("it lists %v, %v", l, err)
		}
	}
	for _, at := range []string{dir, plain} {
		_, err = fs.ReadFile(openRepo(t, at).Worktree(), "lib/sub/vishwa.yaml")
		wantFault(t, err, fault.Invalid, "a Git repository of its own")
	}
}

// TestFilesThatGitDoesNotWatchAreNamed: those that git update-index marked in either way, and
// none in a sparse checkout, where the mark says that a file is left out.
func TestFilesThatGitDoesNotWatchAreNamed(t *testing.T) {
	dir := newRepo(t)
	for _, name := range []string{"skipped", "assumed", "both", "watched"} {
		write(t, dir, name, name)
	}
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "files")
	git(t, dir, "update-index", "--skip-worktree", "skipped", "both")
	git(t, dir, "update-index", "--assume-unchanged", "assumed", "both")
	got, err := openRepo(t, dir).Unwatched(t.Context())
	if want := []string{"assumed", "both", "skipped"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, mark := range []string{"--no-skip-worktree", "--no-assume-unchanged"} { // git takes one of them at a time
		git(t, dir, "update-index", mark, "skipped", "both", "assumed")
	}
	if got, err = openRepo(t, dir).Unwatched(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("unmarked: %q, %v", got, err)
	}
	git(t, dir, "sparse-checkout", "set", "--no-cone", "/watched")
	if got, err = openRepo(t, dir).Unwatched(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("sparse: %q, %v", got, err)
	}
}
