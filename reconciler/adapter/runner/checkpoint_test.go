// How far a run has come is found by the next attempt under its key, and by nothing else.

package runner_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// oneMore counts one more at its checkpoint, says what it has, and then goes on with more.
const oneMore = `at="$VISHWA_CHECKPOINT_DIR/n"; n=$(($(cat "$at" 2>/dev/null || echo 0) + 1)); echo $n > "$at"; echo "epoch $n"; `

func (b *bench) said(t *testing.T, r *port.Result) string {
	t.Helper()
	log, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// TestAKilledRunGoesOnWhereItWas, and once it has ended well nothing is left of that.
func TestAKilledRunGoesOnWhereItWas(t *testing.T) {
	b := newBench(t)
	job := b.job(oneMore + `[ $n -ge 2 ] && exit 0; touch '` + b.count + `.begun'; while :; do sleep 1; done`)
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	await(t, "it has kept something", func() bool { _, err := os.Stat(b.count + ".begun"); return err == nil })
	var s struct{ PID int }
	found, err := filepath.Glob(filepath.Join(b.Dir, "*", "*", "status.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	raw, _ := os.ReadFile(found[0])
	_, raw, _ = bytes.Cut(raw, []byte("\n")) // its seal
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if lost := porttest.AwaitRun(t, b, job.Key, porttest.IsDone); lost.Result.Cause != port.Lost {
		t.Fatalf("got %+v", lost.Result)
	}
	r := b.run(t, job)
	if said := b.said(t, r); r.Cause != "" || !strings.Contains(said, "finds what an earlier attempt kept") || !strings.Contains(said, "epoch 2\n") {
		t.Errorf("%+v said %q", r, said)
	}
	if left, err := filepath.Glob(filepath.Join(b.Dir, "*", "*", "checkpoint")); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	if left, err := filepath.Glob(filepath.Join(b.Dir, "*", "*", "work", "checkpoint")); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}

// TestADamagedCheckpointIsNoEnd: an attempt that went on and failed by itself leaves nothing to the next.
func TestADamagedCheckpointIsNoEnd(t *testing.T) {
	b := newBench(t)
	job := b.job(oneMore + "exit 3")
	for i, want := range []string{"epoch 1\n", "epoch 2\n", "epoch 1\n", "epoch 2\n"} {
		if said := b.said(t, b.run(t, job)); !strings.HasSuffix(said, want) {
			t.Errorf("attempt %d said %q", i+1, said)
		}
	}
	if said := b.said(t, b.run(t, b.job(oneMore+"exit 4"))); said != "epoch 1\n" {
		t.Errorf("another key said %q", said)
	}
}

// TestACheckpointThatNativeCodeDiesOfIsNoEnd: it is tried once more, as a signal may come from outside, and then no more.
func TestACheckpointThatNativeCodeDiesOfIsNoEnd(t *testing.T) {
	b := newBench(t)
	job := b.job(oneMore + "sh -c 'kill -SEGV $PPID'; sleep 60")
	for i, want := range []string{"epoch 1\n", "epoch 2\n", "epoch 3\n", "epoch 1\n"} {
		if r := b.run(t, job); r.Cause != port.Signal || !strings.HasSuffix(b.said(t, r), want) {
			t.Fatalf("attempt %d ended by %q and said %q", i+1, r.Cause, b.said(t, r))
		}
	}
}

// TestACheckpointThatARunHangsOnIsNoEnd: it is tried once more, as a machine may have been slow, and then no more. A run that adds to
// what it was given before its time is up is on its way, and goes on as often as it takes.
func TestACheckpointThatARunHangsOnIsNoEnd(t *testing.T) {
	b := newBench(t)
	const hangs = `at="$VISHWA_CHECKPOINT_DIR/n"; if [ -e "$at" ]; then echo given; else echo 1 > "$at"; echo anew; fi; `
	job := b.job(hangs + "sleep 60")
	job.Timeout = time.Second
	for i, want := range []string{"anew\n", "given\n", "given\n", "anew\n"} {
		r := b.run(t, job)
		said := b.said(t, r)
		if r.Cause != port.TimedOut || !strings.HasSuffix(said, want) {
			t.Fatalf("attempt %d ended by %q and said %q", i+1, r.Cause, said)
		}
		if tells := strings.Contains(said, "may be damaged"); tells != (i == 3) {
			t.Errorf("attempt %d says of it: %q", i+1, said)
		}
	}
	killed := b.job(hangs + "sh -c 'kill -KILL $PPID'; sleep 60")
	for i, want := range []string{"anew\n", "given\n", "given\n", "anew\n"} {
		if r := b.run(t, killed); r.Cause != port.Signal || !strings.HasSuffix(b.said(t, r), want) {
			t.Fatalf("killed, attempt %d ended by %q and said %q", i+1, r.Cause, b.said(t, r))
		}
	}
	slow := b.job(oneMore + "sleep 60")
	slow.Timeout = time.Second
	for i, want := range []string{"epoch 1\n", "epoch 2\n", "epoch 3\n", "epoch 4\n"} {
		if r := b.run(t, slow); r.Cause != port.TimedOut || !strings.HasSuffix(b.said(t, r), want) {
			t.Fatalf("slow, attempt %d ended by %q and said %q", i+1, r.Cause, b.said(t, r))
		}
	}
}

// TestAnOutageLosesNoCheckpoint: an attempt that never began, or was killed before anything was handed to it, has what
// was kept go to the next.
func TestAnOutageLosesNoCheckpoint(t *testing.T) {
	b := newBench(t)
	job := b.job(oneMore + "exit 3")
	b.run(t, job)
	out := job
	out.Inputs = map[string]port.Artifact{"gone": {Digest: digest.Of([]byte("nowhere")), Size: 7}}
	for range 2 {
		if r := b.run(t, out); r.Cause != port.BadEnv && r.Cause != port.Lost {
			t.Fatalf("without its data it ended by %q", r.Cause)
		}
	}
	found, err := filepath.Glob(filepath.Join(b.Dir, "*", "*", "job.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	dir := filepath.Dir(filepath.Dir(found[0]))
	before, err := attempt.Newest(dir, b.Seal)
	if err != nil {
		t.Fatal(err)
	}
	o, err := before.Order()
	if err != nil || !o.Resumes {
		t.Fatalf("%+v, %v", o, err)
	}
	_, held, err := attempt.Next(dir, b.Seal, func(attempt.Attempt, int) any { return o })
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
	if said := b.said(t, b.run(t, job)); !strings.HasSuffix(said, "epoch 2\n") {
		t.Errorf("it said %q", said)
	}
}

// TestWhatNobodyReviewedLeavesNothing to a run that is stricter, or is somebody's.
func TestWhatNobodyReviewedLeavesNothing(t *testing.T) {
	for name, change := range map[string]func(*runner.Config, *port.Job){
		"as strict":  func(*runner.Config, *port.Job) {},
		"reviewed":   func(c *runner.Config, _ *port.Job) { c.Wall.Reviewed = !c.Wall.Reviewed },
		"at a level": func(_ *runner.Config, j *port.Job) { j.Isolation = "landlock" },
		"not a folder": func(c *runner.Config, _ *port.Job) {
			found, _ := filepath.Glob(filepath.Join(c.Dir, "*", "*", "work", "checkpoint"))
			if len(found) != 1 || os.RemoveAll(found[0]) != nil || os.Symlink(t.TempDir(), found[0]) != nil {
				t.Errorf("found %q", found)
			}
		},
	} {
		b := newBench(t)
		job := b.job(oneMore + "exit 3")
		b.run(t, job)
		cfg := b.Config
		change(&cfg, &job)
		other := *b
		other.Config, other.Runner = cfg, runner.Local(cfg)
		want := "epoch 1\n"
		if name == "as strict" {
			want = "epoch 2\n"
		}
		if said := other.said(t, other.run(t, job)); !strings.HasSuffix(said, want) {
			t.Errorf("%s: it said %q", name, said)
		}
	}
}
