//go:build linux

// Death at any moment: whichever process of a run is killed, whenever, the next pass ends
// well, with one result, and nothing that ran is left.

package runner_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/wall/walltest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// TestKilledAtAnyMoment kills apply, supervisor, inner side and command in turn.
func TestKilledAtAnyMoment(t *testing.T) {
	rounds := 12
	if os.Getenv("VISHWA_REAL") != "" {
		rounds = 200
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 1))
	rungs(t, func(t *testing.T, level wall.Level) {
		t.Setenv(levelVariable, string(level))
		b := newBenchAt(t, level)
		begun := 0
		for round := range rounds / 2 {
			victim := []string{"apply", "supervisor", "inner", "command"}[(round+moments.IntN(2))%4]
			begun = b.killOne(t, round, victim, time.Duration(moments.IntN(150))*time.Millisecond, begun)
		}
		if raw, err := os.ReadFile(filepath.Join(b.state, "seen", "doubled")); err == nil {
			t.Errorf("two of one key ran at once: %q", raw)
		}
	})
}

// killOne is one round; it returns how many commands were begun by now.
func (b *bench) killOne(t *testing.T, round int, victim string, after time.Duration, before int) int {
	t.Helper()
	mark := fmt.Sprintf("6%d%04d", os.Getpid(), round)
	seen := filepath.Dir(b.count)
	job := b.job(fmt.Sprintf(`# round %[1]d
		exec 9>>'%[2]s/lock-%[1]d'; flock -n 9 || echo '%[1]d' >> '%[2]s/doubled'
		(env -i setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' %[3]s 9>&- >/dev/null 2>&1 &)
		sleep 0.1; echo 'made in %[1]d' > "$VISHWA_OUTPUT_MADE"`, round, seen, mark))
	job.Outputs = map[string]string{"made": "made"}
	raw, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.state, "job.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	apply := exec.Command(b.Env.Self, "apply", b.state, file)
	if err := apply.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after) // the random moment is what is tested
	t.Logf("round %d: %s is killed after %s", round, victim, after)
	pid := apply.Process.Pid
	if victim != "apply" {
		pid = b.find(victim)
	}
	if pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = apply.Process.Kill()
	_ = apply.Wait()
	var r *port.Result
	for try := 0; r == nil || r.Cause != ""; try++ {
		if try == 4 {
			t.Fatalf("round %d, %s killed after %s: %s: %s", round, victim, after, r.Cause, r.Message)
		}
		if _, err := b.Start(t.Context(), job); err != nil {
			t.Fatalf("round %d, %s killed after %s: %v", round, victim, after, err)
		}
		r = porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	}
	made, err := artifact.ReadAll(t.Context(), b.Store, r.Outputs["made"].Digest)
	if err != nil || string(made) != fmt.Sprintf("made in %d\n", round) {
		t.Errorf("round %d, %s killed after %s: made %q, %v", round, victim, after, made, err)
	}
	await(t, "nothing of it is left", func() bool { return len(walltest.Marked(mark)) == 0 })
	if n := b.begun() - before; n < 1 || n > 3 {
		t.Errorf("round %d, %s killed after %s: %d commands were begun", round, victim, after, n)
	}
	return b.begun()
}

// find is a process of the run that is under way: its supervisor, the inner side of its
// wall, or what that began; 0 is none yet.
func (b *bench) find(what string) int {
	parents, args := map[int]int{}, map[int]string{}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		stat, _ := os.ReadFile(dir + "/stat")
		line, _ := os.ReadFile(dir + "/cmdline")
		if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); len(f) > 1 {
			parents[pid], _ = strconv.Atoi(f[1])
		}
		args[pid] = string(line)
	}
	child := func(of int) int {
		for pid, parent := range parents {
			if parent == of {
				return pid
			}
		}
		return 0
	}
	for pid, line := range args {
		if !strings.Contains(line, "\x00supervise\x00"+b.Dir) {
			continue
		}
		switch inner := child(pid); {
		case what == "supervisor":
			return pid
		case what == "inner" || inner == 0:
			return inner
		default:
			return child(inner)
		}
	}
	return 0
}
