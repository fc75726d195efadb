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
	"adapter/runner/remote_launch.go": "a folder of the run's own",
}

func TestWhatOpensAPlaceAsksWhoMayHaveIt(t *testing.T) {
	opensAfterAsking(t, opens, regexp.MustCompile(`MayUse\(`), asked, func(path string) bool { return strings.HasPrefix(path, "port/porttest/") })
}

// opensAfterAsking holds that each file which opens something asks for it too, or stands in a table with the reason; and that the table names no other file.
func opensAfterAsking(t *testing.T, opens, asks *regexp.Regexp, table map[string]string, outside func(path string) bool) {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		path = filepath.ToSlash(path)
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || outside(path) {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || !opens.Match(raw) {
			return err
		}
		itself := asks.Match(raw)
		seen[path] = !itself
		if !itself && table[path] == "" {
			t.Errorf("%s has %s and never asks %s; or say in the table who has asked", path, opens.Find(raw), asks)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range table {
		if !seen[path] {
			t.Errorf("the table names %s, which opens nothing or asks by itself: take it out", path)
		}
	}
}
