// Which programs of the stories the race detector watches: see docs/decisions/037-programs-that-the-race-detector-watches.md.

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// watchedOnce are the commands that read, say and sign: a story begins one of them again and again, to look at what others did. Its first
// start in a story is watched. What works on several things side by side, or stays, is not named here, and is watched at every start.
var watchedOnce = []string{
	"access", "approve", "explain", "init", "log", "plan", "resume", "retry", "schema", "status", "suspend", "validate", "verify", "version",
	"data config", "data diff", "data list", "data remote", "data status",
	"keys trust", "ledger verify", "models history", "models list", "monitor show",
	"policy check", "policy list", "policy test", "rollout status", "runs compare", "runs list", "runs show",
}

// isWatched tells whether this program was built with the race detector.
var isWatched = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
})

// unwatched is the program of the stories once more, built as users get it: without the race detector. It is gone with the tests' own folder.
var unwatched = sync.OnceValues(func() (string, error) {
	watched, err := exec.LookPath("vishwa")
	if err != nil {
		return "", err
	}
	program := filepath.Join(filepath.Dir(filepath.Dir(watched)), "unwatched", "vishwa")
	return program, built.Tests(".", program)
})

// chooser is what a story begins as vishwa, for a folder in which it notes what was begun already.
func chooser(watched, unwatched, begun string) string {
	var one, two []string
	for _, command := range watchedOnce {
		if strings.Contains(command, " ") {
			two = append(two, "'"+command+"'")
		} else {
			one = append(one, "'"+command+" '*")
		}
	}
	return fmt.Sprintf(`#!/bin/sh
case "${1-} ${2-}" in
%s) did=$1 ;;
%s) did="$1 $2" ;;
*) exec '%s' "$@" ;;
esac
if [ -e '%[4]s'/"$did" ]; then exec '%[5]s' "$@"; fi
true 2>/dev/null >'%[4]s'/"$did"
exec '%[3]s' "$@"
`, strings.Join(one, "|"), strings.Join(two, "|"), watched, begun, unwatched)
}

// choose puts the chooser in front of the programs of a story that is run under the race detector.
func choose(t *testing.T, env *testscript.Env) error {
	if _, err := exec.LookPath("go"); err != nil || !isWatched() { // where nothing is compiled, as in a world that the tests make, each start is watched
		return nil
	}
	plain, err := unwatched()
	if err != nil {
		return err
	}
	watched, err := exec.LookPath("vishwa")
	if err != nil {
		return err
	}
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun")
	if err := write(filepath.Join(dir, "bin", "vishwa"), []byte(chooser(watched, plain, begun)), 0o755); err != nil {
		return err
	}
	env.Values[setsUp{}] = plain
	env.Setenv("PATH", filepath.Join(dir, "bin")+string(filepath.ListSeparator)+env.Getenv("PATH"))
	return os.Mkdir(begun, 0o777)
}

// setsUp is the name of the program that makes what stories begin with.
type setsUp struct{}

// settingUp is the program for what is the same in a hundred stories, which those of init and keys do watched.
func settingUp(ts *testscript.TestScript) string {
	if program, ok := ts.Value(setsUp{}).(string); ok {
		return program
	}
	return "vishwa"
}

// TestWhichProgramsAreWatched: the first start of each command in a story, and every start of what works side by side.
func TestWhichProgramsAreWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"watched", "unwatched"} {
		if err := write(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+name+" \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	begun := filepath.Join(dir, "begun")
	program := filepath.Join(dir, "vishwa")
	if err := write(program, []byte(chooser(filepath.Join(dir, "watched"), filepath.Join(dir, "unwatched"), begun)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(begun, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"watched", []string{"plan"}},
		{"unwatched", []string{"plan", "--out", "a b.json"}},
		{"watched", []string{"policy", "check"}},
		{"watched", []string{"policy", "list"}},
		{"unwatched", []string{"policy", "check", "--format", "sarif"}},
		{"watched", []string{"apply", "--yes"}},
		{"watched", []string{"apply", "--yes"}},
		{"watched", []string{"controller", "--config", "c.yaml"}},
		{"watched", []string{"controller", "--config", "c.yaml"}},
		{"watched", []string{"data", "push"}},
		{"watched", []string{"data", "push"}},
		{"watched", nil},
		{"watched", []string{"-C", "x", "plan"}},
	} {
		out, err := exec.Command(program, c.args...).Output()
		if want := strings.TrimSpace(c.want + " " + strings.Join(c.args, " ")); err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q, %v, want %q", out, err, want)
		}
	}
}

// TestWatchedOnceAreCommands: each is a command of the program, or a group of them that does one thing.
func TestWatchedOnceAreCommands(t *testing.T) {
	t.Parallel()
	root := (&cli{}).root()
	for _, command := range watchedOnce {
		found, rest, err := root.Find(strings.Fields(command))
		if err != nil || len(rest) > 0 || found.CommandPath() != "vishwa "+command {
			t.Errorf("%s is no command: %v", command, err)
		}
	}
	for _, command := range []string{"apply", "ci", "controller", "data push", "data pull", "data fetch", "data add", "host", "supervise", "sink", "rollout promote", "monitor run"} {
		if found, _, err := root.Find(strings.Fields(command)); err != nil || found == root || slices.ContainsFunc(watchedOnce, func(once string) bool { return covers(root, once, found) }) {
			t.Errorf("%s is to be watched at every start: %v", command, err)
		}
	}
}

// covers tells whether a command of watchedOnce is another one, or a group that has it.
func covers(root *cobra.Command, once string, command *cobra.Command) bool {
	for ; command != root; command = command.Parent() {
		if command.CommandPath() == root.Name()+" "+once {
			return true
		}
	}
	return false
}
