// Actions of others run with the pipeline's secrets: each is pinned by its commit, and one
// action is the same everywhere.

package templates

import (
	"os"
	"regexp"
	"testing"
)

var (
	usesLine = regexp.MustCompile(`(?m)^.*\buses:\s*(\S.*)$`)
	byCommit = regexp.MustCompile(`^([-\w]+/[-\w]+)((?:/[-\w]+)*)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$`)
)

func TestEveryActionIsPinnedAlike(t *testing.T) {
	type pin struct{ commit, version, where string }
	first := map[string]pin{}
	for _, file := range []string{"scaffold/ci/vishwa.yml", "../.github/workflows/ci.yml", "../.github/actions/vishwa/action.yml"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := usesLine.FindAllStringSubmatch(string(raw), -1)
		if len(found) == 0 {
			t.Errorf("%s uses no action", file)
		}
		for _, f := range found {
			if regexp.MustCompile(`^\[\[\.Action\]\]`).MatchString(f[1]) {
				continue // Vishwa's own, by the commit that vishwa init --github puts there
			}
			m := byCommit.FindStringSubmatch(f[1])
			if m == nil {
				t.Errorf("%s: %q is not pinned by a commit with its version beside it", file, f[1])
				continue
			}
			now := pin{m[3], m[4], file}
			if was, ok := first[m[1]]; ok && (was.commit != now.commit || was.version != now.version) {
				t.Errorf("%s is %s %s in %s, and %s %s in %s", m[1], was.version, was.commit, was.where, now.version, now.commit, file)
			} else if !ok {
				first[m[1]] = now
			}
		}
	}
	if len(first) < 4 {
		t.Errorf("only %d actions were seen", len(first))
	}
}
