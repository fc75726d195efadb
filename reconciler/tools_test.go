// Versions of the tools that tests are run with.

package reconciler

import (
	"os"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestToolsHaveTheVersionsOfWhatIsTested: what both need is compiled once for the tools and the tests, which saves minutes on a fresh machine.
func TestToolsHaveTheVersionsOfWhatIsTested(t *testing.T) {
	ours, tools := requires(t, "../go.mod"), requires(t, "../.ci/tools/go.mod")
	shared := 0
	for path, version := range tools {
		if own, is := ours[path]; is && own != version {
			t.Errorf("%s is %s in .ci/tools/go.mod and %s in go.mod: cd .ci/tools && go get %s@%s (or move go.mod to the newer of both)", path, version, own, path, own)
		} else if is {
			shared++
		}
	}
	if shared < 100 {
		t.Errorf("they share %d modules", shared)
	}
}

// requires has the version of each module that a go.mod names.
func requires(t *testing.T, path string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := modfile.ParseLax(path, raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, r := range f.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	return versions
}
