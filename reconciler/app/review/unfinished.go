// What a pass left undone: told where people look, and an error for whoever runs it, so
// that it is logged, counted and tried again in its own time.

package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/schemas"
)

// Unfinished is the error of a pass that said all there is to say, and did not do its
// work: its report holds.
type Unfinished struct{ Err error }

func (u Unfinished) Error() string { return u.Err.Error() }
func (u Unfinished) Unwrap() error { return u.Err }

// unfinished is the error of the steps that failed, each with where it is declared; nil:
// there is none that counts.
func (o *Service) unfinished(in *pass.Intent, outcomes []execute.Outcome, counts func(fault.Kind) bool) error {
	var failed []execute.Outcome
	for _, oc := range outcomes {
		if oc.End != execute.Failed || oc.Error == nil {
			continue
		}
		if o.Failed != nil {
			o.Failed(oc.Ref, oc.Error)
		}
		if counts(fault.Of(oc.Error)) {
			failed = append(failed, oc)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	soonest := slices.MinFunc(failed, func(a, b execute.Outcome) int { return cmp.Compare(later(a.Error), later(b.Error)) })
	var lines []string
	for _, oc := range failed {
		text := oc.Error.Error()
		if runsCode(in, oc.Ref) { // what a run wrote stays in its own log
			text, _, _ = strings.Cut(text, "\n")
		}
		lines = append(lines, at(in, oc.Ref)+oc.Ref.String()+": "+strings.TrimPrefix(text, oc.Ref.String()+": "))
	}
	return Unfinished{fault.WithHint(fault.New(fault.Of(soonest.Error), "%s", strings.Join(lines, "\n")), "%s", fault.HintOf(soonest.Error))}
}

// runsCode tells whether a step runs a command of the repository's, whose log may hold anything.
func runsCode(in *pass.Intent, ref schemas.Ref) bool {
	if ref.Kind.Traits().Runs || in == nil {
		return ref.Kind.Traits().Runs
	}
	n := in.Graph.Node(ref)
	return n != nil && n.Scored != nil
}

// delayed is the error of a pull request's infrastructure that could not be planned for a
// reason that may pass; nil: there is none. It is planned again in its own time.
func delayed(p *pass.Proposal) error {
	refs := p.Plan.Passing()
	if len(refs) == 0 {
		return nil
	}
	return Unfinished{fault.WithHint(fault.New(fault.Transient, "%s: %s", refs[0], p.World.Unobservable[refs[0]]), "see that what it waits for is there; it is planned again")}
}

// unasked is the error of the deployments of p that could not be asked how they stand; nil: there is none. They are asked again soon, and
// not when the branch is looked at next.
func unasked(p plan.Plan) error {
	for _, s := range p.Work() {
		if strings.HasPrefix(s.Held, plan.NotAsked) {
			return fault.WithHint(fault.New(fault.Transient, "%s %s%s", s.Ref, plan.NotAsked, cmp.Or(s.Aside, strings.TrimPrefix(s.Held, plan.NotAsked))), "see that what it is served on is up; it is asked again")
		}
	}
	return nil
}

// later orders what failed by how soon it is worth another try.
func later(err error) int {
	soon := []fault.Kind{fault.Conflict, fault.Transient, fault.Cancelled, fault.Internal}
	if i := slices.Index(soon, fault.Of(err)); i >= 0 {
		return i
	}
	return len(soon)
}

// at is file:line of a declaration, for the front of a message.
func at(in *pass.Intent, ref schemas.Ref) string {
	if in == nil {
		return ""
	}
	n := in.Graph.Node(ref)
	if n == nil || n.Decl == nil || n.Decl.Pos.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", n.Decl.Pos.File, n.Decl.Pos.Line)
}

// anyKind counts whatever failed: on a tracked branch, all of it is ours to see.
func anyKind(fault.Kind) bool { return true }

// notTheirs counts what failed in a pull request for reasons that are not its author's:
// what they wrote is told to them, and waits for another commit.
func notTheirs(k fault.Kind) bool { return k != fault.Invalid && k != fault.Cancelled }

// failing is the newest entry about a step that fails and is tried again, for pull
// request pull, or for the tracked branch where that is 0.
func failing(facts *ledger.Facts, ref schemas.Ref, key digest.Digest, pull int) *ledger.Entry {
	for _, e := range slices.Backward(facts.Stuck) {
		of := 0
		if e.PullRequest != nil {
			of = e.PullRequest.Pull
		}
		if e.Ref == ref && of == pull && e.Failure != nil && key != "" && ledger.KeyOf(*e) == key {
			return e
		}
	}
	return nil
}

// onlyAgain tells whether all that p could begin has failed before and is merely tried
// again: nothing is said of that before something comes of it.
func onlyAgain(facts *ledger.Facts, p plan.Plan, pull int) bool {
	work := p.Work()
	waits := map[schemas.Ref]bool{}
	for _, s := range work {
		waits[s.Ref] = true
	}
	again := false
	for _, s := range work {
		if s.Held != "" || slices.ContainsFunc(s.Needs, func(r schemas.Ref) bool { return waits[r] }) {
			continue
		}
		if failing(facts, s.Ref, s.Key, pull) == nil {
			return false
		}
		again = true
	}
	return again
}

// steady is o's text as the ledger has it, where this failure is one that goes on: with
// each try it would else be told in other words.
func steady(facts *ledger.Facts, o execute.Outcome) string {
	if e := newest(facts, o); e != nil {
		return e.Failure.Message
	}
	if o.Error != nil {
		return o.Error.Error()
	}
	return o.Text
}

// newest is the last entry about the step that o's entry is about, of those that count
// against no key; nil: there is none.
func newest(facts *ledger.Facts, o execute.Outcome) *ledger.Entry {
	for _, e := range facts.Stuck {
		if e.Seq != o.Seq || e.Ref != o.Ref || e.Failure == nil {
			continue
		}
		pull := 0
		if e.PullRequest != nil {
			pull = e.PullRequest.Pull
		}
		if last := failing(facts, e.Ref, ledger.KeyOf(*e), pull); last != nil {
			return last
		}
		return e
	}
	return nil
}
