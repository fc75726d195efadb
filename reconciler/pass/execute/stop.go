// Trials that are ended early: what a running trial prints is held against what the others came to, and one that is behind is stopped and
// recorded as that. What was decided is in its entry: no pass decides it anew.

package execute

import (
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/stopping"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Unreported is the rule of a warning about a trial that never reported what it is judged by.
const Unreported = "run/unreported"

// watched is a trial under way that may be ended early; nil is any other run.
type watched struct {
	a       *execution
	of      *graph.Node
	metric  string
	reports int64
	stopped *ledger.Stopped
	told    bool // that it is stopped
}

// watch has the run of j watched, from its beginning.
func (a *execution) watch(j *job) *watched {
	by := j.node.Recipe.Stop
	if by == nil {
		return nil
	}
	w := &watched{a: a, of: j.node, metric: by.Metric}
	w.forget()
	return w
}

// among are the trials of the search that n is one of; a.mu is held.
func (a *execution) among(n *graph.Node) *stopping.Trials {
	training := n.Ref.Whole()
	if a.trials[training] == nil {
		a.trials[training] = stopping.New(n.Recipe.Stop)
	}
	return a.trials[training]
}

// stood takes in how a recorded trial stood; a.mu is held.
func (a *execution) stood(n *graph.Node, e *ledger.Entry) {
	if n.Recipe.Stop != nil && e.Trial != nil {
		a.among(n).Know(n.Ref.Output, e.Trial.Checks)
	}
}

// forget takes out what the run has reported.
func (w *watched) forget() {
	if w == nil {
		return
	}
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	w.a.among(w.of).Forget(w.of.Ref.Output)
}

// line takes in a line that the run printed.
func (w *watched) line(text string) {
	if w == nil || w.told {
		return
	}
	step, value, ok := tracking.Report(text, w.metric)
	if !ok {
		return
	}
	if w.reports++; step < 0 {
		step = w.reports
	}
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	w.a.among(w.of).Report(w.of.Ref.Output, step, value)
}

// stops tells, once, that the run is to be stopped. It is asked when all lines are taken in that there are: of a run that went on
// while nobody watched, what it has come to counts, and not how it began.
func (w *watched) stops() bool {
	if w == nil || w.told {
		return false
	}
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	w.stopped = w.a.among(w.of).Judge(w.of.Ref.Output)
	w.told = w.stopped != nil
	return w.told
}

// stands tells whether r, how the run of j ended, is what is recorded of it, and notes in j how it stood: one that was to be stopped may
// have come to its end before.
func (w *watched) stands(j *job, r *port.Result) bool {
	if w == nil {
		return r.Cause == ""
	}
	early := w.told && r.Cause == port.Stopped
	if r.Cause != "" && !early {
		return false
	}
	if w.reports == 0 {
		w.a.remark(j, []ledger.Finding{{Rule: Unreported, Level: ledger.Warn, Ref: j.Ref,
			Message: fmt.Sprintf("no line that it printed reports %s, so spec.search.stop did not compare it", w.metric),
			Hint:    fmt.Sprintf("print it as the run goes on, a line a step, flushed: {\"step\": 3, %q: 0.5}; or name a metric in spec.search.stop that it prints", w.metric)}})
	}
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	if checks := w.a.among(w.of).Checks(w.of.Ref.Output); len(checks) > 0 {
		j.stood = &ledger.Trial{Checks: checks}
	}
	if early {
		w.a.sendEvent(j.Ref, Output, w.stopped.String())
		j.stood.Stopped, j.came = w.stopped, w.stopped.String()
		r.Outputs, r.Model, r.Metrics = nil, nil, nil
	}
	return true
}
