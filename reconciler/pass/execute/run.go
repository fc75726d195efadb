// The order of acting: each step begins when all that it needs has ended well.

package execute

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/made"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/stopping"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// Run carries out p. Steps that do not need each other go on side by side; one
// that fails or is held holds what needs it and nothing else. The outcomes are
// in the plan's order, one for each step that is no keep.
func Run(ctx context.Context, p plan.Plan, kit Config) []Outcome {
	a := &execution{Config: kit, plan: p, known: made.Known{}, made: map[schemas.Ref]*ledger.Entry{},
		byKey: map[digest.Digest]*ledger.Entry{}, keys: map[digest.Digest]*sync.Mutex{},
		outputs: map[schemas.Ref]map[string]port.Output{}, ended: map[schemas.Ref]chan struct{}{}, how: map[schemas.Ref]EventKind{},
		trials: map[schemas.Ref]*stopping.Trials{}}
	if a.Repeats == nil {
		a.Repeats = &repeats.Known{}
	}
	a.adopt()
	work := p.Work()
	for _, s := range work {
		a.ended[s.Ref] = make(chan struct{})
	}
	out := make([]Outcome, len(work))
	slots := make(chan struct{}, max(1, kit.Parallel))
	var all routine.Set
	for i, s := range work {
		all.Start(func() {
			defer close(a.ended[s.Ref])
			out[i] = a.guarded(s, func() Outcome {
				if why := a.await(s); why != "" && s.Held == "" {
					return a.hold(s, why)
				}
				slots <- struct{}{}
				defer func() { <-slots }()
				return a.step(ctx, s)
			})
		})
	}
	all.Wait()
	return out
}

// guarded does s by f, which may panic: that ends s, and neither the others nor the process.
func (a *execution) guarded(s plan.Step, f func() Outcome) (o Outcome) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err := fmt.Errorf("%s: %w", s.Ref, fault.Panicked(p))
		o = Outcome{Ref: s.Ref, Do: s.Do, End: Failed, Text: err.Error(), Error: err}
		defer func() { _ = recover() }() // it may be the telling that panics
		a.fail(s, err)
	}()
	return f()
}

type execution struct {
	Config
	plan  plan.Plan
	ended map[schemas.Ref]chan struct{}

	mu      sync.Mutex
	known   made.Known
	made    map[schemas.Ref]*ledger.Entry // what stands under each ref now
	byKey   map[digest.Digest]*ledger.Entry
	keys    map[digest.Digest]*sync.Mutex
	outputs map[schemas.Ref]map[string]port.Output
	how     map[schemas.Ref]EventKind
	trials  map[schemas.Ref]*stopping.Trials // of each training that may end some early
}

// adopt takes in what the plan keeps.
func (a *execution) adopt() {
	for _, s := range a.plan.Steps {
		n := a.Graph.Node(s.Ref)
		if s.Do != plan.Keep || n == nil {
			continue
		}
		e := a.Facts.ByKey[s.Key]
		if !looksUp(s.Ref) {
			e = cmp.Or(a.Facts.Standing(a.Machine, s.Ref, s.Key), a.Facts.Latest[s.Ref])
		}
		if e != nil {
			a.known.Add(n, e)
			a.made[s.Ref] = e
			a.stood(n, e)
			a.outputs[s.Ref] = a.Changes[s.Ref].Outputs
		}
	}
}

// await waits for what s needs and says why s cannot go on, or "".
func (a *execution) await(s plan.Step) string {
	for _, need := range s.Needs {
		if c, ok := a.ended[need]; ok {
			<-c
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, need := range s.Needs {
		switch a.how[need] {
		case Failed:
			return "needs " + need.String() + ", which failed"
		case Held:
			return "needs " + need.String() + ", which is held"
		}
	}
	return ""
}

// step does one step and notes how it ended.
func (a *execution) step(ctx context.Context, s plan.Step) Outcome {
	if s.Held != "" {
		o := a.hold(s, s.Held)
		if s.Asks() {
			a.denial(ctx, s, ofRef(a.plan.Findings, s.Ref), &o)
		}
		return o
	}
	if err := ctx.Err(); err != nil {
		return a.fail(s, fault.New(fault.Cancelled, "%s: not begun: %w", s.Ref, err))
	}
	if s.Do == plan.Retire {
		j := &job{Step: s}
		a.sendEvent(s.Ref, Began, s.Why)
		j.Why = plan.Recorded(s, port.Recipe{}, nil)
		err := a.retire(ctx, j)
		return a.end(s, j.seq, err)
	}
	n := a.Graph.Node(s.Ref)
	if n == nil {
		return a.fail(s, fault.New(fault.Internal, "%s is in the plan and not in the graph", s.Ref))
	}
	return a.due(ctx, s, n)
}

// due does s if there is nothing yet under its key.
func (a *execution) due(ctx context.Context, s plan.Step, n *graph.Node) Outcome {
	recipe, waits := a.recipe(n)
	if len(waits) > 0 {
		return a.fail(s, fault.New(fault.Internal, "%s: still waits for %v", s.Ref, waits))
	}
	key, err := recipe.Key()
	if err != nil {
		return a.fail(s, fault.New(fault.Internal, "%s: name recipe: %w", s.Ref, err))
	}
	s.Key = key
	defer a.lock(key)()
	if e := a.standing(s); e != nil {
		a.adoptMade(n, e)
		return a.note(s, Kept, "came out the same", nil)
	}
	if why := a.spent(s, n); why != "" {
		return a.hold(s, why)
	}
	if err := a.readable(ctx, n); err != nil {
		return a.fail(s, err)
	}
	s.Why = plan.Recorded(s, recipe, a.latest(s.Ref))
	j := &job{Step: s, node: n, recipe: recipe}
	if err = a.make(ctx, j); j.came != "" {
		s.Why = j.came
	}
	return a.end(s, j.seq, err)
}

// recipe is n's recipe, as far as what it needs is known by now.
func (a *execution) recipe(n *graph.Node) (port.Recipe, []schemas.Ref) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known.Recipe(n)
}

// job is one step under way.
type job struct {
	plan.Step
	node   *graph.Node
	recipe port.Recipe
	seq    int64
	came   string           // what it came to, where that is not why it was done
	stood  *ledger.Trial    // how it stood against other trials while it ran
	found  []ledger.Finding // while acting, that deny nothing and that the plan did not tell
}

// record appends what j made and lets what needs it see it.
func (a *execution) record(ctx context.Context, j *job, e ledger.Entry) error {
	e.Again = looksUp(j.Ref) && a.Unfit[e.Key] != ""
	// What was done is recorded even where the caller has given up meanwhile.
	got, err := a.Append(context.WithoutCancel(ctx), e)
	if err != nil {
		return fmt.Errorf("record %s: %w", j.Ref, err)
	}
	failpoint.At(failpoint.Recorded)
	a.Repeats.Succeeded(got)
	j.seq = got.Seq
	made := &got
	if got.Duplicate {
		// Somebody else made it before, or meanwhile: theirs is the fact where it is to be had.
		if made, err = a.First(context.WithoutCancel(ctx), got.Key); err != nil {
			return fmt.Errorf("read the entry that came first: %w", err)
		}
	}
	a.adoptMade(j.node, made)
	return nil
}

func (a *execution) adoptMade(n *graph.Node, e *ledger.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known.Add(n, e)
	a.made[n.Ref] = e
	a.stood(n, e)
	if a.byKey[e.Key] == nil {
		a.byKey[e.Key] = e
	}
}

func (a *execution) entry(key digest.Digest) *ledger.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byKey[key]; e != nil {
		return e
	}
	if a.MissingArtifacts[key] != "" || a.Unfit[key] != "" {
		return nil
	}
	return a.Facts.ByKey[key]
}

func (a *execution) of(ref schemas.Ref) *ledger.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made[ref]
}

// lock lets one step at a time work under a key.
func (a *execution) lock(key digest.Digest) (unlock func()) {
	a.mu.Lock()
	m := a.keys[key]
	if m == nil {
		m = &sync.Mutex{}
		a.keys[key] = m
	}
	a.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// latest is the newest entry about ref before this pass acts on it.
func (a *execution) latest(ref schemas.Ref) *ledger.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Facts.On(a.Machine, ref)
}

// spent says why a key that the plan could not know yet is not tried again.
func (a *execution) spent(s plan.Step, n *graph.Node) string {
	if t := a.Facts.Failed[s.Key]; t.N > plan.Retries(n.Decl) {
		return "failed before with the same inputs; " + plan.RetryHint(s.Ref, a.Pull)
	}
	return ""
}

// base is what every entry about a step says.
func (a *execution) base(action ledger.Action, j *job) ledger.Entry {
	e := ledger.Entry{
		Action: action, Ref: j.Ref, Key: j.Key, Revision: a.Common.Revision, Author: a.Common.Author,
		Plan: a.Common.Plan, Policy: a.Common.Policy, Verdict: "allow", Actor: a.Common.Actor,
		Reason: j.Why, Findings: slices.Clone(j.found),
	}
	e.ApprovedBy(a.Common.Approved[j.Ref])
	if j.node != nil {
		r := j.recipe
		r.Params = maps.Clone(r.Params)
		e.MadeBy = &r
	}
	return e
}

func (a *execution) sendEvent(ref schemas.Ref, kind EventKind, text string) {
	if a.Tell != nil {
		a.Tell(Event{Time: a.Now(), Ref: ref, Kind: kind, Text: text})
	}
}

func ofRef(all []ledger.Finding, ref schemas.Ref) (out []ledger.Finding) {
	for _, f := range all {
		if f.Ref == ref {
			out = append(out, f)
		}
	}
	return out
}
