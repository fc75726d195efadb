// The controller's state folder.

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// Two controllers with one memory would each take the other's work for done.
func TestAStateFolderIsOneControllers(t *testing.T) {
	dir := t.TempDir()
	first, err := alone(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := alone(dir); err == nil {
		f.Close()
		t.Error("a second controller took the folder")
	} else if fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "state: DIR") {
		t.Errorf("a second controller is told %v; %s", err, fault.HintOf(err))
	}
	first.Close()
	second, err := alone(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.Close()
}

// What the file does not say of the only repository is the declarations' to say, and of one of several it is refused.
func TestSeveralRepositoriesHaveWhatTheFileGivesThem(t *testing.T) {
	parse := func(repositories string) (out []*wrap.Reach) {
		t.Helper()
		c, err := config.Parse("c.yaml", []byte("apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec:\n  webhook: {secret: {env: WEBHOOK_SECRET}}\n  repositories:\n"+repositories))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Repositories {
			out = append(out, opener{config: c}.reach(r))
		}
		return out
	}
	asks := func(may *wrap.Reach) (refused []string) {
		for what, err := range map[string]error{"variable": may.Variable("KEY"), "pass": may.Variable("READ"), "token": may.Token("VISHWA_SOURCE_A", "https://a.example"), "place": may.Place("s3://a/b"), "programs": may.Programs(),
			"host": may.Host(schemas.NewClaim("a.example.com", "/")),
			"own":  may.Variable("WEBHOOK_SECRET")} {
			if err != nil {
				refused = append(refused, what)
			}
		}
		slices.Sort(refused)
		return refused
	}
	several := parse("    - {path: /a, pass: [READ]}\n    - {path: /b, variables: [KEY], tokens: {VISHWA_SOURCE_A: [\"https://a.example\"]}, storage: [\"s3://a\"], hosts: [\"*.example.com\"], infrastructure: true}\n")
	for name, c := range map[string]struct {
		may  *wrap.Reach
		want []string
	}{
		"alone":             {parse("    - {path: /a}\n")[0], []string{"own"}},
		"alone, with lists": {parse("    - {path: /a, variables: [], tokens: {}, storage: [], hosts: [], infrastructure: false}\n")[0], []string{"host", "own", "pass", "place", "programs", "token", "variable"}},
		"one of several":    {several[0], []string{"host", "own", "place", "programs", "token", "variable"}},
		"what is given":     {several[1], []string{"own", "pass"}},
	} {
		if got := asks(c.may); !slices.Equal(got, c.want) {
			t.Errorf("%s is refused %v, want %v", name, got, c.want)
		}
	}
}
