//go:build linux

// What a run of a pull request would try against the runner itself: real supervisors and
// real programs, on both rungs, as root and as a user without rights.

package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/wall/walltest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// strictBench is a bench whose runs are of code that nobody reviewed.
func strictBench(t *testing.T, level wall.Level) *bench {
	t.Helper()
	b := newBenchAt(t, level)
	b.Wall.Strict, b.Wall.Write = true, nil
	b.Wall.Limits.Disk = 1 << 30
	b.Runner = runner.Local(b.Config)
	return b
}

func rungs(t *testing.T, test func(t *testing.T, level wall.Level)) {
	for _, level := range []wall.Level{wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) { test(t, level) })
	}
}

// TestNoRunForgesOrReachesOut: each attempt ends as told, and nothing outside has changed.
func TestNoRunForgesOrReachesOut(t *testing.T) {
	walltest.AsUser(t)
	good := `echo good > "$VISHWA_OUTPUT_MADE"; `
	for name, c := range map[string]struct {
		script string // VICTIM is a folder of the controller's, MARK a number
		want   port.Cause
		made   string
	}{
		"PlantsAResult": {good + `for f in result.json status.json job.json stop alive; do
			echo '{"outputs":{}}' > ../../$f || echo held; ln -s /etc/passwd ../../$f || echo held; mv ../../$f . || echo held; done
			mkdir ../../../000009 ../../../../ffffffffffffffffffffffffffffffff || echo held`, "", "good\n"},
		"PlantsARelease":            {good + `mkdir -p VICTIM/serving/price/releases/1; echo evil > VICTIM/serving/price/current || echo held; cat VICTIM/secret && exit 9; :`, "", "good\n"},
		"PlantsAnObject":            {good + `echo evil > VICTIM/../store/evil || echo held; cp VICTIM/secret "$VISHWA_OUTPUT_MADE" && exit 9; ln -f VICTIM/secret "$VISHWA_OUTPUT_MADE" && exit 9; :`, "", "good\n"},
		"SwapsAnOutputForALink":     {good + `(env -i setsid sh -c 'trap "" TERM HUP; while :; do ln -sf VICTIM/secret x; mv -f x "$0"; done' "$VISHWA_OUTPUT_MADE" MARK >/dev/null 2>&1 &); sleep 0.2`, port.MissingOutput, ""},
		"SwapsTheFolderOfAnOutput":  {good + `d=$(dirname "$VISHWA_OUTPUT_MADE"); mv "$d" "$d.old"; ln -s VICTIM "$d"`, port.MissingOutput, ""},
		"LinksTheMetrics":           {good + `ln -s VICTIM/secret metrics.json; ln -s VICTIM/secret ../metrics.json; rm -f "$VISHWA_OUTPUT_MADE"; ln -s VICTIM/secret "$VISHWA_OUTPUT_MADE"`, port.MissingOutput, ""},
		"MakesAPipeOfAnOutput":      {`mkfifo "$VISHWA_OUTPUT_MADE"`, port.MissingOutput, ""},
		"ClaimsAHugeOutput":         {`truncate -s 4T "$VISHWA_OUTPUT_MADE"`, port.OverLimit, ""},
		"ClaimsManyHugeOutputs":     {good + `truncate -s 900M a b c d e f g h; echo many`, port.OverLimit, ""},
		"MarksItselfAsAnother":      {good + `VISHWA_GROUP=00000000000000000000000000000000 setsid sh -c 'trap "" TERM; sleep 300' MARK >/dev/null 2>&1 &`, "", "good\n"},
		"KillsItsSupervisor":        {good + `for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || kill -9 $p 2>/dev/null; done; :`, "", "good\n"},
		"LeavesWhatCannotBeRemoved": {good + `mkdir -p a/b/c; echo x > a/b/c/d; chmod 000 a/b/c/d a/b/c a/b a; n=0; while [ $n -lt 100 ]; do mkdir dddddddddddddddddddddddddddddd && cd dddddddddddddddddddddddddddddd; n=$((n+1)); done; :`, "", "good\n"},
		"WritesOddNames":            {good + `touch "$(printf 'a\nb\033[31m')" -- -rf ' ' '..x'; :`, "", "good\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rungs(t, func(t *testing.T, level wall.Level) {
				b := strictBench(t, level)
				victim := filepath.Join(b.state, "victim")
				if err := os.MkdirAll(victim, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(victim, "secret"), []byte("CANARY"), 0o644); err != nil {
					t.Fatal(err)
				}
				mark := fmt.Sprintf("8%d%d", os.Getpid(), time.Now().UnixNano()%1e9)
				job := b.job("")
				job.Command = []string{"sh", "-c", strings.NewReplacer("VICTIM", victim, "MARK", mark).Replace(c.script)}
				job.Outputs = map[string]string{"made": "out/made"}
				r := b.run(t, job)
				if r.Cause != c.want {
					t.Errorf("it ended with %q (%s), want %q\n%s", r.Cause, r.Message, c.want, r.Tail)
				}
				if r.Isolation == nil || r.Isolation.Level != string(level) {
					t.Errorf("the wall is %v", r.Isolation)
				}
				if art, ok := r.Outputs["made"]; ok || c.made != "" {
					raw, err := artifact.ReadAll(t.Context(), b.Store, art.Digest)
					if err != nil || string(raw) != c.made {
						t.Errorf("kept %q, %v", raw, err)
					}
				}
				await(t, "nothing of it is left", func() bool { return len(walltest.Marked(mark)) == 0 })
				if raw, err := os.ReadFile(filepath.Join(victim, "secret")); err != nil || string(raw) != "CANARY" {
					t.Errorf("the secret is %q, %v", raw, err)
				}
				if left, _ := os.ReadDir(victim); len(left) != 1 {
					t.Errorf("planted %v", left)
				}
				if keys, _ := filepath.Glob(filepath.Join(b.Dir, "*", "0*")); len(keys) != 1 {
					t.Errorf("attempts are %v", keys)
				}
			})
		})
	}
}

// TestAPullRequestNamesNoProgramElsewhere: what lies around a program is not shown for its sake.
func TestAPullRequestNamesNoProgramElsewhere(t *testing.T) {
	rungs(t, func(t *testing.T, level wall.Level) {
		b := strictBench(t, level)
		app := filepath.Join(b.state, "app")
		if err := os.MkdirAll(filepath.Join(app, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		tool := filepath.Join(app, "bin", "tool")
		if err := os.WriteFile(tool, []byte("#!/bin/sh\ncat '"+app+"/token'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(app, "token"), []byte("CANARY"), 0o644); err != nil {
			t.Fatal(err)
		}
		job := b.job("")
		job.Command = []string{tool}
		if r := b.run(t, job); r.Cause != port.Exit || strings.Contains(r.Tail, "CANARY") {
			t.Errorf("%s: %s\n%s", r.Cause, r.Message, r.Tail)
		}
	})
}

// TestADaemonEndsWhenItsSupervisorIsKilled: also one without a name, a session or a parent.
func TestADaemonEndsWhenItsSupervisorIsKilled(t *testing.T) {
	walltest.AsUser(t)
	rungs(t, func(t *testing.T, level wall.Level) {
		b := strictBench(t, level)
		mark := fmt.Sprintf("7%d%d", os.Getpid(), time.Now().UnixNano()%1e9)
		job := b.job("")
		job.Command = []string{"sh", "-c", `(env -i setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' ` + mark + ` >/dev/null 2>&1 &); sleep 300`}
		if _, err := b.Start(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		await(t, "the daemon runs", func() bool { return len(walltest.Marked(mark)) > 0 })
		held, _ := filepath.Glob(filepath.Join(b.Dir, "*", "*"))
		super := 0
		await(t, "the supervisor is found", func() bool {
			for _, d := range held {
				for _, p := range walltest.Marked(d) {
					super = p
				}
			}
			return super != 0
		})
		if err := syscall.Kill(super, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await(t, "nothing of it is left", func() bool { return len(walltest.Marked(mark)) == 0 })
		if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != port.Lost {
			t.Errorf("%+v", r)
		}
		left, _ := filepath.Glob(filepath.Join(os.TempDir(), "vishwa-*"))
		for _, dir := range left {
			if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) < time.Second && level == wall.Landlock {
				await(t, dir+" is removed", func() bool { return !exists(dir) })
			}
		}
	})
}
