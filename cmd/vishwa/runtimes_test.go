// The stories of programs that serve in place of a command, each with the program itself.

package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRuntimesThemselves runs with a folder of Pythons that have them: make test-runtimes.
func TestRuntimesThemselves(t *testing.T) {
	python := os.Getenv("VISHWA_RUNTIMES")
	if python == "" {
		t.Skip("run make test-runtimes")
	}
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/runtimes",
		Setup: func(env *testscript.Env) error {
			env.Setenv("RUNTIMES", python)
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}
