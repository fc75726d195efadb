// When garbage is looked for.

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A heap grows up to the room that a command has, and beyond it by the percentage alone.
func TestGarbageIsLookedForBeyondTheRoom(t *testing.T) {
	for name, c := range map[string]struct{ live, room, percent, want uint64 }{
		"nothing yet":        {0, 48 << 20, 40, 1100},
		"little":             {8 << 20, 48 << 20, 40, 500},
		"near the room":      {40 << 20, 48 << 20, 40, 40},
		"beyond it":          {100 << 20, 48 << 20, 40, 40},
		"no room, little":    {1 << 20, 0, 40, 40},
		"no room, very much": {1 << 30, 0, 40, 40},
	} {
		if got := growth(c.live, c.room, c.percent); got != c.want {
			t.Errorf("%s: %d %%, want %d", name, got, c.want)
		}
	}
}

// What people say by the environment is what holds; without it, a short command looks for no garbage once it has begun,
// and one that runs long does.
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
	if short, eager := collections(), collections("GOGC=40"); short > 4 || eager <= short {
		t.Errorf("garbage was looked for %d times, and with GOGC=40 %d times", short, eager)
	}
}
