package runner_test

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// How far a run is, where its tool knows it, is told to whoever asks for the run.
func TestHowFarARunIsIsTold(t *testing.T) {
	b := newRemoteBench(t)
	job := b.job("while :; do sleep 0.05; done")
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(t.Context(), job.Key) })
	porttest.AwaitRun(t, b.Runner, job.Key, porttest.IsRunning)
	b.processes.mu.Lock()
	for _, x := range b.processes.all {
		x.status.Reason = "40% done"
	}
	b.processes.mu.Unlock()
	porttest.AwaitRun(t, b.Runner, job.Key, func(r port.Run) bool { return r.State == port.Running && r.News() == "now: 40% done" })
}
