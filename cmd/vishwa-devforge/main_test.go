// The program as a person runs it: testscript stories against a forge that serves.

package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vishwa-devforge": main})
}

func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git is missing: apt-get install git")
		}
		t.Skip("git is missing: apt-get install git")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			f, err := devforge.New(devforge.Options{Dir: e.WorkDir + "/forge"})
			if err != nil {
				return err
			}
			e.Defer(func() { f.Close() })
			url, err := f.Listen("127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Setenv("VISHWA_DEVFORGE_URL", url)
			e.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Setenv("GOGC", "400") // most of a short program's garbage is that of its beginning
			e.Setenv("GIT_CONFIG_GLOBAL", e.WorkDir+"/gitconfig")
			return os.WriteFile(e.WorkDir+"/gitconfig", []byte("[user]\n\tname = Asha\n\temail = asha@example.com\n[init]\n\tdefaultBranch = main\n[credential]\n\thelper = store --file "+e.WorkDir+"/credentials\n"), 0o600)
		},
	})
}
