// The pages of docs/reference: the examples of the kinds are one project, which applies;
// what else they show is read by the same readers as in real use.

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
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
	kept := porttest.NewBetween(t, registrytest.Memory())
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

// TestMoreOfTheReferenceIsRead: blocks that need a server are read, and nothing is wrong
// with them but what they name and is not there.
func TestMoreOfTheReferenceIsRead(t *testing.T) {
	pages, err := filepath.Glob("../../docs/reference/*.md")
	if err != nil || len(pages) < len(schemas.Kinds())+2 {
		t.Fatal(pages, err)
	}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		for _, text := range yamlOf(t, page) {
			switch name {
			case schemas.Trust:
				if _, problems := trust.Load([]byte(text), "trust.yaml"); len(problems) > 0 {
					t.Error(problems)
				}
			case schemas.Controller:
				if _, err := config.Parse(page, []byte(text)); err != nil {
					t.Error(err)
				}
			default:
				for _, p := range declared(t, text) {
					t.Errorf("%s: %s", page, p.Error())
				}
			}
		}
	}
}

// declared reads text as declarations of the examples' project, and lists what is wrong
// with it.
func declared(t *testing.T, text string) []schemas.Problem {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../docs/reference/examples/src")); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"vishwa/block.yaml": text}
	if !strings.Contains(text, "kind: Project") {
		files["vishwa.yaml"] = "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: homes}\nspec:\n  environments: {staging: {}, production: {}}\n"
	} else {
		files["vishwa.yaml"] = text
		delete(files, "vishwa/block.yaml")
	}
	for name, raw := range files {
		if err := write(filepath.Join(dir, name), []byte(raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, problems := schemas.Load(t.Context(), os.DirFS(dir).(fs.StatFS))
	return slices.DeleteFunc(problems, func(p schemas.Problem) bool {
		return slices.ContainsFunc([]string{"is not declared", "is not there", "there is no ", "matches no file", "names no file", "cannot be read: no such file"}, func(s string) bool { return strings.Contains(p.Message, s) })
	})
}
