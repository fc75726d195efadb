// A tool that gives no answer for some minutes, as while it is upgraded, and the run that goes on meanwhile.

package runner_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func TestWhoWaitsForARunOutlivesAnOutage(t *testing.T) {
	b := newRemoteBench(t)
	var later atomic.Int64 // seconds
	b.cfg.Env.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load()) * time.Second) }
	b.Runner = runner.Remote(b.cfg)
	job := b.job("while :; do sleep 0.05; done")
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	porttest.AwaitRun(t, b.Runner, job.Key, func(r port.Run) bool { return r.State == port.Running })
	wait := func(within time.Duration) (port.Run, error) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return b.Wait(ctx, job.Key, port.Running, 0)
	}
	for range 2 { // an outage that ended does not count for the next
		b.processes.away.Store(true)
		for _, minutes := range []int64{0, 2, 2} {
			later.Add(60 * minutes)
			if run, err := wait(time.Minute); err != nil || run.State != port.Running || !strings.Contains(run.Reason, "does not answer") {
				t.Fatalf("after %d more minutes: %+v, %v", minutes, run, err)
			}
		}
		if _, err := b.Poll(t.Context(), job.Key); fault.Of(err) != fault.Transient {
			t.Errorf("who asks is not told: %v", err)
		}
		b.processes.away.Store(false)
		if run, err := wait(time.Minute); err != nil || run.State != port.Running || run.Reason != "" {
			t.Errorf("once it answers: %+v, %v", run, err)
		}
	}
	b.processes.away.Store(true)
	if _, err := wait(time.Minute); err != nil {
		t.Fatal(err)
	}
	later.Add(301)
	if _, err := wait(time.Minute); fault.Of(err) != fault.Transient {
		t.Errorf("after more than five minutes: %v", err)
	}
	b.processes.away.Store(false)
	if err := b.Stop(t.Context(), job.Key); err != nil {
		t.Fatal(err)
	}
}
