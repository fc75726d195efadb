package runner_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
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

// slow is a store that takes nothing until whoever asks has no more time, and says nothing of that.
type slow struct{ port.Store }

func (s slow) Put(ctx context.Context, _ io.Reader) (digest.Digest, int64, error) {
	<-ctx.Done()
	return "", 0, errors.New("broken pipe")
}

// TestWhoAsksInPassingLosesNothing: one who has too little time to fetch what a run made leaves it to the next.
func TestWhoAsksInPassingLosesNothing(t *testing.T) {
	b := newRemoteBench(t)
	job := b.job(`echo made > "$VISHWA_OUTPUT_MADE"`)
	job.Outputs = map[string]string{"made": "made"}
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	b.processes.mu.Lock()
	var ended []chan struct{}
	for _, x := range b.processes.all {
		ended = append(ended, x.ended)
	}
	b.processes.mu.Unlock()
	for _, x := range ended {
		<-x
	}
	hasty := b.cfg
	hasty.Store = slow{b.cfg.Store}
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if run, err := runner.Remote(hasty).Poll(ctx, job.Key); fault.Of(err) != fault.Cancelled {
		t.Errorf("in passing: %+v, %v", run, err)
	}
	if r := porttest.AwaitRun(t, b.Runner, job.Key, porttest.IsDone).Result; r.Cause != "" || r.Outputs["made"].Size != 5 {
		t.Errorf("afterwards: %+v", r)
	}
}
