// The sampler that the guide shows, with the real Optuna: make test-optuna.

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestOptunaItself(t *testing.T) {
	venv := os.Getenv("VISHWA_OPTUNA")
	if venv == "" {
		t.Skip("VISHWA_OPTUNA names no environment with Optuna: make test-optuna makes one")
	}
	sampler := ""
	for _, b := range blocksOf(t, "../../docs/guide.md") {
		if b.language == "python" && strings.Contains(b.text, "import json, os, optuna") {
			sampler = b.text
		}
	}
	if sampler == "" {
		t.Fatal("the guide shows no sampler of Optuna")
	}
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/optuna",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Join(venv, "bin")+string(os.PathListSeparator)+env.Getenv("PATH"))
			if err := os.WriteFile(filepath.Join(env.WorkDir, "sampler.py"), []byte(sampler), 0o600); err != nil {
				return err
			}
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}
