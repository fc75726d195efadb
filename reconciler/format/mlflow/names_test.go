// MLflow takes the names that are made for it, whatever a run calls things.

package mlflow

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestNamesAreMLflowsAndNoTwoAreOne: whatever a run calls its metrics.
func TestNamesAreMLflowsAndNoTwoAreOne(t *testing.T) {
	known := regexp.MustCompile(`^[A-Za-z0-9_\-. :/]{1,250}$`)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-c@%/.]{1,6}`), rapid.StringMatching(`[a/]{250,254}`)), rapid.ID).Draw(t, "names")
		seen := map[string]string{}
		for name, as := range Names(names) {
			if other, twice := seen[as]; twice {
				t.Fatalf("%q and %q are both %q", name, other, as)
			}
			seen[as] = name
			if !known.MatchString(as) || slices.ContainsFunc(strings.Split(as, "/"), func(p string) bool { return p == "" || p == "." || p == ".." }) {
				t.Fatalf("%q becomes %q", name, as)
			}
		}
	})
}
