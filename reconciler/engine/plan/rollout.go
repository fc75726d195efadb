// Rolling out step by step: a new release is tried beside the one that serves, and each pass does what is next of it.

package plan

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// RolledBack and InCanary begin the reasons of releases that are held as they are rolled out.
const (
	RolledBack = "rolled back: "
	InCanary   = "canary, "
)

// lookAgain is after how long a pass looks at a release that is tried, whatever it waits for: a pass asks the forge
// and the remote, so that it is not to be often. What goes back, a controller sees between passes.
const lookAgain = time.Minute

// Move is what a step does about a release that is tried beside the one that serves.
type Move struct {
	Do     rollout.Do    `json:"do"`
	Key    digest.Digest `json:"key"`              // of the release that is tried
	Step   int           `json:"step"`             // that it comes to, from 0
	Weight int           `json:"weight"`           // per cent of the requests that it has then
	Raises bool          `json:"raises,omitempty"` // it had a smaller part of them
	Why    string        `json:"why"`
}

// forward tells whether m gives a new release more than it had, whatever it does so for.
func (m Move) forward() bool {
	return m.Do == rollout.Begin || m.Do == rollout.Advance || m.Do == rollout.Promote || m.Do == rollout.Weigh && m.Raises
}

// Back tells whether s gives nothing to a new release, and only puts back or notes what there is: no rule and no
// approval stands before it.
func (s Step) Back() bool { return s.Move != nil && !s.Move.forward() }

// GoesOn tells whether s is a later step of a rollout, which goes by what its first one was approved by.
func (s Step) GoesOn() bool { return s.Move != nil && s.Move.Do != rollout.Begin }

// CanaryOf is how releases of n are tried, and the digest of that; false where they are not.
func CanaryOf(n *graph.Node) (rollout.Canary, digest.Digest, bool) {
	spec, ok := n.Decl.Spec.(schemas.RolledOut)
	if !ok || !spec.Rolls().Tries() {
		return rollout.Canary{}, "", false
	}
	how := spec.Rolls()
	of := map[string]any{"canary": how.Canary, "analyses": how.Analyses}
	if how.BlueGreen != nil {
		of = map[string]any{"blueGreen": how.BlueGreen, "analyses": how.Analyses}
	}
	if how.Shadow != nil {
		of["shadow"] = how.Shadow
	}
	name, err := digest.JSON(of)
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	out := rollout.Canary{Analyses: map[string]rollout.Analysis{}}
	for name, a := range how.Analyses {
		out.Analyses[name] = rollout.Analysis{Metric: a.Compares(), Margin: a.Margin, Deadline: a.Deadline.Or(2 * time.Hour), RollBack: a.Inconclusive == "rollback", Gauge: a.Gauge != nil, Pairs: a.Pairs()}
	}
	for _, s := range how.Steps() {
		step := rollout.Step{Weight: s.SetWeight, Analyses: s.Analysis}
		if s.Pause != nil {
			d := s.Pause.Duration.Or(0)
			step.Pause = &d
		}
		out.Steps = append(out.Steps, step)
	}
	if how.Shadow != nil {
		out.Steps[0].Shadow = how.Shadow.Percent
	}
	return out, name, true
}

// Seen is what a server counted of a release that is tried, and what was logged of it, as evidence.
func Seen(t *port.Trial, logged rollout.Evidence) rollout.Evidence {
	share := func(a port.Asked) map[string]rollout.Sample {
		return map[string]rollout.Sample{"error_rate": rollout.Share(a.Failed, a.Requests)}
	}
	e := rollout.Evidence{Canary: share(t.Canary), Baseline: share(t.Baseline), Gauges: logged.Gauges, Unread: logged.Unread}
	if t.Pairs != nil {
		e.Pairs = pairs(*t.Pairs)
	}
	maps.Copy(e.Canary, logged.Canary)
	maps.Copy(e.Baseline, logged.Baseline)
	if t.Health == port.Failing || t.Health == port.Down {
		e.Failing = cmp.Or(t.Message, "it is "+string(t.Health))
	}
	return e
}

// pairs are p as evidence, by metric. Of what was not sent nothing is known: it may be one client that keeps the release busy.
// And a request that the old release refuses or fails at shows nothing of the new one: anybody can send any number of these.
func pairs(p port.Pairs) map[string]rollout.Sample {
	known := func(s rollout.Sample, unknown int64) rollout.Sample {
		s.Unknown = unknown
		return s
	}
	return map[string]rollout.Sample{
		schemas.ShadowDisagreement: known(rollout.Share(p.Differ, p.Compared), p.Dropped+p.Unread),
		schemas.ShadowErrorRate:    known(rollout.Share(p.Failed, p.Taken), p.Dropped),
		schemas.ShadowSlower:       known(rollout.Share(p.Slower, p.Taken), p.Dropped),
	}
}

// Rolling is what is known of a deployment whose release is rolled out.
type Rolling struct {
	Live      port.Live
	State     rollout.State
	Logged    rollout.Evidence // what the log of predictions says of both
	Elsewhere bool             // it is under way on another machine
	Now       time.Time
	// Unasked says that what was planned went back or was brought back: no rule and no approval stood before it, so
	// that nothing goes forward in the same pass.
	Unasked bool
}

// RollingOf is what facts tell of ref, as live was found on machine.
func RollingOf(f *ledger.Facts, ref schemas.Ref, live port.Live, machine string, now time.Time) Rolling {
	r := Rolling{Live: live, State: f.RolloutOf(ref), Now: now}
	if e := f.Rollouts[ref]; e != nil {
		r.Elsewhere = r.State.Phase.UnderWay() && e.Machine != "" && e.Machine != machine
	}
	return r
}

// Roll is s, the step of a deployment, with what is to be done about a release that is tried, or why it waits.
func Roll(s Step, n *graph.Node, r Rolling) Step {
	out := s.roll(n, r)
	if r.Unasked && out.Move != nil && !out.Back() {
		return out.waits(rollout.Decision{Why: InCanary + "and the next pass goes on, once its rules are asked: " + out.Move.Why}, r.Now)
	}
	return out
}

func (s Step) roll(n *graph.Node, r Rolling) Step {
	canary, declared, tries := CanaryOf(n)
	s.Canary = declared
	beside, same := r.Live.Beside, r.State.Key == s.Key
	underWay := same && r.State.Phase.UnderWay()
	do := func(what rollout.Do, step, weight int, why string) Step {
		s.Move = &Move{Do: what, Key: s.Key, Step: step, Weight: weight, Why: why}
		s.Why = why
		return s
	}
	switch {
	case s.Do == Keep && beside != nil:
		s.Do = Remake
		do(rollout.End, 0, 0, "ends the canary of "+beside.Key.Short()+", which is no longer declared")
		s.Move.Key = beside.Key
		return s
	case s.Do == Keep && r.Live.Key == s.Key && !same && r.State.Phase.UnderWay() && !r.Elsewhere:
		s.Do = Remake
		do(rollout.End, r.State.Step, 0, "ends the canary of "+r.State.Key.Short()+", which is no longer declared or tried")
		s.Move.Key = r.State.Key
		return s
	case s.Do == Keep, s.Restores:
		return s
	case r.Live.Key == s.Key && underWay && r.Live.Health == port.Ready:
		return do(rollout.Promote, r.State.Step, 100, "all its steps are done")
	case r.Live.Key == s.Key:
		return s
	case same && r.State.Phase == rollout.RolledBack:
		return s.pinned(r)
	case !tries:
		return s
	case underWay && r.Elsewhere && (beside == nil || beside.Key != s.Key):
		return s.waits(rollout.Decision{Why: InCanary + "which another machine carries out; it serves here once it is promoted there"}, r.Now)
	case r.Live.Key == "" && !underWay: // nothing serves that it could be tried beside
		return s
	case underWay && r.State.Step >= len(canary.Steps) && r.Live.Health != port.Down && (beside == nil || beside.Key != s.Key):
		return s // somebody promoted it, and there is nothing that it is tried beside
	case r.Live.Key == "":
		return s.waits(rollout.Decision{Why: InCanary + "and the release that it was compared with is not served here any more; vishwa rollout promote --full " + s.Ref.String() + " serves it"}, r.Now)
	case r.Live.Health == port.Down:
		return do(rollout.Revive, r.State.Step, r.State.Weight, "what serves is down: it is brought back first")
	case r.Live.Health != port.Ready:
		return s.waits(rollout.Decision{Why: InCanary + "and what serves does not answer: there is nothing to compare with; vishwa rollout promote --full " + s.Ref.String() + " serves it at once"}, r.Now)
	case underWay && beside != nil && beside.Key == s.Key && canary.Worse(r.State, Seen(beside, r.Logged)) != "":
		return do(rollout.RollBack, r.State.Step, 0, canary.Worse(r.State, Seen(beside, r.Logged)))
	case !underWay || r.State.Declared != declared:
		d := rollout.First(canary)
		why := fmt.Sprintf("%s; begins a canary, %s", s.Why, Stage(canary, d.Step, d.Weight))
		return do(rollout.Begin, d.Step, d.Weight, why)
	case beside == nil || beside.Key != s.Key:
		return do(rollout.RollBack, r.State.Step, 0, "it is not tried any more, and nothing says why")
	}
	return s.next(canary, r, do)
}

// Superseded says why a release that is tried goes back before s is done, which is about another one that waits, or is still to be
// made; "" where it does not. What s does at once about what is tried is its own.
func Superseded(s Step, n *graph.Node, r Rolling) string {
	b := r.Live.Beside
	canary, _, tries := CanaryOf(n)
	if b == nil || !tries || !s.Pending && (s.Key == b.Key || s.Held == "") || r.State.Key != b.Key || !r.State.Phase.UnderWay() {
		return ""
	}
	return canary.Worse(r.State, Seen(b, r.Logged))
}

// next is s with what comes next of a release that is tried.
func (s Step) next(c rollout.Canary, r Rolling, do func(rollout.Do, int, int, string) Step) Step {
	d := rollout.Decide(c, r.State, Seen(r.Live.Beside, r.Logged), r.Now)
	switch {
	case d.Do == rollout.Hold && r.State.Phase != rollout.Held:
		return do(rollout.Hold, d.Step, r.State.Weight, d.Why)
	case (d.Do == rollout.Hold || d.Do == rollout.Wait) && r.Live.Beside.Shadow != c.Mirrors(r.State.Step):
		was, now := r.Live.Beside.Shadow, c.Mirrors(r.State.Step)
		out := do(rollout.Weigh, r.State.Step, r.State.Weight, fmt.Sprintf("%d %% of the requests were sent to it as well, and %d %% are to be", was, now))
		out.Move.Raises = now > was || r.State.Weight > r.Live.Beside.Weight
		return out
	case (d.Do == rollout.Hold || d.Do == rollout.Wait) && r.Live.Beside.Weight != r.State.Weight:
		out := do(rollout.Weigh, r.State.Step, r.State.Weight, fmt.Sprintf("its weight was %d and is recorded as %d", r.Live.Beside.Weight, r.State.Weight))
		out.Move.Raises = r.State.Weight > r.Live.Beside.Weight
		return out
	case d.Do == rollout.Hold:
		d.Why = InCanary + Stage(c, r.State.Step, r.State.Weight) + ", is held: " + d.Why + "; vishwa rollout promote " + s.Ref.String() + " goes on with it"
		return s.waits(d, r.Now)
	case d.Do == rollout.Wait:
		d.Why = InCanary + Stage(c, r.State.Step, r.State.Weight) + ": " + d.Why
		if !d.Until.IsZero() {
			d.Why += ", until " + d.Until.UTC().Format("2006-01-02 15:04:05 MST")
		}
		return s.waits(d, r.Now)
	case d.Do == rollout.Advance:
		return do(d.Do, d.Step, d.Weight, fmt.Sprintf("canary: %s, comes after %s", Stage(c, d.Step, d.Weight), cmp.Or(d.Why, "its weight")))
	default:
		return do(d.Do, d.Step, d.Weight, d.Why)
	}
}

// pinned is a release that was rolled back: it stays so until something else is declared, and what serves is kept.
func (s Step) pinned(r Rolling) Step {
	switch beside := r.Live.Beside; {
	case beside != nil && beside.Key == s.Key:
		s.Move = &Move{Do: rollout.End, Key: s.Key, Step: r.State.Step, Why: "was rolled back: what is left of it ends"}
		s.Why = s.Move.Why
	case r.Live.Health == port.Down:
		s.Move = &Move{Do: rollout.Revive, Key: s.Key, Step: r.State.Step, Why: "what serves is down: it is brought back"}
		s.Why = s.Move.Why
	default:
		s.rests = true
		s.Held = RolledBack + r.State.Why + "; declare something else (vishwa rollout revert " + s.Ref.String() + " does), or vishwa retry " + s.Ref.String() + " to try it once more"
	}
	return s
}

// waits is s held for d. It is looked at again soon: what is found worse goes back from any step.
func (s Step) waits(d rollout.Decision, now time.Time) Step {
	s.Held, s.Until, s.look = d.Why, d.Until, now.Add(lookAgain)
	s.timed, s.rests = !d.Until.IsZero(), true
	return s
}

// Stage is where a canary is, for people.
func Stage(c rollout.Canary, step, weight int) string {
	text := fmt.Sprintf("step %d of %d, %d %% of the requests", min(step+1, len(c.Steps)), len(c.Steps), weight)
	if shadow := c.Mirrors(step); shadow > 0 {
		text += fmt.Sprintf(", and %d %% as a shadow", shadow)
	}
	return text
}

// rolls has each deployment's release tried as it is declared.
func (c *computing) rolls(s *Step) {
	n := c.want.Node(s.Ref)
	if n == nil || c.seen.Now.IsZero() || !s.Ref.Kind.Traits().Serves {
		return
	}
	r := RollingOf(c.seen.Facts, s.Ref, c.seen.Live[s.Ref], c.seen.Machine, c.seen.Now)
	r.Logged = c.seen.Logged[s.Ref]
	if s.Pending {
		_, s.Canary, _ = CanaryOf(n)
		if why := Superseded(*s, n, r); why != "" && !c.seen.Pull {
			s.Why += "; before that, what is tried goes back: " + why
		}
		return // what it serves is known when it is done
	}
	if c.seen.Pull && s.Do == Keep {
		return
	}
	rolled := Roll(*s, n, r)
	if c.seen.Pull && (rolled.Held != "" || rolled.Back()) {
		s.Canary, s.rests = rolled.Canary, rolled.rests
		s.Why += "; after the merge: " + cmp.Or(rolled.Held, rolled.Why)
		return
	}
	*s = rolled
}
