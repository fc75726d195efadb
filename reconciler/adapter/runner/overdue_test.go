// A run that its tool tells as running for ever ends by our own clock.

package runner_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func TestWhatDoesNotEndEndsByOurOwnClock(t *testing.T) {
	b := newRemoteBench(t)
	var later atomic.Int64 // minutes
	b.cfg.Env.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load()) * time.Minute) }
	b.Runner = runner.Remote(b.cfg)
	job := b.job("while :; do sleep 0.05; done")
	job.Timeout = 8 * time.Hour // by the worker's own clock it goes on
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	porttest.AwaitRun(t, b.Runner, job.Key, func(r port.Run) bool { return r.State == port.Running && r.Reason == "" })
	later.Store(8*60 + 30) // it may be writing what it made
	if run, err := b.Poll(t.Context(), job.Key); err != nil || run.State != port.Running {
		t.Fatalf("half an hour after its time-out: %+v, %v", run, err)
	}
	later.Store(9*60 + 1)
	run, err := b.Poll(t.Context(), job.Key)
	if err != nil || run.State != port.Done || run.Result.Cause != port.TimedOut || !strings.Contains(run.Result.Message, "its machine may be gone") {
		t.Fatalf("more than an hour after it: %+v, %v", run, err)
	}
	b.processes.mu.Lock()
	defer b.processes.mu.Unlock()
	if len(b.processes.all) != 0 {
		t.Errorf("its task is still there")
	}
	if left := b.left(t); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
