// When garbage is looked for.

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What people say by the environment is what holds; without it, a short command looks for no garbage, not while libraries
// set themselves up either.
func TestShortCommandsLookForNoGarbage(t *testing.T) {
	collections := func(env ...string) int {
		cmd := exec.Command("vishwa", "reference", "markdown", t.TempDir())
		cmd.Env = append(append(os.Environ(), "GODEBUG=gctrace=1"), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.Count("\n"+string(out), "\ngc ")
	}
	if short, eager := collections(), collections("GOGC=40"); short > 0 || eager == 0 {
		t.Errorf("garbage was looked for %d times, and with GOGC=40 %d times", short, eager)
	}
}
