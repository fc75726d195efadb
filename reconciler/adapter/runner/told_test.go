package runner_test

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
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

// What a tool did not take is not under way: who asks is told that the next pass tries again, and while one tries, that.
func TestWhatIsGivenToNobodyIsTold(t *testing.T) {
	b := newRemoteBench(t)
	job := b.job("true")
	reason := func() string {
		run, err := b.again().Poll(t.Context(), job.Key)
		if err != nil || run.State != port.Waiting {
			t.Errorf("%+v, %v", run, err)
		}
		return run.Reason
	}
	b.processes.refuse = func(port.Task) error {
		if said := reason(); said != "it is being given to elsewhere" {
			t.Errorf("while it is launched: %s", said)
		}
		return fault.New(fault.Transient, "the tool is away")
	}
	if _, err := b.Start(t.Context(), job); fault.Of(err) != fault.Transient {
		t.Fatal(err)
	}
	if said := reason(); said != "it is not given to elsewhere yet: the next pass does so" {
		t.Errorf("afterwards: %s", said)
	}
}
