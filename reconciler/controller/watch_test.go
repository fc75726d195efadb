// The refs of local repositories are watched, whatever Git does with its files.

package controller

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".lock", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".lock", path); err != nil {
		t.Fatal(err)
	}
}

// local makes the files of a bare repository.
func local(t *testing.T, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "HEAD"), "ref: refs/heads/main\n")
	write(t, filepath.Join(dir, "refs/heads/main"), "1\n")
}

// TestLocalRefsAreSeenAtOnce: with a poll that never comes, each change of the refs
// is one look, soon; what is no ref is none.
func TestLocalRefsAreSeenAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	local(t, dir)
	f := newFake("repo")
	config := fast()
	config.Poll = time.Hour
	config.Repositories = []ConfigRepository{{Path: dir}}
	start(t, Options{Config: config, Sites: []Repository{f}})
	until(t, "the first look", func() bool { return f.looked() == 1 })
	looks := 1
	change := func(what string, do func()) {
		t.Helper()
		do()
		looks++
		until(t, what, func() bool { return f.looked() >= looks })
		time.Sleep(3 * settling) // long enough that a second look would show
		const slow = 2           // a loaded machine may take longer over a change than a burst lasts
		if got := f.looked(); got > looks+slow {
			t.Errorf("%s: %d looks, want %d", what, got, looks)
		}
		looks = f.looked()
	}
	at := func(p string) string { return filepath.Join(dir, p) }
	change("a push", func() { write(t, at("refs/heads/main"), "2\n") })
	change("a burst", func() {
		for range 50 {
			write(t, at("refs/heads/main"), "3\n")
		}
	})
	change("refs packed", func() {
		write(t, at("packed-refs"), "3 refs/heads/main\n")
		if err := os.Remove(at("refs/heads/main")); err != nil {
			t.Fatal(err)
		}
	})
	change("a branch in a new folder", func() { write(t, at("refs/heads/feature/deep/x"), "1\n") })
	change("a push to it", func() { write(t, at("refs/heads/feature/deep/x"), "2\n") })
	change("another default branch", func() { write(t, at("HEAD"), "ref: refs/heads/next\n") })
	write(t, at("config"), "[core]\n")
	write(t, at("FETCH_HEAD"), "x\n")
	write(t, at("objects/ab/cd"), "x\n")
	change("nothing but the next push", func() { write(t, at("refs/heads/next"), "1\n") })
}

// TestAChangeDuringTheFirstLookIsSeen: the refs are watched before they are asked for.
func TestAChangeDuringTheFirstLookIsSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	local(t, dir)
	f := newFake("repo")
	asked := make(chan struct{}, 9)
	answer := make(chan struct{})
	f.onRefs = func(context.Context) error {
		asked <- struct{}{}
		<-answer
		return nil
	}
	config := fast()
	config.Poll = time.Hour
	config.Repositories = []ConfigRepository{{Path: dir}}
	start(t, Options{Config: config, Sites: []Repository{f}})
	<-asked
	write(t, filepath.Join(dir, "refs/heads/main"), "2\n")
	close(answer)
	until(t, "the look after it", func() bool { return f.looked() >= 2 })
}

// TestARepositoryThatIsMadeAnewIsWatchedAgain: the poll finds it, and then events do.
func TestARepositoryThatIsMadeAnewIsWatchedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo")
	local(t, dir)
	f := newFake("repo")
	config := fast()
	config.Poll = 300 * time.Millisecond
	config.Repositories = []ConfigRepository{{Path: dir}}
	r := start(t, Options{Config: config, Sites: []Repository{f}})
	watched := func() bool {
		w := r.Controller.watch
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.roots) == 1
	}
	until(t, "watched", watched)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	until(t, "watch lost", func() bool { return !watched() })
	local(t, dir)
	until(t, "watched again", watched)
	r.Controller.watch.mu.Lock()
	n := len(r.Controller.watch.dirs)
	r.Controller.watch.mu.Unlock()
	if n != 3 {
		t.Errorf("%d folders are watched", n)
	}
}

func TestTheGitFolderIsFound(t *testing.T) {
	dir := t.TempDir()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	local(t, filepath.Join(dir, "bare"))
	local(t, filepath.Join(dir, "tree/.git"))
	write(t, filepath.Join(dir, "tree/.git/worktrees/linked/HEAD"), "x\n")
	write(t, filepath.Join(dir, "tree/.git/worktrees/linked/commondir"), "../..\n")
	write(t, filepath.Join(dir, "linked/.git"), "gitdir: ../tree/.git/worktrees/linked\n")
	for path, want := range map[string]string{"bare": "bare", "tree": "tree/.git", "tree/.git": "tree/.git", "linked": "tree/.git"} {
		got, err := gitFolder(filepath.Join(dir, path))
		if err != nil || got != filepath.Join(real, want) {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
	if _, err := gitFolder(dir); err == nil {
		t.Error("a folder without a repository has a Git folder")
	}
}
