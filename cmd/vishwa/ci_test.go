// Jobs of continuous integration as they stand alone: the real program with a server's
// environment, and a GitHub in this process.

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestJobScripts(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	cmds := forgeCommands()
	cmds["jenkins"] = jenkins
	testscript.Run(t, testscript.Params{
		Dir: "testdata/job",
		Setup: func(env *testscript.Env) error {
			if err := settle(t, env, keys); err != nil {
				return err
			}
			return begin(t, env)
		},
		Cmds: cmds,
	})
}
