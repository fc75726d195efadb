// A forge that is started again in its folder.

package devforge_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestRepositoriesOutliveTheForge(t *testing.T) {
	dir := t.TempDir()
	open := func() *devforge.Forge {
		f, err := devforge.New(devforge.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := open()
	if err := first.CreateRepo("acme", "models"); err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(dir, "acme", "models.git")
	tree := strings.TrimSpace(git(t, bare, "hash-object", "-t", "tree", "-w", "/dev/null"))
	commit := strings.TrimSpace(git(t, bare, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit-tree", "-m", "first", tree))
	git(t, bare, "update-ref", "refs/heads/main", commit)
	first.Close()

	again := open()
	if err := again.CreateRepo("acme", "models"); err != nil {
		t.Errorf("a repository that was there is not taken for new: %v", err)
	}
	if err := again.CreateRepo("acme", "models"); err == nil {
		t.Error("the same repository is made twice")
	}
	if got := strings.TrimSpace(git(t, bare, "rev-parse", "refs/heads/main")); got != commit {
		t.Errorf("main is at %s, want %s", got, commit)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
