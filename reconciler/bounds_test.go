// What opens a place that a declaration names, with this machine's credentials or rights, asks first whether the repository may
// have it.

package reconciler

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// opens is what opens such a place.
var opens = regexp.MustCompile(`\b(bucket\.(S3|Dir)|registry\.(Open|Resolve)|mirror\.Open)\(`)

// asked are the files that open one without asking, and why none of a declaration is opened there unasked.
var asked = map[string]string{
	"app/image.go":                    "a user's own command",
	"app/storeref.go":                 "the folder was asked for where the repository was opened",
	"app/managed.go":                  "the repository itself, as the controller's file names it",
	"app/roll.go":                     "the repository of replicas, as the controller's file names it",
	"adapter/server/logs.go":          "it asks by Access.May",
	"adapter/runner/remote_launch.go": "a folder of the run's own",
}

func TestWhatOpensAPlaceAsksWhoMayHaveIt(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "port/porttest/") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || !opens.Match(raw) {
			return err
		}
		path = filepath.ToSlash(path)
		seen[path] = true
		if asked[path] == "" && !strings.Contains(string(raw), "MayUse(") {
			t.Errorf("%s opens a place (%s) and never asks Env.MayUse", path, opens.Find(raw))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range asked {
		if !seen[path] {
			t.Errorf("%s is listed, and opens nothing", path)
		}
	}
}
