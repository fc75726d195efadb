package app

// Folders of several repositories on one machine.

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
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
