package repo

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
)

// survey reads all files below a, as a survey does, and tells which were not remembered.
func survey(t *testing.T, r *Repo, memory, head string) (read []string, held map[string]digest.Digest, same bool) {
	t.Helper()
	tree, ask := r.Watch(recall.Memory{Path: memory, Seal: filepath.Join(filepath.Dir(memory), "seal", "key")})
	w := tree.(*watched)
	held = map[string]digest.Digest{}
	err := fs.WalkDir(tree, "a", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, ok := w.Recall(p)
		if !ok {
			in, err := tree.Open(p)
			if err != nil {
				read, held[p] = append(read, p), ""
				return nil
			}
			f.Path = p
			if f.Digest, f.Size, err = digest.Reader(in); err != nil {
				return err
			}
			in.Close()
			w.Remember(f)
			read = append(read, p)
		}
		held[p] = f.Digest
		return nil
	})
	if err == nil {
		same, err = ask(t.Context(), head)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read, held, same
}

// A file whose size, times and inode are as they were is not read again; whatever is done to it, it is, and what it holds is told.
func TestAFileIsReadAgainWhereItMayHaveChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		reads  int
		same   bool
	}{
		"nothing":                {func(*testing.T, string) {}, 0, true},
		"other bytes":            {func(t *testing.T, dir string) { write(t, dir, "a/one", "A/one\n") }, 1, false},
		"other bytes, same time": {func(t *testing.T, dir string) { stealthily(t, filepath.Join(dir, "a/one"), "A/one\n") }, 1, false},
		"the same bytes again":   {func(t *testing.T, dir string) { write(t, dir, "a/one", "a/one\n") }, 1, true},
		"another file in its place": {func(t *testing.T, dir string) {
			write(t, dir, "aside", "A/one\n")
			was, err := os.Stat(filepath.Join(dir, "a/one"))
			if err == nil {
				err = os.Chtimes(filepath.Join(dir, "aside"), time.Time{}, was.ModTime())
			}
			if err == nil {
				err = os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, "a/one"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, 1, false},
		"a link in its place": {func(t *testing.T, dir string) {
			remove(t, dir, "a/one")
			if err := os.Symlink("deep/three", filepath.Join(dir, "a/one")); err != nil {
				t.Fatal(err)
			}
		}, 1, false},
		"a link in its folder's place": {func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "a/deep"), filepath.Join(dir, "b")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../b", filepath.Join(dir, "a/deep")); err != nil {
				t.Fatal(err)
			}
		}, 1, false},
		"a new file": {func(t *testing.T, dir string) { write(t, dir, "a/new", "x\n") }, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, memory := newRepo(t), filepath.Join(t.TempDir(), "files")
			for _, p := range []string{"a/one", "a/deep/three"} {
				write(t, dir, p, p+"\n")
			}
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-q", "-m", "second")
			time.Sleep(50 * time.Millisecond) // what was just written is read again
			head, r := git(t, dir, "rev-parse", "HEAD"), openRepo(t, dir)
			if read, _, same := survey(t, r, memory, head); len(read) != 2 || !same {
				t.Fatalf("the first reads %q, %v", read, same)
			}
			c.change(t, dir)
			read, held, same := survey(t, r, memory, head)
			if len(read) != c.reads || same != c.same {
				t.Errorf("it reads %q, want %d files, and is the same: %v", read, c.reads, same)
			}
			for p, d := range held {
				info, err := os.Lstat(filepath.Join(dir, p))
				if err != nil {
					t.Fatal(err)
				}
				if !info.Mode().IsRegular() {
					continue
				}
				b, err := os.ReadFile(filepath.Join(dir, p))
				if err != nil || digest.Of(b) != d {
					t.Errorf("%s is said to hold %s, %v", p, d, err)
				}
			}
		})
	}
}

// stealthily writes other bytes into a file, and gives it the time back that it had.
func stealthily(t *testing.T, path, text string) {
	t.Helper()
	was, err := os.Stat(path)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err == nil {
		err = os.Chtimes(path, time.Time{}, was.ModTime())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What was written while it was read, or just before, may be written once more within the same tick of the clock.
func TestAFileThatWasJustWrittenIsNotRemembered(t *testing.T) {
	dir, memory := newRepo(t), filepath.Join(t.TempDir(), "files")
	write(t, dir, "a/one", "a/one\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "second")
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "a/one"), future, future); err != nil {
		t.Fatal(err)
	}
	r := openRepo(t, dir)
	for range 2 {
		if read, _, _ := survey(t, r, memory, git(t, dir, "rev-parse", "HEAD")); len(read) != 1 {
			t.Errorf("it reads %q", read)
		}
	}
	if known := (recall.Memory{Path: memory, Seal: filepath.Join(filepath.Dir(memory), "seal", "key")}).Load(); len(known) != 0 {
		t.Errorf("it remembers %v", known)
	}
}

// Where a file's bytes are not what Git calls its content, nothing is remembered of them.
func TestWhatGitConvertsIsNotRemembered(t *testing.T) {
	dir, memory := newRepo(t), filepath.Join(t.TempDir(), "files")
	write(t, dir, "a/one", "a/one\n")
	write(t, dir, ".gitattributes", "* text eol=crlf\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "second")
	time.Sleep(50 * time.Millisecond)
	r := openRepo(t, dir)
	for range 2 {
		if read, _, _ := survey(t, r, memory, git(t, dir, "rev-parse", "HEAD")); len(read) != 1 {
			t.Errorf("it reads %q", read)
		}
	}
}
