// What GitHub shows of deployments.

package forge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestWhatServesIsActiveAndNothingElse: of each deployment of an environment its own newest release, whatever others are released there; what
// was tried and is no more is over, and so is what was taken away.
func TestWhatServesIsActiveAndNothingElse(t *testing.T) {
	f, sha := start(t)
	c := open(t, f, f.Token("vishwa"))
	for _, environment := range []string{"staging", "production"} {
		report := func(key string, state port.State) {
			t.Helper()
			ok(t, c.ReportDeployment(t.Context(), port.Deployment{Key: "deployment/" + key, SHA: sha, Environment: environment, State: state, Production: environment == "production"}))
		}
		want := func(what, states string) {
			t.Helper()
			shown, err := f.Shown(repoName)
			ok(t, err)
			var got []string
			for _, d := range shown.Deployments {
				if d.Environment == environment {
					got = append(got, d.States[len(d.States)-1])
				}
			}
			if s := strings.Join(got, " "); s != states {
				t.Errorf("%s, %s: shown is %s, want %s", environment, what, s, states)
			}
		}
		report("churn@1", port.Succeeded)
		report("price@1", port.Succeeded)
		want("two models", "success success")
		report("churn@2", port.Pending)
		want("one is tried", "success success in_progress")
		report("churn@3", port.Pending)
		want("another in its place", "success success inactive in_progress")
		report("churn@3", port.Failure)
		report("churn@1", port.Succeeded)
		want("it was rolled back", "success success inactive failure")
		report("churn@4", port.Pending)
		report("churn@1", port.Succeeded)
		want("it is declared no more", "success success inactive failure inactive")
		report("churn@5", port.Succeeded)
		want("the next", "inactive success inactive failure inactive success")
		report("churn@1", port.Succeeded)
		want("back to the first", "success success inactive failure inactive inactive")
		report("price@1", port.Gone)
		report("nothing@1", port.Gone)
		want("taken away", "success inactive inactive failure inactive inactive")
	}
	before := fmt.Sprint(f.Shown(repoName))
	ok(t, c.ReportDeployment(t.Context(), port.Deployment{Key: "deployment/churn@1", SHA: sha, Environment: "staging", State: port.Succeeded}))
	if now := fmt.Sprint(f.Shown(repoName)); now != before {
		t.Errorf("shown again: %s", now)
	}
}
