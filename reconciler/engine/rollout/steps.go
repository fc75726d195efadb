// The steps of a canary: where a release is among them, and what comes next.

package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Canary is how a release takes over, step by step.
type Canary struct {
	Steps    []Step
	Analyses map[string]Analysis
}

// Step is one of three things: Weight, Pause or Analyses.
type Step struct {
	Weight   *int           // per cent of the requests that go to the new release from now on
	Shadow   int            // with Weight: per cent of the requests that are sent to it as well, for answers that nobody gets
	Pause    *time.Duration // for how long nothing happens; zero: until a person promotes it
	Analyses []string       // that must find the release no worse before it goes on
}

// Analysis compares the new release with another process of the old one that is as young.
type Analysis struct {
	Metric   string
	Gauge    bool // it is what a gauge shows, within its bounds or not, and compares nothing
	Pairs    bool // it compares two answers to the same request
	Margin   float64
	Deadline time.Duration // for how long, from the beginning of its step, it may be undecided
	// RollBack says that what is undecided at the deadline is rolled back; else it is held for a person.
	RollBack bool
}

// test is the one of a; what is compared are shares of requests. Of a pair, either may be the worse.
func (a Analysis) test() Test {
	t := Test{Alpha: DefaultAlpha, Margin: a.Margin, Most: 1}
	if a.Pairs {
		t.Least = -1
	}
	return t
}

// judge says what e is to the analysis of a name. What is not known is never success.
func (a Analysis) judge(name string, e Evidence) (Verdict, string) {
	if a.Pairs {
		return a.test().JudgePairs(e.Pairs[a.Metric])
	}
	if !a.Gauge {
		return a.test().Judge(e.Canary[a.Metric], e.Baseline[a.Metric])
	}
	switch r := e.Gauges[name]; {
	case !r.Known:
		return Undecided, cmp.Or(r.Says, "it was not asked")
	case r.Beyond:
		return Inferior, r.Says
	default:
		return NonInferior, r.Says
	}
}

// Phase is how a rollout stands.
type Phase string

const (
	Progressing Phase = "progressing"
	Paused      Phase = "paused"      // by a person
	Held        Phase = "held"        // undecided at its deadline: a person decides
	Promoted    Phase = "promoted"    // the new release serves all
	RolledBack  Phase = "rolled-back" // the old one does
	Ended       Phase = "ended"       // the old one does, as something else is declared by now
)

// Over tells whether nothing more happens by itself: a newer release begins anew.
func (p Phase) Over() bool { return p.stays() || p == Ended }

// stays tells whether it is over for good.
func (p Phase) stays() bool { return p == Promoted || p == RolledBack }

// UnderWay tells whether a release is tried.
func (p Phase) UnderWay() bool { return p != "" && !p.Over() }

// Change is one thing that is recorded of a rollout.
type Change struct {
	Key      digest.Digest // of the release that is rolled out
	Phase    Phase         // from now on
	Step     int           // that it is at
	Weight   int
	Declared digest.Digest // of the steps and analyses that it goes by
	Time     time.Time     // of the entry
	Why      string        // as the entry says it
}

// State is what all that was recorded of a deployment's rollouts comes to.
type State struct {
	Change
	Since time.Time // when it came to its step
}

// Takes tells whether c changes anything. What is promoted or rolled back stays so for its release: no later
// change of the same release brings it back but a person's promotion, and a change of another release begins anew.
func (s State) Takes(c Change) bool {
	return c.Key != s.Key || !s.Phase.stays() || c.Phase == Promoted
}

// Fold takes in the next change.
func (s State) Fold(c Change) State {
	if !s.Takes(c) {
		return s
	}
	out := State{Change: c, Since: c.Time}
	if c.Key == s.Key && c.Step == s.Step && !s.Since.IsZero() {
		out.Since = s.Since // a pause in between makes a step no younger
	}
	return out
}

// Evidence is what was seen of both releases.
type Evidence struct {
	Failing  string // why the new release does not answer; "" where it does
	Canary   map[string]Sample
	Baseline map[string]Sample
	Pairs    map[string]Sample  // of the same requests, by metric: how much worse the new release's answers are
	Gauges   map[string]Reading // by analysis
	Unread   string             // why some of it could not be read; "" where all was
}

// Reading is what a gauge shows now.
type Reading struct {
	Known  bool // it has a value
	Beyond bool // of what is allowed
	Says   string
}

// Do is what is done next.
type Do string

const (
	Wait     Do = "wait"
	Advance  Do = "advance" // to Step, with Weight
	Hold     Do = "hold"    // a person decides
	Promote  Do = "promote"
	RollBack Do = "roll-back"

	// What is done besides, for what is found.
	Begin  Do = "begin"
	End    Do = "end"    // what is tried is no longer declared
	Revive Do = "revive" // what serves is brought back, and what is tried with it
	Weigh  Do = "weigh"  // the weight is made what is recorded
)

// Decision is what comes next of a rollout, and why.
type Decision struct {
	Do     Do
	Step   int
	Weight int
	Why    string
	Until  time.Time // of what waits: when it goes on, or is decided, at the latest; zero: at no time
}

// Decide says what comes next. A release that fails or is found worse goes back from any step, also while
// it pauses: what was found stays so however often it is looked at.
func Decide(c Canary, s State, e Evidence, now time.Time) Decision {
	at := Decision{Do: Wait, Step: s.Step, Weight: s.Weight}
	if s.Phase.Over() {
		at.Why = string(s.Phase) + ": " + s.Why
		return at
	}
	if worse := c.Worse(s, e); worse != "" {
		return Decision{Do: RollBack, Step: s.Step, Why: worse}
	}
	switch {
	case s.Phase == Paused:
		at.Why = s.Why
		return at
	case s.Step >= len(c.Steps):
		at.Do, at.Weight, at.Why = Promote, 100, "all its steps are done"
		return at
	}
	if due := c.due(s.Step); due != s.Weight { // a person let it come here, and its weight is still to be given
		at.Do, at.Weight, at.Why = Advance, due, "a person's promotion"
		return at
	}
	done, next := c.stands(s, e, now)
	if !done {
		return next
	}
	at.Step = s.Step + 1
	if at.Do = Advance; at.Step == len(c.Steps) {
		at.Do, at.Weight, at.Why = Promote, 100, "all its steps are done"
		return at
	}
	at.Why, at.Weight = next.Why, c.due(at.Step)
	return at
}

// due is the weight that a release has at a step: that of the last step that sets one.
func (c Canary) due(step int) (weight int) {
	for _, s := range c.Steps[:step+1] {
		if s.Weight != nil {
			weight = *s.Weight
		}
	}
	return weight
}

// Mirrors is how many per cent of the requests are sent to a release as well at a step.
func (c Canary) Mirrors(step int) (percent int) {
	for _, s := range c.Steps[:min(step+1, len(c.Steps))] {
		if s.Weight != nil {
			percent = s.Shadow
		}
	}
	return percent
}

// Onward is what a person's promotion comes to: what is paused goes on, and what waits comes to its next step, or,
// in full, to the end of all of them. It is recorded, and the next look does it: the weight stays what it is until then,
// as what holds steps forward holds this one too.
func Onward(c Canary, s State, full bool) Change {
	out := s.Change
	out.Phase = Progressing
	switch {
	case full:
		out.Step = len(c.Steps)
	case s.Phase == Paused:
	default:
		out.Step = min(s.Step+1, len(c.Steps))
	}
	return out
}

// First is the first decision of a release that is to be rolled out.
func First(c Canary) Decision {
	d := Decision{Do: Begin, Why: "its first step"}
	if len(c.Steps) == 0 {
		return Decision{Do: Promote, Weight: 100, Why: "it declares no steps"}
	}
	if w := c.Steps[0].Weight; w != nil {
		d.Weight = *w
	}
	return d
}

// Worse says why the release goes back; "" where it does not. Every analysis that is declared counts
// from the first request on, whichever step asks for it. Before that a gauge does where its step asks for it: what
// others show of the requests then is the old release's.
func (c Canary) Worse(s State, e Evidence) string {
	if e.Failing != "" {
		return "it does not answer: " + e.Failing
	}
	var asked []string
	if s.Step < len(c.Steps) {
		asked = c.Steps[s.Step].Analyses
	}
	for _, name := range c.names() {
		a := c.Analyses[name]
		if a.Gauge && s.Weight == 0 && !slices.Contains(asked, name) {
			continue
		}
		if verdict, says := a.judge(name, e); verdict == Inferior {
			return fmt.Sprintf("analysis %s: %s: %s", name, a.Metric, says)
		}
	}
	return ""
}

// stands tells whether the step that s is at is done, and else what becomes of it.
func (c Canary) stands(s State, e Evidence, now time.Time) (done bool, d Decision) {
	d = Decision{Do: Wait, Step: s.Step, Weight: s.Weight}
	step := c.Steps[s.Step]
	switch {
	case step.Pause != nil && *step.Pause == 0:
		d.Do, d.Why = Hold, "its steps pause here until a person promotes it"
		return false, d
	case step.Pause != nil:
		d.Until = s.Since.Add(*step.Pause)
		d.Why = fmt.Sprintf("pauses for %s", *step.Pause)
		return !now.Before(d.Until), d
	}
	for _, name := range step.Analyses {
		a, declared := c.Analyses[name]
		verdict, says := Undecided, "it is not declared"
		if declared {
			verdict, says = a.judge(name, e)
		}
		if verdict == NonInferior {
			d.Why = fmt.Sprintf("analysis %s: %s: %s", name, a.Metric, says)
			continue
		}
		d.Until = s.Since.Add(a.Deadline)
		d.Why = fmt.Sprintf("analysis %s: %s: %s", name, verdict, says)
		if e.Unread != "" {
			d.Why += "; " + e.Unread
		}
		if !declared || !now.Before(d.Until) {
			d.Do, d.Until = Hold, time.Time{}
			if a.RollBack {
				d.Do, d.Weight = RollBack, 0
			}
			d.Why += "; that is inconclusive"
		}
		return false, d
	}
	return true, d
}

func (c Canary) names() []string {
	out := make([]string, 0, len(c.Analyses))
	for name := range c.Analyses {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
