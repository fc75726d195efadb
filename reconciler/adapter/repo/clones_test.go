// Clones of every kind are opened, or refused as Git does.

package repo

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// TestMirrorBorrowsNothing: whoever can write into a mirror's folder must not have it
// read objects from elsewhere.
func TestMirrorBorrowsNothing(t *testing.T) {
	_, clones := newClones(t, 1)
	whole := clones[0]
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

func TestFormatsThatCannotBeReadAreRefused(t *testing.T) {
	gittest.NeedGit(t)
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
		got, err := r.place.Own.Remote(name)
		if err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, err, want)
		}
		for i, args := range [][]string{{"remote", "get-url", name}, {"remote", "get-url", "--push", name}} {
			if at, err := r.place.Own.Ask(t.Context(), nil, args...); err == nil && strings.TrimSpace(string(at)) != [2]string{got.Fetch, got.Push}[i] {
				t.Errorf("git %s says %s, and Vishwa %v", strings.Join(args, " "), at, got)
			}
		}
	}
	if name, _ := r.Person(); name != "Ada Here" {
		t.Errorf("the user is %q", name)
	}
	git(t, dir, "config", "--add", "remote.split.pushurl", "gh:third/m")
	_, err := openRepo(t, dir).place.Own.Remote("split")
	wantFault(t, err, fault.Invalid, "2 addresses")
}

// TestTheUsualRemoteIsTheOneThatGitGoesBy: origin where there is one, else the branch's, else
// the only one; of several, none is guessed.
func TestTheUsualRemoteIsTheOneThatGitGoesBy(t *testing.T) {
	dir := newRepo(t)
	main := strings.TrimSpace(git(t, dir, "branch", "--show-current"))
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"status"}, "origin"}, // none: the name that one would have
		{[]string{"remote", "add", "upstream", "https://git.example.com/a"}, "upstream"},
		{[]string{"remote", "add", "fork", "https://git.example.com/b"}, "origin"},
		{[]string{"config", "branch." + main + ".remote", "fork"}, "fork"},
		{[]string{"config", "branch." + main + ".remote", "https://git.example.com/c"}, "origin"},
		{[]string{"config", "branch." + main + ".remote", "fork"}, "fork"},
		{[]string{"remote", "add", "origin", "https://git.example.com/o"}, "origin"},
	} {
		git(t, dir, step.args...)
		if got := openRepo(t, dir).Place().Remote; got != step.want {
			t.Errorf("after git %s: %s; want %s", strings.Join(step.args, " "), got, step.want)
		}
	}
}
