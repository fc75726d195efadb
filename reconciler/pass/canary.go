// Releases that are tried beside the one that serves: where they can be, and by whose approval they go on.

package pass

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// begun tells whether s goes on with a rollout that people approved, as it is declared still, or waits in it: its first step's
// entry says so. One whose first step needed nobody goes by what guards now.
func (d *stepServices) begun(s plan.Step) bool {
	first := d.world.Facts.Rollouts[s.Ref]
	if first == nil || first.Key != s.Key || first.Rollout.Declared != s.Canary || len(first.Approved) == 0 {
		return false
	}
	return s.GoesOn() || !s.Asks() && first.Rollout.Phase.UnderWay()
}

// logged is what the log of predictions says of the release that ref tries, where its analyses ask for it. What
// cannot be read is no evidence, and keeps nothing else.
func (o Observers) logged(ctx context.Context, g graph.Graph, ref schemas.Ref, live port.Live) rollout.Evidence {
	n := g.Node(ref)
	if n == nil || live.Beside == nil || o.Arms == nil {
		return rollout.Evidence{}
	}
	var e rollout.Evidence
	err := o.ask(ctx, ref, func() (err error) { e, err = o.Arms(ctx, n.Decl, *live.Beside); return err })
	if err != nil {
		return rollout.Evidence{Unread: "the log of predictions cannot be read: " + err.Error()}
	}
	return e
}

// Logged is what the log of predictions says of the release that ref tries.
func (d *stepServices) Logged(ctx context.Context, ref schemas.Ref, live port.Live) rollout.Evidence {
	return d.logged(ctx, d.world.Graph, ref, live)
}

// Rollout is what is recorded of ref's rollout by now.
func (d *stepServices) Rollout(ctx context.Context, ref schemas.Ref) (*ledger.Entry, error) {
	facts, err := d.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	return facts.Rollouts[ref], nil
}

// untriable are findings of the deployments of p that declare a shadow, a canary or blueGreen, and whose server tries none. What tries them
// is asked, and not its name.
func (h *Reconciler) untriable(w *Snapshot, p plan.Plan) (out []ledger.Finding) {
	splits, can := h.Server.(port.Splitter)
	for s := range p.Working() {
		n := w.Graph.Node(s.Ref)
		if n == nil || s.Do == plan.Retire || s.Back() {
			continue
		}
		if _, _, tries := plan.CanaryOf(n); !tries {
			continue
		}
		spec, ok := n.Decl.Spec.(schemas.Serves)
		if !ok || can && splits.Splits(spec.Serves().Target) {
			continue
		}
		out = append(out, ledger.Finding{Rule: "rollout/target", Level: ledger.Denied, Ref: s.Ref,
			Message: "its releases are to be tried next to the one that serves, and target " + spec.Serves().Target + " serves one release at a time",
			Hint:    "remove shadow, canary or blueGreen from spec.rollout, or name a target that serves two side by side: docs/rollouts.md lists what each does"})
	}
	return out
}

// RolloutOrder is what a person asks for about a rollout.
type RolloutOrder struct {
	Ref    schemas.Ref
	Reason string // for everybody who meets it; a pause and an abort need one
	Full   bool   // a promotion: past all steps that are left
}

// PauseRollout records that what is tried stays as it is until it is promoted or aborted. What fails goes back all the same.
func (h *Reconciler) PauseRollout(ctx context.Context, rev port.Revision, o RolloutOrder) (ledger.Entry, error) {
	if err := o.reasoned("pause"); err != nil {
		return ledger.Entry{}, err
	}
	return h.persist(func() (ledger.Entry, error) {
		s, err := h.underWay(ctx, o.Ref)
		if err != nil {
			return ledger.Entry{}, err
		}
		s.Phase = rollout.Paused
		return h.rolled(ctx, rolledEntry{rev: rev, ref: o.Ref, standing: s, why: "paused: " + o.Reason})
	})
}

// AbortRollout gives all requests to what serves, at once, and records that what was tried is rolled back. Where a pass
// begins or moves it meanwhile, it is ended once more, as that pass may not have seen it.
func (h *Reconciler) AbortRollout(ctx context.Context, rev port.Revision, o RolloutOrder) (ledger.Entry, error) {
	if err := o.reasoned("abort"); err != nil {
		return ledger.Entry{}, err
	}
	return h.persist(func() (ledger.Entry, error) { return h.abort(ctx, rev, o) })
}

func (h *Reconciler) abort(ctx context.Context, rev port.Revision, o RolloutOrder) (ledger.Entry, error) {
	s, err := h.underWay(ctx, o.Ref)
	back := s.Phase == rollout.RolledBack // by somebody just now, and it may be that only the record says so
	if err != nil && !back {
		return ledger.Entry{}, err
	}
	if splits, can := h.Server.(port.Splitter); can {
		// Where another machine tries it, nothing is there to end: that one ends it when it reads the record.
		_, err := splits.Join(ctx, o.Ref.Name, port.Trial{Key: s.Key}, false)
		if err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
			return ledger.Entry{}, err
		}
		if fault.Of(err) == fault.Conflict {
			if err := h.unpromoted(ctx, o.Ref, s.Key); err != nil {
				return ledger.Entry{}, err
			}
		}
	}
	failpoint.At(failpoint.Moved)
	if back {
		return *s.last, nil
	}
	s.Phase, s.Weight = rollout.RolledBack, 0
	return h.rolled(ctx, rolledEntry{rev: rev, ref: o.Ref, standing: s, why: "aborted: " + o.Reason})
}

// errOutrun is a Conflict that another entry of the same rollout made: what was decided is decided anew by it.
var errOutrun = errors.New("its rollout went on meanwhile")

// mostOutrun bounds how often an order is decided anew: a pass records a few entries of a rollout at once.
const mostOutrun = 8

// persist does what a person ordered, anew where the rollout went on meanwhile.
func (h *Reconciler) persist(do func() (ledger.Entry, error)) (e ledger.Entry, err error) {
	for range mostOutrun {
		if e, err = do(); !errors.Is(err, errOutrun) {
			break
		}
	}
	return e, err
}

// unpromoted is a Conflict where the release of key serves all requests, whatever is recorded of it.
func (h *Reconciler) unpromoted(ctx context.Context, ref schemas.Ref, key digest.Digest) error {
	live, err := h.Server.Observe(ctx, ref.Name)
	if err != nil || live.Key != key {
		return err
	}
	return fault.WithHint(fault.New(fault.Conflict, "%s serves all requests of %s: it was promoted, and is no canary any more", key.Short(), ref),
		"vishwa apply records it, where the ledger lacks it; vishwa rollback %s then serves the release before", ref)
}

// TakeBack gives all requests to what serves, as the release that is tried, as live was found, is found worse or does
// not answer; one that answers again meanwhile goes on. It asks for no lock: a pass may be under way for hours.
func (h *Reconciler) TakeBack(ctx context.Context, ref schemas.Ref, live port.Live, why string) error {
	splits, can := h.Server.(port.Splitter)
	s, err := h.underWay(ctx, ref)
	if err != nil || !can || live.Beside == nil || s.Key != live.Beside.Key {
		return err
	}
	answers, err := execute.AnswersAgain(ctx, h.Server, ref.Name, *live.Beside)
	if err != nil || answers {
		return err
	}
	_, err = h.persist(func() (ledger.Entry, error) {
		s, err := h.underWay(ctx, ref)
		if s.last != nil && (s.Key != live.Beside.Key || !s.Phase.UnderWay()) { // somebody else ended it meanwhile
			return ledger.Entry{}, nil
		}
		if err != nil {
			return ledger.Entry{}, err
		}
		if _, err := splits.Join(ctx, ref.Name, *live.Beside, false); err != nil {
			if fault.Of(err) == fault.Conflict { // it was promoted meanwhile, or another is tried
				err = nil
			}
			return ledger.Entry{}, err
		}
		failpoint.At(failpoint.Moved)
		s.Phase, s.Weight = rollout.RolledBack, 0
		return h.rolled(ctx, rolledEntry{ref: ref, standing: s, why: why, seen: live.Beside})
	})
	return err
}

// takeBackSuperseded takes back what is tried where p is about another release, which may take hours to make, or waits. It tells
// whether it did.
func (h *Reconciler) takeBackSuperseded(ctx context.Context, w *Snapshot, p plan.Plan) (took bool, err error) {
	for _, s := range p.Work() {
		n := w.Graph.Node(s.Ref)
		if n == nil || w.Facts.Suspension(s.Ref) != nil {
			continue
		}
		r := plan.RollingOf(w.Facts, s.Ref, w.Live[s.Ref], w.Machine, w.Now)
		r.Logged = w.Logged[s.Ref]
		why := plan.Superseded(s, n, r)
		if why == "" {
			continue
		}
		if err := h.TakeBack(ctx, s.Ref, r.Live, why); err != nil && fault.Of(err) != fault.Conflict { // then somebody took it back, or moved it, just now
			return took, fmt.Errorf("take back what is tried of %s: %w", s.Ref, err)
		}
		took = true
	}
	return took, nil
}

// EndTried ends what is tried under ref, as it was found, where the ledger, as it is now, says that it was rolled back: by somebody elsewhere,
// or just before a pass began it. One that a retry begins meanwhile is another. It tells whether there was anything to end.
func (h *Reconciler) EndTried(ctx context.Context, ref schemas.Ref, tried port.Trial) (bool, error) {
	splits, can := h.Server.(port.Splitter)
	facts, err := h.Ledger.Facts(ctx)
	if err != nil || !can {
		return false, err
	}
	if s := facts.RolloutOf(ref); s.Key != tried.Key || s.Phase != rollout.RolledBack {
		return false, nil
	}
	_, err = splits.Join(ctx, ref.Name, tried, false)
	if k := fault.Of(err); err != nil && (k == fault.Missing || k == fault.Conflict) { // it is tried no more
		return false, nil
	}
	return err == nil, err
}

// PromoteRollout records that what waits goes on. The next pass does it.
func (h *Reconciler) PromoteRollout(ctx context.Context, in *Intent, rev port.Revision, o RolloutOrder) (ledger.Entry, error) {
	if len(o.Reason) > mostReason {
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Invalid, "the reason is longer than %d bytes", mostReason), "give a shorter one: --reason TEXT")
	}
	s, err := h.underWay(ctx, o.Ref)
	if err != nil && o.Full && fault.Of(err) == fault.Invalid {
		s, err = h.unbegun(ctx, in, rev, o.Ref)
	}
	if err != nil {
		return ledger.Entry{}, err
	}
	n := in.Graph.Node(o.Ref)
	if n == nil {
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Conflict, "%s is no longer declared", o.Ref), "vishwa apply ends its canary")
	}
	canary, declared, tries := plan.CanaryOf(n)
	if !tries || declared != s.Declared {
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Conflict, "the canary of %s is declared otherwise by now than when it began", o.Ref), "vishwa apply begins it anew, as it is declared")
	}
	why := "promoted"
	if o.Full {
		why += " past all its steps"
	}
	if o.Reason != "" {
		why += ": " + o.Reason
	}
	change := rollout.Onward(canary, s.State, o.Full)
	next := rollout.State{Change: change, Since: s.Since}
	if change.Step != s.Step {
		next.Since = time.Time{}
	}
	e, err := h.rolled(ctx, rolledEntry{rev: rev, ref: o.Ref, standing: standing{next, s.last}, why: why})
	if errors.Is(err, errOutrun) { // not once more: it may wait in another step by now, which nobody was asked about
		err = fault.WithHint(fault.New(fault.Conflict, "the rollout of %s went on meanwhile", o.Ref), "see where it is: vishwa rollout status %s", o.Ref)
	}
	return e, err
}

func (o RolloutOrder) reasoned(what string) error {
	if strings.TrimSpace(o.Reason) == "" || len(o.Reason) > mostReason {
		return fault.WithHint(fault.New(fault.Invalid, "to %s a rollout needs a reason of 1 to %d bytes, which status and the log show", what, mostReason), "give one: --reason TEXT")
	}
	return nil
}

// standing is how a rollout stands, and the entry that says so; nil: none was recorded.
type standing struct {
	rollout.State
	last *ledger.Entry
}

// underWay is the rollout of ref; Invalid says that none is under way.
func (h *Reconciler) underWay(ctx context.Context, ref schemas.Ref) (standing, error) {
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return standing{}, err
	}
	s := standing{facts.RolloutOf(ref), facts.Rollouts[ref]}
	switch {
	case s.Phase == rollout.RolledBack:
		return s, fault.WithHint(fault.New(fault.Conflict, "the newest release of %s was rolled back: %s", ref, s.Why), "vishwa retry %s tries it once more, from its first step", ref)
	case !s.Phase.UnderWay():
		return s, fault.WithHint(fault.New(fault.Invalid, "%s has no release that is tried", ref), "vishwa rollout status %s shows the last one", ref)
	}
	return s, nil
}

// rolledEntry is what becomes of a rollout outside of a pass.
type rolledEntry struct {
	rev      port.Revision // zero: that of the entry before
	ref      schemas.Ref
	standing // from now on, and what it was decided from
	why      string
	seen     *port.Trial
}

// rolled records it, where nothing else was recorded of the rollout since; else it is errOutrun. Who approved the rollout's first
// step stands in each entry of it.
func (h *Reconciler) rolled(ctx context.Context, r rolledEntry) (ledger.Entry, error) {
	s := r.State
	e := ledger.Entry{
		Action: ledger.RollOut, Ref: r.ref, Key: s.Key, Revision: h.recorded(r.rev.SHA), Author: r.rev.Author, Actor: h.Actor.String(), Reason: r.why,
		Rollout: &ledger.Rollout{Phase: s.Phase, Step: s.Step, Weight: s.Weight, Since: s.Since, Declared: s.Declared},
		Follows: ledger.First,
	}
	if s.Since.IsZero() {
		e.Rollout.Since = h.Now().UTC().Truncate(time.Millisecond)
	}
	if r.seen != nil {
		e.Rollout.Canary, e.Rollout.Baseline, e.Rollout.Pairs = r.seen.Canary, r.seen.Baseline, r.seen.Pairs
	}
	e = h.stamp(e)
	if r.last != nil {
		e.Follows = r.last.Seq
	}
	if r.last != nil && r.last.Key == s.Key {
		if r.rev.SHA == "" {
			e.Revision = r.last.Revision
		}
		e.Approved, e.Approvers, e.Machine = r.last.Approved, r.last.Approvers, r.last.Machine // it goes on where it was begun
	}
	e, err := h.Ledger.Append(ctx, e)
	if err == nil {
		failpoint.At(failpoint.Recorded)
	}
	if fault.Of(err) == fault.Conflict {
		err = fault.WithHint(fault.New(fault.Conflict, "%w: %w", errOutrun, err), "try again")
	}
	return e, err
}
