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
	known := map[bool]*regexp.Regexp{false: regexp.MustCompile(`^[A-Za-z0-9_\-. /]{1,250}$`), true: regexp.MustCompile(`^[A-Za-z0-9_\-. :/]{1,250}$`)}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-c@%:/.]{1,6}`), rapid.StringMatching(`[a/]{250,254}`)), rapid.ID).Draw(t, "names")
		colons := rapid.Bool().Draw(t, "colons")
		seen := map[string]string{}
		for name, as := range Names(names, colons) {
			if other, twice := seen[as]; twice {
				t.Fatalf("%q and %q are both %q", name, other, as)
			}
			seen[as] = name
			if !known[colons].MatchString(as) || slices.ContainsFunc(strings.Split(as, "/"), func(p string) bool { return p == "" || p == "." || p == ".." }) {
				t.Fatalf("%q becomes %q", name, as)
			}
		}
	})
}

// TestAColonStaysWhereItIsKnown: MLflow 2 refuses a whole request for one.
func TestAColonStaysWhereItIsKnown(t *testing.T) {
	for colons, want := range map[bool]string{true: "val:loss", false: "val_loss"} {
		if got := Names([]string{"val:loss"}, colons)["val:loss"]; got != want {
			t.Errorf("with colons %v it is %q", colons, got)
		}
	}
}
