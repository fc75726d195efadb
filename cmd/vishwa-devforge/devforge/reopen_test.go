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
	for _, err := range []error{
		first.RenameDefault("acme/models", "trunk"), first.Protect("acme/models", "trunk", devforge.Protection{NoDirectPush: true}),
		first.Publish("acme/models"), first.CreateRepo("acme", "other"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := first.Fork("acme/models", "bob"); err != nil {
		t.Fatal(err)
	}
	topic := strings.TrimSpace(git(t, bare, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit-tree", "-m", "second", "-p", commit, tree))
	git(t, filepath.Join(dir, "bob", "models.git"), "fetch", "-q", bare, topic)
	git(t, filepath.Join(dir, "bob", "models.git"), "update-ref", "refs/heads/topic", topic)
	first.Close()

	again := open()
	url, err := again.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if got := git(t, dir, "ls-remote", "--symref", url+"/acme/models.git", "HEAD"); !strings.Contains(got, "refs/heads/trunk") {
		t.Errorf("who has no account reads of one that is public: %s", got)
	}
	if err := exec.CommandContext(t.Context(), "git", "-c", "credential.helper=", "-c", "core.askPass=true", "ls-remote", url+"/acme/other.git").Run(); err == nil {
		t.Error("who has no account reads one that is not public")
	}
	if _, err := again.OpenPull(devforge.NewPull{Repo: "acme/models", Head: "bob:topic", Title: "From a fork", Author: "bob"}); err != nil {
		t.Errorf("a fork is one no more: %v", err)
	}
	if err := again.Grant("acme/models", "asha", "write"); err != nil {
		t.Fatal(err)
	}
	to := strings.Replace(url, "://", "://asha:"+again.Token("asha")+"@", 1) + "/acme/models.git"
	if out, err := exec.CommandContext(t.Context(), "git", "-C", bare, "push", to, topic+":refs/heads/trunk").CombinedOutput(); err == nil {
		t.Errorf("a protected branch takes a push: %s", out)
	}
	if err := again.CreateRepo("acme", "models"); err != nil {
		t.Errorf("a repository that was there is not taken for new: %v", err)
	}
	if err := again.CreateRepo("acme", "models"); err == nil {
		t.Error("the same repository is made twice")
	}
	if got := strings.TrimSpace(git(t, bare, "rev-parse", "refs/heads/trunk")); got != commit {
		t.Errorf("trunk is at %s, want %s", got, commit)
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
