// A deployment that is rolled out step by step: what is next of it is done and recorded, until it waits for something.

package execute

import (
	"cmp"
	"context"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostMoves bounds what one pass does about a release that is tried; a canary has at most 50 steps.
const mostMoves = 128

// A release that does not answer for a moment is none that fails: it is asked so often, so long apart.
const (
	askedAgain = 3
	askedAfter = time.Second
)

// trying is a release that is tried, as it is by now.
type trying struct {
	*job
	spec     *schemas.Deployment
	base     plan.Step // with nothing decided
	server   port.Splitter
	live     port.Live
	state    rollout.State
	last     *ledger.Entry // of the rollout; nil: it has not begun
	selected *ledger.Entry
	release  *port.Release // nil: it is not made out yet
	judged   bool
	unasked  bool // see plan.Rolling
}

// rolls decides about a step whose key was not known when it was planned.
func (a *execution) rolls(j *job) error {
	if j.Pending {
		j.Step = plan.Roll(j.Step, j.node, plan.RollingOf(a.Facts, j.Ref, a.Live[j.Ref], a.Machine, a.Now()))
		if j.Held != "" {
			return untimely{j.Held}
		}
	}
	return nil
}

// try does what is next of j's release, one thing after another, until nothing is to be done for now.
func (a *execution) try(ctx context.Context, j *job, spec *schemas.Deployment) error {
	t := &trying{job: j, spec: spec, base: j.Step, live: a.Live[j.Ref], state: a.Facts.RolloutOf(j.Ref), unasked: j.Back()}
	t.base.Move, t.base.Do, t.base.Pending = nil, plan.Remake, false
	t.last = a.Facts.Rollouts[j.Ref]
	t.server, _ = a.Server.(port.Splitter)
	if t.server == nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s: nothing here serves two releases side by side", j.Ref), "remove spec.rollout.canary, or blueGreen; or serve it by target local")
	}
	for range mostMoves {
		if err := a.move(ctx, t); err != nil {
			return err
		}
		switch t.Move.Do {
		case rollout.RollBack:
			return untimely{plan.RolledBack + t.Move.Why}
		case rollout.Promote, rollout.End:
			return nil
		}
		var err error
		if t.live, err = a.Server.Observe(ctx, j.Ref.Name); err != nil {
			return err
		}
		t.Step = plan.Roll(t.base, t.node, plan.Rolling{Live: t.live, State: t.state, Logged: a.Logged(ctx, t.Ref, t.live), Now: a.Now(), Unasked: t.unasked})
		if t.Held != "" || t.Move == nil {
			t.came = cmp.Or(t.Held, t.Why)
			return nil // and the next pass looks again
		}
	}
	return fault.New(fault.Internal, "%s: its canary does not settle", j.Ref)
}

// move does one thing, and records it.
func (a *execution) move(ctx context.Context, t *trying) error {
	m := *t.Move
	switch m.Do {
	case rollout.RollBack, rollout.End:
		return a.takeBack(ctx, t)
	case rollout.Hold:
		return a.changed(ctx, t, rollout.Held)
	case rollout.Revive:
		return a.revive(ctx, t)
	}
	if err := a.mayMove(ctx, t); err != nil {
		return err
	}
	if m.Do == rollout.Promote {
		return a.promote(ctx, t)
	}
	if b := t.live.Beside; m.Do == rollout.Begin && b != nil && b.Key == m.Key { // what was seen of it before says nothing of it now
		if _, err := t.server.Join(ctx, t.Ref.Name, *b, false); err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
			return a.failure(ctx, t.job, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
		}
	}
	live, err := t.server.Split(ctx, *t.release, t.part())
	if err != nil {
		return a.failure(ctx, t.job, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Moved)
	t.live = live
	phase := rollout.Progressing
	if m.Do == rollout.Weigh {
		phase = t.state.Phase
	}
	return a.changed(ctx, t, phase)
}

// part is what t's move gives the new release.
func (t *trying) part() port.Part {
	out := port.Part{Weight: t.Move.Weight}
	canary, _, _ := plan.CanaryOf(t.node)
	if percent := canary.Mirrors(t.Move.Step); percent > 0 {
		s := t.spec.Rollout.Shadow
		out.Shadow = &port.Shadow{Percent: percent, Paths: s.Paths, Tolerance: s.Tolerance, Slower: s.SlowerBy()}
	}
	return out
}

// mayMove asks the policies, once, and holds t in a freeze.
func (a *execution) mayMove(ctx context.Context, t *trying) error {
	if t.release == nil {
		if t.selected = a.of(t.spec.Model); t.selected == nil || t.selected.Model == nil {
			return fault.New(fault.Internal, "%s: %s is not released", t.Ref, t.spec.Model)
		}
		r, err := a.release(ctx, t.job, t.spec, t.selected)
		if err != nil {
			return err
		}
		t.release = &r
	}
	if err := a.undecided(ctx, t); err != nil || t.Back() {
		return err
	}
	if !t.judged {
		if err := a.judge(ctx, t.job, Material{Model: t.selected.Model, Metrics: t.selected.Metrics}); err != nil {
			return err
		}
		t.judged = true
	}
	if why := plan.Frozen(t.Step, t.node, t.live, a.Now()); why != "" {
		return untimely{why}
	}
	return nil
}

// undecided tells whether t's rollout is where it was when it was planned. What a person decided meanwhile counts,
// and the next pass goes by it.
func (a *execution) undecided(ctx context.Context, t *trying) error {
	now, err := a.Rollout(ctx, t.Ref)
	if err == nil && follows(now) != follows(t.last) {
		return a.outrun(ctx, t)
	}
	return err
}

// outrun ends t's trial unless the ledger says that it is under way: one that was taken back while its weight changed
// may have begun anew, and nobody watches it.
func (a *execution) outrun(ctx context.Context, t *trying) error {
	now, err := a.Rollout(ctx, t.Ref)
	if err == nil && (now == nil || now.Key != t.Move.Key || !now.Rollout.Phase.UnderWay()) {
		_, err = t.server.Join(ctx, t.Ref.Name, port.Trial{Key: t.Move.Key}, false)
	}
	if err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict { // these: it is not tried
		return err
	}
	return untimely{plan.InCanary + "and something was recorded of it while this pass was under way; the next one goes by that"}
}

// follows is what an entry names that was made from last.
func follows(last *ledger.Entry) int64 {
	if last == nil {
		return ledger.First
	}
	return last.Seq
}

// promote has the release that is tried serve all requests, and records it as deployed.
func (a *execution) promote(ctx context.Context, t *trying) error {
	live, err := t.server.Join(ctx, t.Ref.Name, port.Trial{Key: t.Key}, true)
	if err != nil {
		return a.failure(ctx, t.job, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Moved)
	e := a.deployed(t.job, t.spec, t.selected, live)
	e.Reason = "canary promoted: " + t.Move.Why
	e.Rollout = a.stands(t, rollout.Promoted)
	t.approvedAsBegun(&e)
	return a.record(ctx, t.job, e)
}

// takeBack gives all requests to what serves. What does not answer is asked again first: it may do so by now.
func (a *execution) takeBack(ctx context.Context, t *trying) error {
	if b := t.live.Beside; b != nil && t.Move.Do == rollout.RollBack {
		if answers, err := AnswersAgain(ctx, a.Server, t.Ref.Name, *b); err != nil {
			return err
		} else if answers {
			return untimely{plan.InCanary + "it did not answer, and does so again"}
		}
	}
	if _, err := t.server.Join(ctx, t.Ref.Name, port.Trial{Key: t.Move.Key}, false); err != nil {
		return a.failure(ctx, t.job, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	failpoint.At(failpoint.Moved)
	if t.state.Key == t.Move.Key && t.state.Phase == rollout.RolledBack {
		return nil // it is recorded, and this was left to do
	}
	if t.Move.Do == rollout.End {
		return a.noted(ctx, t, rollout.Ended, 0) // whatever else was recorded: it is not tried any more
	}
	return a.noted(ctx, t, rollout.RolledBack, 0)
}

// AnswersAgain tells whether a release that is tried under name, and did not answer when it was found, does so within
// some seconds. Of one that answered then it is false.
func AnswersAgain(ctx context.Context, server port.Server, name string, found port.Trial) (bool, error) {
	if found.Health == port.Ready {
		return false, nil
	}
	for range askedAgain {
		select {
		case <-ctx.Done():
			return false, fault.New(fault.Cancelled, "ask what is tried under %s: %w", name, context.Cause(ctx))
		case <-time.After(askedAfter):
		}
		live, err := server.Observe(ctx, name)
		if err == nil && live.Beside != nil && live.Beside.Key == found.Key && live.Beside.Health == port.Ready {
			return true, nil
		}
	}
	return false, nil
}

// revive brings back what serves, and what is tried beside it.
func (a *execution) revive(ctx context.Context, t *trying) error {
	by, can := a.Server.(port.Reviver)
	if !can {
		return fault.WithHint(fault.New(fault.Invalid, "%s: what serves is down, and nothing here brings it back", t.Ref), "run vishwa apply on the machine that serves it")
	}
	live, err := by.Revive(ctx, t.Ref.Name, t.live.Key)
	if err != nil {
		return a.failure(ctx, t.job, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	t.live = live
	if t.state.Key != t.Key || !t.state.Phase.UnderWay() {
		return nil
	}
	return a.changed(ctx, t, t.state.Phase)
}

// changed records what t's rollout came to, where nothing else was recorded of it meanwhile. Where something was, the
// next pass makes the weight what that says.
func (a *execution) changed(ctx context.Context, t *trying, phase rollout.Phase) error {
	return a.noted(ctx, t, phase, follows(t.last))
}

// noted records it after an entry: see ledger.Entry.
func (a *execution) noted(ctx context.Context, t *trying, phase rollout.Phase, after int64) error {
	e := a.base(ledger.RollOut, t.job)
	e.Reason, e.Rollout = t.Move.Why, a.stands(t, phase)
	if t.Move.Do == rollout.Begin {
		e.Reason = t.Why
	}
	if e.Key = t.Move.Key; e.Key != t.Key {
		e.MadeBy = nil // it is that of what is declared
	}
	t.approvedAsBegun(&e)
	e.Follows = after
	got, err := a.Append(context.WithoutCancel(ctx), e)
	if after != 0 && fault.Of(err) == fault.Conflict {
		return a.outrun(ctx, t)
	}
	if err != nil {
		return err
	}
	failpoint.At(failpoint.Recorded)
	a.Repeats.Succeeded(got)
	a.sendEvent(t.Ref, Output, e.Reason)
	t.seq, t.last = got.Seq, &got
	t.state = rollout.State{Change: rollout.Change{Key: got.Key, Phase: phase, Step: e.Rollout.Step, Weight: e.Rollout.Weight, Declared: e.Rollout.Declared, Time: got.Time, Why: got.Reason}, Since: e.Rollout.Since}
	return nil
}

// stands is where t's rollout is, once its move is done.
func (a *execution) stands(t *trying, phase rollout.Phase) *ledger.Rollout {
	m := t.Move
	out := &ledger.Rollout{Phase: phase, Step: m.Step, Weight: m.Weight, Since: a.Now().UTC().Truncate(time.Millisecond), Declared: t.Canary}
	if t.state.Key == m.Key && m.Do != rollout.Begin {
		if t.state.Step == m.Step && m.Do != rollout.Advance && !t.state.Since.IsZero() { // a weight that comes late begins its step
			out.Since = t.state.Since
		}
		out.Declared = t.state.Declared
	}
	if b := t.live.Beside; b != nil && b.Key == m.Key {
		out.Canary, out.Baseline, out.Pairs = b.Canary, b.Baseline, b.Pairs
	}
	return out
}

// approvedAsBegun has e say who approved the first step of its rollout.
func (t *trying) approvedAsBegun(e *ledger.Entry) {
	if t.last != nil && t.last.Key == e.Key && t.Move.Do != rollout.Begin {
		e.Approved, e.Approvers = t.last.Approved, t.last.Approvers
	}
}

// deployed is the entry of what serves by now.
func (a *execution) deployed(j *job, spec *schemas.Deployment, selected *ledger.Entry, live port.Live) ledger.Entry {
	e := a.base(done(j), j)
	e.Model, e.Metrics = selected.Model, selected.Metrics
	e.Release = &ledger.Release{Environment: spec.Environment, URL: live.URL, Isolation: live.Isolation, Bytes: live.Bytes, Selected: selected.Key}
	if was := modelOf(a.latest(j.Ref)); was != "" && was != selected.Model.Artifact.Digest {
		e.Release.Replaced = was
	}
	return e
}

func modelOf(e *ledger.Entry) digest.Digest {
	if e == nil || e.Model == nil {
		return ""
	}
	return e.Model.Artifact.Digest
}
