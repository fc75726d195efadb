// CONTRIBUTING draws the house as it is: every folder of packages is in the drawing, what is
// drawn is there, and what is drawn higher may import what is drawn lower.

package reconciler

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// drawing is the drawing's folders, from the top, and those of packages within each.
func drawing(t *testing.T) (folders []string, within map[string][]string) {
	t.Helper()
	raw, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(raw), "\n```text\n")
	text, _, closed := strings.Cut(text, "\n```\n")
	if !found || !closed {
		t.Fatal("CONTRIBUTING.md has no drawing")
	}
	within = map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		names, _, _ := strings.Cut(strings.TrimSpace(line), "  ") // two blanks: what is said of them
		switch {
		case strings.TrimSpace(line) == "|":
		case !strings.HasPrefix(line, " "):
			for _, name := range strings.Fields(names) {
				folders = append(folders, name)
				within[name] = nil
			}
		case len(folders) > 0:
			above := folders[len(folders)-1]
			within[above] = append(within[above], strings.Fields(names)...)
		}
	}
	return folders, within
}

func TestTheDrawingIsTheHouse(t *testing.T) {
	folders, within := drawing(t)
	have := map[string][]string{} // packages directly below each drawn folder
	for pkg := range sources(t) {
		home := ""
		for _, f := range folders {
			if under(pkg, f) && len(f) > len(home) {
				home = f
			}
		}
		if home == "" {
			t.Errorf("%s is below no folder of CONTRIBUTING's drawing", pkg)
			continue
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(pkg, home), "/"), "/")
		if first != "" && !slices.Contains(have[home], first) {
			have[home] = append(have[home], first)
		}
	}
	for _, f := range folders {
		for _, name := range within[f] {
			if !slices.Contains(have[f], name) {
				t.Errorf("CONTRIBUTING draws %s, where no package is", path.Join(f, name))
			}
		}
		for _, name := range slices.Sorted(slices.Values(have[f])) {
			if n := len(slices.DeleteFunc(slices.Clone(within[f]), func(s string) bool { return s != name })); n != 1 {
				t.Errorf("CONTRIBUTING draws %s %d times, not once", path.Join(f, name), n)
			}
		}
	}
	last := len(floors)
	for _, f := range folders {
		at, _ := floor(f)
		if f == "reconciler" { // the base is of packages directly in it
			at = 0
		}
		if at < 0 || at > last {
			t.Errorf("CONTRIBUTING draws %s below what it may import", f)
		}
		last = at
	}
	for f := range maps.Keys(within) {
		if info, err := os.Stat(path.Join("..", f)); err != nil || !info.IsDir() {
			t.Errorf("CONTRIBUTING draws %s, which is no folder", f)
		}
	}
}
