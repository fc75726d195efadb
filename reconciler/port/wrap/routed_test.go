// A key is one run, wherever it runs.

package wrap_test

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// noted is a runner of states by key, which notes what it is asked to start.
type noted struct {
	runs    map[digest.Digest]port.Run
	started []digest.Digest
	stopped []digest.Digest
}

func (n *noted) Start(_ context.Context, job port.Job) (port.Run, error) {
	n.started = append(n.started, job.Key)
	if _, ok := n.runs[job.Key]; !ok {
		n.runs[job.Key] = port.Run{Key: job.Key, State: port.Running}
	}
	return n.runs[job.Key], nil
}

func (n *noted) Poll(_ context.Context, key digest.Digest) (port.Run, error) {
	if r, ok := n.runs[key]; ok {
		return r, nil
	}
	return port.Run{}, fault.New(fault.Missing, "no run")
}

func (n *noted) Wait(ctx context.Context, key digest.Digest, _ port.RunState, _ int64) (port.Run, error) {
	return n.Poll(ctx, key)
}

func (n *noted) Stop(_ context.Context, key digest.Digest) error {
	n.stopped = append(n.stopped, key)
	return nil
}

func (n *noted) Logs(context.Context, digest.Digest, int64) ([]byte, error) { return nil, nil }

func TestAJobGoesToTheRunnerThatItNames(t *testing.T) {
	here, box, away := &noted{runs: map[digest.Digest]port.Run{}}, &noted{runs: map[digest.Digest]port.Run{}}, fault.New(fault.Transient, "the tool is away")
	opened := 0
	r := wrap.Routed(here, map[string]wrap.Route{
		"box":  {Open: func() (port.Runner, error) { opened++; return box, nil }, Has: func(k digest.Digest) bool { _, ok := box.runs[k]; return ok }},
		"away": {Open: func() (port.Runner, error) { return nil, away }, Has: func(digest.Digest) bool { return false }},
	})
	job := func(name, runner string) port.Job {
		return port.Job{Key: digest.Of([]byte(name)), RunsOn: schemas.RunsOn{Runner: runner}}
	}
	for _, j := range []port.Job{job("a", ""), job("b", schemas.LocalRunner)} {
		if _, err := r.Start(t.Context(), j); err != nil || opened != 0 {
			t.Errorf("%v; a runner that nobody needs was opened %d times", err, opened)
		}
	}
	if run, err := r.Start(t.Context(), job("c", "box")); err != nil || len(here.started) != 2 || len(box.started) != 1 || run.Runner != "box" {
		t.Errorf("%+v, %v; here %v, box %v", run, err, here.started, box.started)
	}
	if run, err := r.Wait(t.Context(), job("c", "").Key, port.Running, 0); err != nil || run.Runner != "box" {
		t.Errorf("who waits is not told where it is: %+v, %v", run, err)
	}
	if _, err := r.Start(t.Context(), job("d", "away")); fault.Of(err) != fault.Transient {
		t.Errorf("a tool that is away: %v", err)
	}
	if _, err := r.Start(t.Context(), job("d", "bix")); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("an unknown runner: %v", err)
	}
	// It is under way in the box, and its declaration names this machine since: it is one run,
	// and its runner is asked again, as it may never have been given to its tool.
	if _, err := r.Start(t.Context(), job("c", "")); err != nil || len(here.started) != 2 || len(box.started) != 2 {
		t.Errorf("%v; here %v, box %v", err, here.started, box.started)
	}
	if run, err := r.Poll(t.Context(), job("c", "").Key); err != nil || run.Runner != "box" {
		t.Errorf("who asks is not told where it is: %+v, %v", run, err)
	}
	if err := r.Stop(t.Context(), job("c", "").Key); err != nil || len(box.stopped) != 1 {
		t.Errorf("%v; stopped %v", err, box.stopped)
	}
	// It ended badly in the box, and is begun on this machine.
	box.runs[job("c", "").Key] = port.Run{State: port.Done, Result: &port.Result{Cause: port.Exit}}
	if _, err := r.Start(t.Context(), job("c", "")); err != nil || len(here.started) != 3 {
		t.Errorf("%v; here %v", err, here.started)
	}
	if run, err := r.Poll(t.Context(), job("c", "").Key); err != nil || run.State != port.Running {
		t.Errorf("what is under way comes before what has ended: %+v, %v", run, err)
	}
	if _, err := r.Poll(t.Context(), digest.Of([]byte("nobody's"))); fault.Of(err) != fault.Missing {
		t.Errorf("an unknown key: %v", err)
	}
}

// TestAFormerRunnerKeepsWhatItHas: it is found, waited for and stopped there, and nothing is begun on it.
func TestAFormerRunnerKeepsWhatItHas(t *testing.T) {
	here, box := &noted{runs: map[digest.Digest]port.Run{}}, &noted{runs: map[digest.Digest]port.Run{}}
	key := digest.Of([]byte("under way"))
	box.runs[key] = port.Run{Key: key, State: port.Running}
	r := wrap.Routed(here, map[string]wrap.Route{"box": {Former: true, Open: func() (port.Runner, error) { return box, nil }, Has: func(k digest.Digest) bool { _, ok := box.runs[k]; return ok }}})
	for _, runner := range []string{"", "box"} {
		if run, err := r.Start(t.Context(), port.Job{Key: key, RunsOn: schemas.RunsOn{Runner: runner}}); err != nil || run.State != port.Running || len(here.started) > 0 {
			t.Errorf("it is begun a second time: %+v, %v, here %v", run, err, here.started)
		}
	}
	if err := r.Stop(t.Context(), key); err != nil || len(box.stopped) != 1 {
		t.Errorf("it is not stopped where it runs: %v", err)
	}
	_, err := r.Start(t.Context(), port.Job{Key: digest.Of([]byte("another")), RunsOn: schemas.RunsOn{Runner: "box"}})
	if fault.Of(err) != fault.Invalid || strings.Contains(fault.HintOf(err), "box") || len(box.started) != 2 {
		t.Errorf("something new is begun on it: %v, %s", err, fault.HintOf(err))
	}
}

// silent is a runner whose tool does not answer, and that knows how long that may last.
type silent struct {
	port.Runner
	waits int
}

func (s *silent) Poll(context.Context, digest.Digest) (port.Run, error) {
	return port.Run{}, fault.New(fault.Transient, "it does not answer")
}

func (s *silent) Wait(_ context.Context, key digest.Digest, seen port.RunState, _ int64) (port.Run, error) {
	s.waits++
	return port.Run{Key: key, State: seen}, nil
}

// TestWhoWaitsIsNotToldOfAnOutageByTheWay: the runner itself says for how long it goes on.
func TestWhoWaitsIsNotToldOfAnOutageByTheWay(t *testing.T) {
	box := &silent{}
	r := wrap.Routed(&noted{runs: map[digest.Digest]port.Run{}}, map[string]wrap.Route{"box": {Open: func() (port.Runner, error) { return box, nil }, Has: func(digest.Digest) bool { return true }}})
	key := digest.Of([]byte("a"))
	if run, err := r.Wait(t.Context(), key, port.Running, 0); err != nil || run.State != port.Running || box.waits != 1 {
		t.Errorf("%+v, %v, it waited %d times", run, err, box.waits)
	}
	if _, err := r.Poll(t.Context(), key); fault.Of(err) != fault.Transient {
		t.Errorf("who asks is not told: %v", err)
	}
}
