package wall_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// TestTheScriptsOfAVersionManagerFindTheirPrograms: pyenv, asdf and mise have their folder shims on PATH, below a home that
// is hidden: what lies beside it is read, and nothing else of the home.
func TestTheScriptsOfAVersionManagerFindTheirPrograms(t *testing.T) {
	rungs(t, func(t *testing.T, level wall.Level) {
		r := newRoom(t)
		home := filepath.Join(r.dir, "home")
		shims := filepath.Join(home, ".pyenv", "shims")
		for file, text := range map[string]string{
			filepath.Join(shims, "greet"):                                  "#!/bin/sh\nroot=$(dirname \"$(dirname \"$0\")\")\nexec \"$root/versions/1/bin/greet\" \"$@\"\n",
			filepath.Join(home, ".pyenv", "versions", "1", "bin", "greet"): "#!/bin/sh\necho hello \"$1\"\ncat \"$2\" 2>/dev/null || echo hidden\n",
			filepath.Join(home, "letter"):                                  "CANARY\n",
		} {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		cmd := r.shell("greet you " + filepath.Join(home, "letter"))
		cmd.Env = []string{"PATH=" + shims + ":/usr/bin:/bin"}
		cmd.Stdout, cmd.Stderr = &out, &out
		in, err := startHere(cmd, wall.Spec{Level: level, Write: []string{r.work}, Tmp: r.tmp, Read: wall.Programs(shims, filepath.Join(shims, "greet"), []string{home})})
		if err != nil {
			t.Fatal(err)
		}
		end := in.Wait()
		if err := in.Close(); err != nil { // only now is all written that it said
			t.Error(err)
		}
		if end != (wall.End{}) || out.String() != "hello you\nhidden\n" {
			t.Errorf("it ended with %+v and said %q", end, out.String())
		}
	})
}
