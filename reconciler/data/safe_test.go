// What must not be lost, written elsewhere or waited for without end.

package data

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// soon fails where f does not end.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestALookEnds: whatever goes wrong, in as many folders at once as there are jobs.
func TestALookEnds(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		at := filepath.Join(dir, fmt.Sprint(i), "a", "b", "c")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("nowhere", filepath.Join(at, "link")); err != nil {
			t.Fatal(err)
		}
	}
	for _, jobs := range []int{1, 2, 8} {
		soon(t, func() {
			if _, err := findFiles(t.Context(), dir, nil, jobs); fault.Of(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), "leads nowhere") {
				t.Errorf("%d jobs: %v", jobs, err)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		soon(t, func() {
			if _, err := findFiles(ctx, dir, nil, jobs); fault.Of(err) != fault.Cancelled || err == nil {
				t.Errorf("%d jobs: %v, want Cancelled", jobs, err)
			}
		})
	}
}

// TestPointersStayOutOfGit: a pointer of somebody's repository writes no hook.
func TestPointersStayOutOfGit(t *testing.T) {
	for _, at := range []string{".git/hooks/post-checkout", "../.git/config", ".GIT/x", ".dvc/config", "a/.git/x", "."} {
		w := made(t, map[string]string{"sub/x": "x"}, nil)
		text := "outs:\n- md5: 9dd4e461268c8034f5c8564e155c67a6\n  size: 1\n  hash: md5\n  isexec: true\n  path: " + at + "\n"
		if err := os.WriteFile(filepath.Join(w.Root(), "sub", "p.dvc"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if at == "." {
			if err := os.Rename(filepath.Join(w.Root(), "sub", "p.dvc"), filepath.Join(w.Root(), "p.dvc")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Checkout(t.Context(), nil, true); fault.Of(err) != fault.Invalid || err == nil {
			t.Errorf("%s: %v, want Invalid", at, err)
		}
	}
}

func trees(w *Workspace) Revisions {
	return func(yield func(Tree, error) bool) { yield(Tree{"the work tree", os.DirFS(w.Root())}, nil) }
}

func write(t *testing.T, at, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGCLooksAgain: what was unneeded when it was counted and is pointed to when it goes
// stays, and what is being added is waited for.
func TestGCLooksAgain(t *testing.T) {
	w := made(t, map[string]string{"a": "one", "b": "two"}, nil)
	ctx := t.Context()
	if _, err := w.Add(ctx, []string{filepath.Join(w.Root(), "a"), filepath.Join(w.Root(), "b")}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"a.dvc", "b.dvc"} {
		if err := os.Remove(filepath.Join(w.Root(), p)); err != nil {
			t.Fatal(err)
		}
	}
	u, err := w.Unused(ctx, Kept{Trees: trees(w)})
	if err != nil || u.Objects != 2 {
		t.Fatalf("%+v, %v", u, err)
	}
	held, err := w.cache.Hold() // somebody adds a, while a person is asked
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		if err := u.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(200 * time.Millisecond)
	if !w.cache.Has(dvccache.SumOf([]byte("two")).OID) {
		t.Error("it did not wait")
	}
	if _, err := w.Add(ctx, []string{filepath.Join(w.Root(), "a")}); err != nil {
		t.Error(err)
	}
	held.Close()
	all.Wait()
	if !w.cache.Has(dvccache.SumOf([]byte("one")).OID) {
		t.Error("what is pointed to by now is gone")
	}
	if w.cache.Has(dvccache.SumOf([]byte("two")).OID) || u.Objects != 1 {
		t.Errorf("what is not stays: %+v", u)
	}
}

// TestPinKeepsWhatIsSavedNowhere: changed files, files that are ignored, and files that
// stand right but are not in the cache.
func TestPinKeepsWhatIsSavedNowhere(t *testing.T) {
	for name, spoil := range map[string]func(w *Workspace){
		"changed":   func(w *Workspace) { write(t, filepath.Join(w.Root(), "data/a"), "mine") },
		"ignored":   func(w *Workspace) { write(t, filepath.Join(w.Root(), "data/notes.tmp"), "mine") },
		"not saved": func(w *Workspace) { _ = os.RemoveAll(w.cache.Path(dvccache.SumOf([]byte("one")).OID)) },
		"":          func(*Workspace) {},
	} {
		w := made(t, map[string]string{"data/a": "one", "data/b": "two"}, nil)
		write(t, filepath.Join(w.Root(), ".dvcignore"), "*.tmp\n")
		if _, err := w.Add(t.Context(), []string{filepath.Join(w.Root(), "data")}); err != nil {
			t.Fatal(err)
		}
		spoil(w)
		fetched := filepath.Join(t.TempDir(), "new")
		write(t, filepath.Join(fetched, "a"), "newer")
		_, err := w.Pin(t.Context(), "data.dvc", fetched, nil)
		if name == "" {
			if b, _ := os.ReadFile(filepath.Join(w.Root(), "data/a")); err != nil || string(b) != "newer" {
				t.Errorf("%q, %v", b, err)
			}
			continue
		}
		if fault.Of(err) != fault.Conflict || err == nil {
			t.Errorf("%s: %v, want a Conflict", name, err)
		}
		if _, err := os.Stat(filepath.Join(w.Root(), "data/b")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAFolderInPlaceOfAFile, and the reverse, loses nothing that is saved nowhere.
func TestAFolderInPlaceOfAFile(t *testing.T) {
	w := made(t, map[string]string{"data/a": "one"}, nil)
	at := filepath.Join(w.Root(), "data")
	if _, err := w.Add(t.Context(), []string{at}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(at); err != nil {
		t.Fatal(err)
	}
	write(t, at, "a file of mine")
	for _, target := range []string{at, filepath.Join(at, "a")} {
		if _, err := w.Checkout(t.Context(), []string{target}, false); fault.Of(err) != fault.Conflict || err == nil {
			t.Errorf("%s: %v, want a Conflict", target, err)
		}
	}
	if _, err := w.Checkout(t.Context(), []string{at}, true); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(at, "a")); string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestAddsBesideEachOtherAreAllHidden: one .gitignore has a line for each.
func TestAddsBesideEachOtherAreAllHidden(t *testing.T) {
	files := map[string]string{}
	for i := range 12 {
		files[fmt.Sprintf("f%d", i)] = fmt.Sprint(i)
	}
	w := made(t, files, nil)
	if err := os.Mkdir(filepath.Join(filepath.Dir(w.Root()), ".git"), 0o755); err != nil { // above, as with dvc init --subdir
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for name := range files {
		all.Go(func() {
			if _, err := w.Add(t.Context(), []string{filepath.Join(w.Root(), name)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b, err := os.ReadFile(filepath.Join(w.Root(), ".gitignore"))
	for name := range files {
		if !strings.Contains(string(b), "/"+name+"\n") {
			t.Errorf("%s is not hidden: %v\n%s", name, err, b)
		}
	}
}

// TestANameThatEndsInSpacesIsHidden, and is shown again when it is removed: held against git.
func TestANameThatEndsInSpacesIsHidden(t *testing.T) {
	w := made(t, map[string]string{"trail  ": "one"}, nil)
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", w.Root()}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := git("init", "-q"); err != nil {
		t.Fatal(out, err)
	}
	at := filepath.Join(w.Root(), "trail  ")
	for range 2 { // the second time changes nothing
		if _, err := w.Add(t.Context(), []string{at}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := git("check-ignore", "-q", "trail  "); err != nil {
		t.Errorf("git does not ignore it: %s, %v", out, err)
	}
	if b, err := os.ReadFile(filepath.Join(w.Root(), ".gitignore")); err != nil || strings.Count(string(b), "trail") != 1 {
		t.Errorf("%q, %v", b, err)
	}
	if err := w.show("trail  "); err != nil {
		t.Fatal(err)
	}
	if out, err := git("check-ignore", "-q", "trail  "); err == nil {
		t.Errorf("git ignores it still: %s", out)
	}
}

// TestPinsBelowANameThatIsNoData: models.dvc may be about something else than models, and
// a repository inside of this one has its own pins.
func TestPinsBelowANameThatIsNoData(t *testing.T) {
	w := made(t, map[string]string{"models/a": "one", "weights": "two", "inner/b": "three"}, nil)
	if _, err := w.Add(t.Context(), []string{filepath.Join(w.Root(), "models", "a"), filepath.Join(w.Root(), "weights"), filepath.Join(w.Root(), "inner", "b")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(w.Root(), "weights.dvc"), filepath.Join(w.Root(), "models.dvc")); err != nil {
		t.Fatal(err)
	}
	if err := Init(filepath.Join(w.Root(), "inner")); err != nil {
		t.Fatal(err)
	}
	outs, err := w.Outputs(t.Context(), nil)
	if err != nil || len(outs) != 2 || outs[0].Path != "models/a" || outs[1].Path != "weights" {
		t.Errorf("%+v, %v", outs, err)
	}
}

// TestALinkToAnObjectThatWent is put right by a checkout, once the object is there again.
func TestALinkToAnObjectThatWent(t *testing.T) {
	w := made(t, map[string]string{"data/a": "one", "data/b": "two"}, nil)
	write(t, filepath.Join(w.Root(), ".dvc", "config"), "[cache]\n    type = symlink\n")
	w, err := Open(w.Root(), w.o)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(w.Root(), "data")
	if _, err := w.Add(t.Context(), []string{at}); err != nil {
		t.Fatal(err)
	}
	object := w.cache.Path(dvccache.SumOf([]byte("one")).OID)
	if err := os.Rename(object, object+".away"); err != nil {
		t.Fatal(err)
	}
	if all, err := w.Status(t.Context(), nil); err != nil || len(all) != 1 || len(all[0].Deleted) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := os.Remove(object + ".away"); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.cache.Insert(t.Context(), strings.NewReader("one"), ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(at, "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Checkout(t.Context(), nil, false); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"a": "one", "b": "two"} {
		if b, err := os.ReadFile(filepath.Join(at, name)); string(b) != want {
			t.Errorf("%s is %q, %v", name, b, err)
		}
	}
}
