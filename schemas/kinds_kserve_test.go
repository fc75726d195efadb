package schemas

import (
	"fmt"
	"strings"
	"testing"
)

// TestANameIsNoLongerThanWhatKServeMakesOfItMayBe: a Service has 63 letters, and Knative makes one of the release before.
func TestANameIsNoLongerThanWhatKServeMakesOfItMayBe(t *testing.T) {
	for mode, most := range map[string]int{"standard": 53, KServeKnative: 48} {
		for _, n := range []int{most, most + 1} {
			_, problems := Load(t.Context(), repo(map[string]string{
				"vishwa.yaml": fmt.Sprintf(claimProject, "[\"*\"]"),
				"vishwa/d.yaml": fmt.Sprintf("apiVersion: vishwa.dev/v1alpha1\nkind: Deployment\nmetadata: {name: %s}\nspec:\n  model: model/m\n  environment: staging\n  target:\n    %s\n",
					strings.Repeat("n", n), byKServe("prod", "mode: "+mode)),
			}))
			said := ""
			for _, p := range problems {
				if p.Field == "metadata.name" {
					said = p.Error()
				}
			}
			if want := fmt.Sprintf("is longer than the %d letters that KServe has room for; shorten it", most); (n > most) != strings.Contains(said, want) || n <= most && said != "" {
				t.Errorf("%s, %d letters: %q", mode, n, said)
			}
		}
	}
}
