// A declaration has a token of its own repository's folder sent, and no other file of this machine.

package token

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestARepositoryReadsTheTokensOfItsOwnFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"all": "a", "one/airflow": "b", "two/airflow": "c"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../two/airflow", filepath.Join(dir, "one", "link")); err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{FolderVariable: dir, "VISHWA_RAY_TOKEN": "d"}[name]
		return v, ok
	}
	one := Below(lookup, "one")
	for _, c := range []struct {
		lookup func(string) (string, bool)
		place  Place
		want   string
	}{
		{lookup, Place{File: filepath.Join(dir, "all")}, "a"},
		{lookup, Place{File: filepath.Join(dir, "two", "airflow")}, "c"},
		{one, Place{File: filepath.Join(dir, "one", "airflow")}, "b"},
		{one, Place{File: filepath.Join(dir, "two", "airflow")}, ""},
		{one, Place{File: filepath.Join(dir, "one", "..", "two", "airflow")}, ""},
		{one, Place{File: filepath.Join(dir, "one", "link")}, ""},
		{one, Place{File: filepath.Join(dir, "all")}, ""},
		{one, Place{Variable: "VISHWA_RAY_TOKEN"}, "d"},
		{Below(func(string) (string, bool) { return "", false }, "one"), Place{File: "/etc/passwd"}, ""},
	} {
		got, err := Read(c.lookup, c.place)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && fault.HintOf(err) == "" {
			t.Errorf("%+v: %q, %v (%s)", c.place, got, err, fault.HintOf(err))
		}
	}
}
