package repo

import (
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestWatchSeesWhatChangesAnything: a yes is only said of the same bytes under the
// same names; what nobody read does not matter.
func TestWatchSeesWhatChangesAnything(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   bool
	}{
		"nothing":               {func(*testing.T, string) {}, true},
		"a byte":                {func(t *testing.T, dir string) { write(t, dir, "a/one", "Two\n") }, false},
		"a byte nobody read":    {func(t *testing.T, dir string) { write(t, dir, "b/two", "x\n") }, true},
		"a name nobody read":    {func(t *testing.T, dir string) { write(t, dir, "stray", "x\n") }, true},
		"a new file in a walk":  {func(t *testing.T, dir string) { write(t, dir, "a/new", "x\n") }, false},
		"a file less in a walk": {func(t *testing.T, dir string) { remove(t, dir, "a/deep/three") }, false},
		"what was absent":       {func(t *testing.T, dir string) { write(t, dir, "absent", "x\n") }, false},
		"a link for a file": {func(t *testing.T, dir string) {
			remove(t, dir, "a/deep/three")
			if err := os.Symlink("../one", filepath.Join(dir, "a/deep/three")); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			for _, p := range []string{"a/one", "a/deep/three", "b/two"} {
				write(t, dir, p, p+"\n")
			}
			git(t, dir, "add", ".")
			git(t, dir, "commit", "-q", "-m", "second")
			c.change(t, dir)
			tree, same := openRepo(t, dir).Watch(recall.Memory{})
			_ = fs.WalkDir(tree, "a", func(p string, e fs.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					_, _ = fs.ReadFile(tree, p) // a link cannot be read
				}
				return nil
			})
			_, _ = fs.ReadFile(tree, "absent")
			if got, err := same(t.Context(), git(t, dir, "rev-parse", "HEAD")); err != nil || got != c.want {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// TestWatchTrustsNoHalfReading: what was read in part, or twice with two contents,
// is never the same.
func TestWatchTrustsNoHalfReading(t *testing.T) {
	dir := newRepo(t)
	head := git(t, dir, "rev-parse", "HEAD")
	tree, same := openRepo(t, dir).Watch(recall.Memory{})
	f, err := tree.Open("vishwa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(f, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got, err := same(t.Context(), head); err != nil || got {
		t.Fatalf("half a file: %v, %v", got, err)
	}

	tree, same = openRepo(t, dir).Watch(recall.Memory{})
	whole, _ := fs.ReadFile(tree, "vishwa.yaml")
	write(t, dir, "vishwa.yaml", "other\n")
	_, _ = fs.ReadFile(tree, "vishwa.yaml")
	write(t, dir, "vishwa.yaml", string(whole))
	_, _ = fs.ReadFile(tree, "vishwa.yaml")
	if got, err := same(t.Context(), head); err != nil || got {
		t.Fatalf("two contents: %v, %v", got, err)
	}
}
