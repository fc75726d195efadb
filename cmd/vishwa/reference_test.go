// The pages of docs/reference: the examples of the kinds are one project, which applies.
// What else they show is read with the blocks of all other pages.

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
	"github.com/vishwaops/vishwa/schemas"
)

// yamlOf lists the YAML blocks of a page.
func yamlOf(t *testing.T, page string) (all []string) {
	t.Helper()
	for _, b := range blocksOf(t, page) {
		if b.language == "yaml" {
			all = append(all, b.text)
		}
	}
	return all
}

// TestExamplesOfTheReferenceApply: the first block of each kind's page, together.
func TestExamplesOfTheReferenceApply(t *testing.T) {
	t.Parallel()
	const reference = "../../docs/reference"
	keys := quickKeys(t)
	kept := peers.NewBetween(t, registrytest.Memory())
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/docs/reference.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", strings.TrimPrefix(kept.URL, "http://"))
			for _, k := range schemas.Kinds() {
				kind := k.Name
				at := filepath.Join(env.WorkDir, "examples", strings.ToLower(kind)+".yaml")
				if k.Settings {
					at = filepath.Join(env.WorkDir, "examples", "vishwa.yaml")
				}
				if err := write(at, []byte(yamlOf(t, filepath.Join(reference, strings.ToLower(kind)+".md"))[0]), 0o644); err != nil {
					return err
				}
			}
			for _, sub := range []string{"src", "infra"} {
				if err := os.CopyFS(filepath.Join(env.WorkDir, "examples", sub), os.DirFS(filepath.Join(reference, "examples", sub))); err != nil {
					return err
				}
			}
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}
