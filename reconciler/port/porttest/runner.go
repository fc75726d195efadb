// The suite of Runner: a key is one run, whoever asks and however often.

package porttest

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// RunnerBench is what a Runner is tested with. A command of a job is what its
// runner can carry out, so each runner brings its own.
type RunnerBench struct {
	Runner port.Runner
	// Well is the command of a run that prints "hello" and ends well, Badly of one
	// that ends with exit code 7, Forever of one that never ends by itself. Each
	// adds one line to the file that Begun counts, when it begins.
	Well, Badly, Forever []string
	Begun                func() int
}

// Runner insists on port.Runner's promises. open gives a bench that nothing has
// run on.
func Runner(t *testing.T, open func(t *testing.T) RunnerBench) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, RunnerBench){
		"SameKeyIsTheSameRun":       runnerSame,
		"StartedTogetherIsOneRun":   runnerTogether,
		"UnknownIsMissing":          runnerUnknown,
		"DoneIsFinal":               runnerFinal,
		"EndedBadlyIsBegunAnew":     runnerAnew,
		"StoppingTwiceIsOnce":       runnerStop,
		"LogsGoOnFromAnOffset":      runnerLogs,
		"CancellationReturnsAtOnce": runnerCancelled,
		"WaitBringsNews":            runnerWait,
		"NoKeyIsRefused":            runnerNoKey,
	} {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
}

func runnerJob(name string, command []string) port.Job {
	kind := schemas.KindsThat(func(t schemas.Traits) bool { return t.Runs })[0]
	return port.Job{Key: digest.Of([]byte(name)), Ref: schemas.Ref{Kind: kind, Name: "suite"}, Command: command}
}

// AwaitRun polls until want holds, and fails the test after a minute.
func AwaitRun(t testing.TB, r port.Runner, key digest.Digest, want func(port.Run) bool) port.Run {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		run, err := r.Poll(t.Context(), key)
		if err != nil {
			t.Fatalf("poll: %v", err)
		}
		if want(run) {
			return run
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute the run is still %+v", run)
		}
	}
}

// IsDone and IsRunning are what AwaitRun is mostly asked for.
func IsDone(r port.Run) bool    { return r.State == port.Done }
func IsRunning(r port.Run) bool { return r.State == port.Running }

func runnerStart(t *testing.T, r port.Runner, job port.Job) port.Run {
	t.Helper()
	run, err := r.Start(t.Context(), job)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	if run.Key != job.Key {
		t.Errorf("the run is called %s, not by its key %s", run.Key, job.Key)
	}
	return run
}

func runnerSame(t *testing.T, b RunnerBench) {
	job := runnerJob("same", b.Well)
	runnerStart(t, b.Runner, job)
	runnerStart(t, b.Runner, job)
	AwaitRun(t, b.Runner, job.Key, IsDone)
	run := runnerStart(t, b.Runner, job)
	if run.State != port.Done || run.Result == nil || run.Result.Cause != "" {
		t.Errorf("a run that ended well is begun again: %+v", run)
	}
	if n := b.Begun(); n != 1 {
		t.Errorf("one key ran %d times", n)
	}
}

func runnerTogether(t *testing.T, b RunnerBench) {
	job := runnerJob("together", b.Well)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := b.Runner.Start(t.Context(), job); err != nil {
				t.Errorf("start: %v", err)
			}
		})
	}
	wg.Wait()
	AwaitRun(t, b.Runner, job.Key, IsDone)
	if n := b.Begun(); n != 1 {
		t.Errorf("one key ran %d times", n)
	}
}

// runnerWait goes by Wait alone, as a caller does.
func runnerWait(t *testing.T, b RunnerBench) {
	job := runnerJob("waited for", b.Well)
	run := runnerStart(t, b.Runner, job)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for run.State != port.Done {
		var err error
		if run, err = b.Runner.Wait(ctx, job.Key, run.State, 0); err != nil {
			t.Fatalf("wait: %v", err)
		}
	}
	if run.Result == nil || run.Result.Cause != "" {
		t.Errorf("a run that ended well is waited for as %+v", run)
	}
	if again, err := b.Runner.Wait(ctx, job.Key, port.Running, 0); err != nil || !reflect.DeepEqual(run, again) {
		t.Errorf("what is done was %+v and is %+v, %v", run.Result, again.Result, err)
	}
	if _, err := b.Runner.Wait(ctx, digest.Of([]byte("unknown to wait for")), port.Running, 0); fault.Of(err) != fault.Missing {
		t.Errorf("wait for an unknown run: %v, want Missing", err)
	}
	forever := runnerJob("waited for in vain", b.Forever)
	runnerStart(t, b.Runner, forever)
	defer func() { _ = b.Runner.Stop(context.WithoutCancel(ctx), forever.Key) }()
	AwaitRun(t, b.Runner, forever.Key, IsRunning)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begun := time.Now()
	for {
		_, err := b.Runner.Wait(short, forever.Key, port.Running, 1<<40)
		if err != nil {
			if fault.Of(err) != fault.Cancelled || time.Since(begun) > 10*time.Second {
				t.Errorf("wait that is given up: %v after %s, want Cancelled at once", err, time.Since(begun))
			}
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Error("wait goes on although its caller gave up")
			break
		}
	}
}

func runnerUnknown(t *testing.T, b RunnerBench) {
	key := digest.Of([]byte("unknown"))
	_, poll := b.Runner.Poll(t.Context(), key)
	_, logs := b.Runner.Logs(t.Context(), key, 0)
	for what, err := range map[string]error{"Poll": poll, "Stop": b.Runner.Stop(t.Context(), key), "Logs": logs} {
		if err == nil || fault.Of(err) != fault.Missing {
			t.Errorf("%s of an unknown run: %v, want Missing", what, err)
		}
	}
}

func runnerFinal(t *testing.T, b RunnerBench) {
	for name, command := range map[string][]string{"well": b.Well, "badly": b.Badly} {
		job := runnerJob(name, command)
		runnerStart(t, b.Runner, job)
		first := AwaitRun(t, b.Runner, job.Key, IsDone)
		if err := b.Runner.Stop(t.Context(), job.Key); err != nil {
			t.Errorf("%s: stop what is done: %v", name, err)
		}
		for range 3 {
			if again, err := b.Runner.Poll(t.Context(), job.Key); err != nil || !reflect.DeepEqual(first, again) {
				t.Errorf("%s: done was %+v and is %+v, %v", name, first.Result, again.Result, err)
			}
		}
		if first.Result.Finished.Before(first.Result.Started) {
			t.Errorf("%s: finished %s before it started %s", name, first.Result.Finished, first.Result.Started)
		}
	}
}

func runnerAnew(t *testing.T, b RunnerBench) {
	job := runnerJob("anew", b.Badly)
	for i := 1; i <= 2; i++ {
		if run := runnerStart(t, b.Runner, job); run.State == port.Done {
			t.Fatalf("begin %d: the old failure is returned: %+v", i, run.Result)
		}
		run := AwaitRun(t, b.Runner, job.Key, IsDone)
		if run.Result.Cause != port.Exit || run.Result.ExitCode != 7 || run.Result.Message == "" {
			t.Errorf("begin %d: %+v, want exit code 7 with a message", i, run.Result)
		}
		if n := b.Begun(); n != i {
			t.Errorf("begun %d times, want %d", n, i)
		}
	}
}

func runnerStop(t *testing.T, b RunnerBench) {
	job := runnerJob("stop", b.Forever)
	runnerStart(t, b.Runner, job)
	AwaitRun(t, b.Runner, job.Key, IsRunning)
	for range 2 {
		if err := b.Runner.Stop(t.Context(), job.Key); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
	run := AwaitRun(t, b.Runner, job.Key, IsDone)
	if run.Result.Cause != port.Stopped || run.Result.Message == "" {
		t.Errorf("a stopped run ended as %+v", run.Result)
	}
}

func runnerLogs(t *testing.T, b RunnerBench) {
	job := runnerJob("logs", b.Well)
	runnerStart(t, b.Runner, job)
	AwaitRun(t, b.Runner, job.Key, IsDone)
	all, err := b.Runner.Logs(t.Context(), job.Key, 0)
	if err != nil || !strings.Contains(string(all), "hello") {
		t.Fatalf("log %q, %v", all, err)
	}
	rest, err := b.Runner.Logs(t.Context(), job.Key, 2)
	if err != nil || string(rest) != string(all[2:]) {
		t.Errorf("log from 2: %q, %v", rest, err)
	}
	if end, err := b.Runner.Logs(t.Context(), job.Key, int64(len(all))+100); err != nil || len(end) != 0 {
		t.Errorf("log past its end: %q, %v", end, err)
	}
	if _, err := b.Runner.Logs(t.Context(), job.Key, -1); fault.Of(err) != fault.Invalid {
		t.Errorf("log from -1: %v", err)
	}
}

func runnerCancelled(t *testing.T, b RunnerBench) {
	job := runnerJob("cancelled", b.Forever)
	runnerStart(t, b.Runner, job)
	AwaitRun(t, b.Runner, job.Key, IsRunning)
	defer func() { _ = b.Runner.Stop(context.WithoutCancel(t.Context()), job.Key) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	_, poll := b.Runner.Poll(ctx, job.Key)
	_, start := b.Runner.Start(ctx, runnerJob("another", b.Well))
	for what, err := range map[string]error{"Poll": poll, "Start": start} {
		if fault.Of(err) != fault.Cancelled {
			t.Errorf("%s with a cancelled context: %v, want Cancelled", what, err)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("cancellation took %s", took)
	}
	if run, err := b.Runner.Poll(t.Context(), job.Key); err != nil || run.State != port.Running {
		t.Errorf("a cancelled poll disturbed the run: %+v, %v", run, err)
	}
}

func runnerNoKey(t *testing.T, b RunnerBench) {
	for _, key := range []digest.Digest{"", "sha256:", "../../etc", "sha256:../../../../../../../../../../../../../../../../../../../../etc"} {
		job := runnerJob("", b.Well)
		job.Key = key
		if _, err := b.Runner.Start(t.Context(), job); fault.Of(err) != fault.Invalid {
			t.Errorf("start under %q: %v, want Invalid", key, err)
		}
	}
	if b.Begun() != 0 {
		t.Error("something was begun without a key")
	}
}
