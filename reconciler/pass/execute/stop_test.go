package execute

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/stopping"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// printed is a runner of one run that was begun before and has printed its log, of which a look sees so many bytes; it ends when it is stopped,
// or the second time that it is awaited.
type printed struct {
	port.Runner
	log     string
	most    int
	awaited int
	stopped bool
}

func (p *printed) Start(context.Context, port.Job) (port.Run, error) {
	return port.Run{State: port.Running}, nil
}

func (p *printed) Logs(_ context.Context, _ digest.Digest, from int64) ([]byte, error) {
	rest := p.log[from:]
	return []byte(rest[:min(len(rest), p.most)]), nil
}

func (p *printed) Stop(context.Context, digest.Digest) error {
	p.stopped = true
	return nil
}

func (p *printed) Wait(context.Context, digest.Digest, port.RunState, int64) (port.Run, error) {
	if p.awaited++; p.stopped {
		return port.Run{State: port.Done, Result: &port.Result{Cause: port.Stopped}}, nil
	}
	if p.awaited == 2 {
		return port.Run{State: port.Done, Result: &port.Result{}}, nil
	}
	return port.Run{State: port.Running}, nil
}

// TestATrialThatIsFoundIsJudgedByWhereItIs: not by its first lines, which are read again after a restart.
func TestATrialThatIsFoundIsJudgedByWhereItIs(t *testing.T) {
	for name, last := range map[string]float64{"it leads by now": 0.001, "it is behind": 9} {
		n := &graph.Node{Ref: schemas.Ref{Kind: "Training", Name: "t", Output: "found"}}
		n.Recipe.Stop = &schemas.EarlyStop{Metric: "loss", Goal: "minimize", Median: &schemas.MedianStop{}}
		var log strings.Builder
		for step := 1; step < 100; step++ {
			fmt.Fprintf(&log, "{\"step\": %d, \"loss\": 9}\n", step)
		}
		fmt.Fprintf(&log, "{\"step\": 100, \"loss\": %g}\n", last)
		run := &printed{log: log.String(), most: 100}
		a := &execution{Config: Config{Now: time.Now, Tell: func(Event) {}, Runner: run}, trials: map[schemas.Ref]*stopping.Trials{}}
		for _, other := range []string{"a", "b", "c", "d"} {
			a.among(n).Report(other, 100, 1)
		}
		w := a.watch(&job{node: n})
		r, err := a.follow(t.Context(), port.Job{}, w)
		if err != nil {
			t.Fatal(err)
		}
		behind := last > 1
		if run.stopped != behind || (r.Cause == port.Stopped) != behind || behind && w.stopped.Step != 100 {
			t.Errorf("%s: stopped %v, %+v, %v", name, run.stopped, r, w.stopped)
		}
	}
}

// TestALineWithoutAnEndIsNotHeld: a run may print what it likes.
func TestALineWithoutAnEndIsNotHeld(t *testing.T) {
	longest, all := 0, 0
	a := &execution{Config: Config{Now: time.Now, Tell: func(e Event) { longest, all = max(longest, len(e.Text)), all+len(e.Text) },
		Runner: &printed{log: strings.Repeat("x", 8<<20), most: 300_000}}}
	if _, err := a.follow(t.Context(), port.Job{}, nil); err != nil {
		t.Fatal(err)
	}
	if all != 8<<20 || longest > mostLine+300_000 {
		t.Errorf("%d bytes told, the longest of %d", all, longest)
	}
}

// chatty is a runner of a run that prints whenever it is looked at.
type chatty struct {
	printed
	now time.Time
}

func (c *chatty) Logs(context.Context, digest.Digest, int64) ([]byte, error) {
	c.now = c.now.Add(time.Second)
	return []byte("{\"step\": 1, \"loss\": 9}\n"), nil
}

// TestATrialThatNeverCeasesToPrintIsJudged: reading what it prints does not keep who watches it.
func TestATrialThatNeverCeasesToPrintIsJudged(t *testing.T) {
	n := &graph.Node{Ref: schemas.Ref{Kind: "Training", Name: "t", Output: "found"}}
	n.Recipe.Stop = &schemas.EarlyStop{Metric: "loss", Goal: "minimize", Median: &schemas.MedianStop{}}
	run := &chatty{now: time.Unix(0, 0)}
	a := &execution{Config: Config{Now: func() time.Time { return run.now }, Tell: func(Event) {}, Runner: run}, trials: map[schemas.Ref]*stopping.Trials{}}
	log := &printing{a: a, watched: a.watch(&job{node: n})}
	for _, seconds := range []time.Duration{catchUp, time.Second, time.Second} {
		began := run.now
		log.next(t.Context())
		if took := run.now.Sub(began); took > seconds+time.Second {
			t.Errorf("it was read for %v, at most %v", took, seconds)
		}
	}
}
