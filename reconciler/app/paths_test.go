package app

// Folders of several repositories on one machine.

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
)

// TestRepositoriesShareNoEnvironment: each seals what it says of them by its own key, so
// that in a shared folder one would clear away what the other has in use.
func TestRepositoriesShareNoEnvironment(t *testing.T) {
	lookup := func(name string) (string, bool) { return "/home/v", name == "HOME" }
	one, err := FindPaths(lookup, digest.Of([]byte("one")))
	if err != nil {
		t.Fatal(err)
	}
	other, err := FindPaths(lookup, digest.Of([]byte("other")))
	if err != nil {
		t.Fatal(err)
	}
	if one.Envs == other.Envs || one.Seal() == other.Seal() {
		t.Errorf("%+v and %+v meet", one, other)
	}
}

func TestStrangersReadNamesOfFolders(t *testing.T) {
	env := map[string]string{"HOME": "/srv/ctl", "VISHWA_KEYS": "/etc/vishwa/keys", "TMPDIR": "/var/tmp/ctl/"}
	named := map[string]string{}
	for _, f := range strange(func(name string) (string, bool) { v, ok := env[name]; return v, ok }) {
		named[f.Path] = f.Name
	}
	for path, name := range map[string]string{
		"/etc/vishwa/keys": "(the folder of keys)", "/srv/ctl/.local/state/vishwa": "(the state folder)", "/srv/ctl/.cache/vishwa": "(the cache folder)",
		"/srv/ctl": "~", "/var/tmp/ctl": "(the temporary folder)",
	} {
		if named[path] != name {
			t.Errorf("%s is called %q", path, named[path])
		}
	}
}

// TestFoldersAreCalledByNameWhereLinksLead: a program tells of the folder that it is in, and that is not how the variable spells it.
func TestFoldersAreCalledByNameWhereLinksLead(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Symlink("disk", home); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "disk", ".local", "state", "vishwa"), 0o700); err != nil {
		t.Fatal(err)
	}
	named := wrap.Named(strange(func(name string) (string, bool) { return home, name == "HOME" }))
	for text, want := range map[string]string{
		home + "/x":     "~/x",
		dir + "/disk/x": "~/x",
		dir + "/disk/.local/state/vishwa/ab/runs/": "(the state folder)/ab/runs/",
	} {
		if got := named(text); got != want {
			t.Errorf("%s is told as %s", text, got)
		}
	}
	if got := wrap.Named(strange(func(string) (string, bool) { return "", false }))("/tmp/a and /var/tmp/a"); got != "(the temporary folder)/a and /var/tmp/a" {
		t.Errorf("without a variable: %s", got)
	}
}
