package data

import (
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// What DVC says is os.path.expanduser's, and then the folder of the configuration file.
func TestPathsOfTheConfigurationAsDVCReadsThem(t *testing.T) {
	home := func(name string) (string, bool) { return "/home/me", name == "HOME" }
	for p, want := range map[string]string{
		"": "", "~": "/home/me", "~/": "/home/me", "~/a b": "/home/me/a b", "~/../x": "/home/x", "~nobody-of-that-name/x": "/r/.dvc/~nobody-of-that-name/x",
		"a/~": "/r/.dvc/a/~", "../c": "/r/c", "/abs/~": "/abs/~", "./~/x": "/r/.dvc/~/x",
	} {
		if got := configured(p, "/r/.dvc", home); got != want {
			t.Errorf("%q is %q, want %q", p, got, want)
		}
	}
}

func TestRemoteInTheHomeFolder(t *testing.T) {
	home := t.TempDir()
	env := port.Env{Lookup: func(name string) (string, bool) { return home, name == "HOME" }}
	for _, base := range []string{t.TempDir(), ""} { // without a checkout, too: it is a whole path
		c := &dvc.Config{}
		c.Set(dvc.RemoteSection("s"), "url", "~/rem")
		r, err := OpenRemote(c, "s", base, env, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Bucket.Put(t.Context(), "k", nil, 0); err != nil {
			t.Fatal(err)
		}
		if got, _ := filepath.Glob(filepath.Join(home, "rem", "*")); len(got) != 1 {
			t.Errorf("%s has %v", home, got)
		}
	}
}
