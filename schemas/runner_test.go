// Runners: each tool has its row, and amounts and images are read as they are meant.

package schemas

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestEachToolHasARow: a field of Runner without a row could do nothing, silently.
func TestEachToolHasARow(t *testing.T) {
	for _, tool := range append([]string{LocalRunner}, runnerTools...) {
		if traitsOfTool(tool).Tool != tool {
			t.Errorf("%s has no row in runnerTable", tool)
		}
	}
	if len(runnerTable) != len(runnerTools)+1 {
		t.Errorf("%d rows for %d tools and local", len(runnerTable), len(runnerTools))
	}
	if got := (Runner{Docker: &DockerRunner{}}).Tool(); got != "docker" {
		t.Errorf("got %q", got)
	}
	if got := (Runner{Docker: &DockerRunner{}, Ray: &RayRunner{}}).Traits(); got != (RunnerTraits{}) {
		t.Errorf("two tools can do %+v", got)
	}
}

func TestImagesByDigest(t *testing.T) {
	sum := "@sha256:" + strings.Repeat("0a", 32)
	for image, want := range map[string]bool{
		"base" + sum: true, "base:1.0" + sum: true, "reg.example.com:5000/a/b_c:V1" + sum: true, "localhost/x" + sum: true, "[::1]:5000/x" + sum: true,
		"": false, "base": false, "base:1": false, sum: false, "Base" + sum: false, "a b" + sum: false, "base" + sum + "\n": false, "base" + sum + "0": false,
		"base@sha512:" + strings.Repeat("0", 64): false, "base:" + strings.Repeat("x", 129) + sum: false, "base\x00" + sum: false,
		strings.Repeat("a/", 400) + "a" + sum: false, "https://reg/x" + sum: false, "base" + sum + sum: false, "../x" + sum: false,
	} {
		if ByDigest(image) != want {
			t.Errorf("%q: got %v", image, !want)
		}
	}
}

func TestAmountsAreReadAsKubernetesDoes(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "16": 16, "1k": 1000, "1Ki": 1024, "16Gi": 16 << 30, "3T": 3e12, "9223372036854775807": 9223372036854775807} {
		if got, ok := Bytes(text); !ok || got != want {
			t.Errorf("%q: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"16g", "x", "-1", "1iK", "9223372036854775808", "99999999Ti", "Gi", "1.5Gi"} {
		if got, ok := Bytes(text); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
	for text, want := range map[string]int64{"": 0, "4": 4000, "0.5": 500, "500m": 500, "1.125": 1125} {
		if got, ok := Millicores(text); !ok || got != want {
			t.Errorf("%q: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"x", "m", "-1", "NaN", "Inf", "1e99", "99999999999999999999m"} {
		if got, ok := Millicores(text); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

// TestManyRunnersHaveACeiling: so many runners, and as many runs that name none of them.
func TestManyRunnersHaveACeiling(t *testing.T) {
	var root, runs strings.Builder
	root.WriteString("apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: demo}\nspec:\n  runners:\n")
	for i := range 10_000 {
		fmt.Fprintf(&root, "    r%d: {kubernetes: {cluster: none%d, nodeSelector: {\"a b\": x}}}\n", i, i)
		if i < 5000 {
			runs.WriteString(declare("Training", fmt.Sprintf("t%d", i), fmt.Sprintf("{run: [x], runner: rr%d}", i)))
		}
	}
	begin := time.Now()
	_, problems := Load(t.Context(), repo(map[string]string{Root: root.String(), "vishwa/a.yaml": runs.String()}))
	if took := time.Since(begin); len(problems) == 0 || len(problems) > MaxProblems+1 || took > 30*time.Second {
		t.Errorf("%d problems, in %v", len(problems), took)
	}
}
