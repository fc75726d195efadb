// What runs ahead of the merge of an open pull request, and when.

package review

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// ahead makes what can be made before the merge, and plans again. What the tracked
// branch is making meanwhile is waited for, and not made twice.
func (v *pullRequest) ahead(ctx context.Context, h *Session, p *pass.Proposal) (*pass.Proposal, []execute.Outcome, error) {
	for done := v.clash(v.pull.Base, p.PreMerge()); done != nil; done = v.clash(v.pull.Base, p.PreMerge()) {
		select {
		case <-done:
		case <-ctx.Done():
			return p, nil, fault.New(fault.Cancelled, "pull request %d: %w", v.pull.Number, context.Cause(ctx))
		}
		var err error
		if p, err = h.Review(ctx, p.World.Intent, p.World.Revision); err != nil {
			return p, nil, err
		}
	}
	running, release, err := v.lease(ctx, h)
	if err != nil {
		return p, nil, err
	}
	defer release()
	if p, err = h.Review(ctx, p.World.Intent, p.World.Revision); err != nil || !p.Runs() {
		return p, nil, err // another controller has made it meanwhile
	}
	outcomes, err := v.run(running, h, p)
	if err != nil {
		return p, outcomes, err
	}
	p, err = h.Review(ctx, p.World.Intent, p.World.Revision)
	return p, outcomes, err
}

// lease lets one controller at a time make what the pull request changes. Who had to
// wait looks whether it is still the pull request that they began with.
func (v *pullRequest) lease(ctx context.Context, h *Session) (held context.Context, release func(), err error) {
	if h.Lease == nil {
		return ctx, func() {}, nil
	}
	waited := false
	held, release, err = h.Lease(ctx, func(who string) {
		waited = true
		v.Log.Info("another controller runs this pull request's trainings", "pull", v.pull.Number, "lease", who)
	})
	if err != nil || !waited {
		return held, release, err
	}
	now, err := v.Forge.Pull(ctx, v.pull.Number)
	if err == nil && (now.HeadSHA != v.pull.HeadSHA || now.Closed != v.pull.Closed) {
		err = fault.WithHint(fault.New(fault.Conflict, "%w", errMoved), "nothing to do: it is looked at again")
	}
	if err != nil {
		release()
	}
	return held, release, err
}

// goes tells whether what the pull request changes is run ahead of the merge, and
// where not, why, if that is worth a sentence.
func (v *pullRequest) goes(p *pass.Proposal, may bool) (run bool, why string) {
	if !p.Runs() {
		return false, ""
	}
	train := v.base.Project.PullRequests.Train
	last := v.newest(chatops.Train, chatops.Cancel)
	switch {
	case train == "never":
		return false, "Nothing is run before the merge: the project says never (spec.pullRequests.train)."
	case last != nil && last.Verb == chatops.Cancel:
		return false, "The runs were cancelled by a command; /vishwa train starts them again."
	case last != nil:
		return true, ""
	case !may && v.pull.Fork:
		return false, "It comes from a fork: its declarations are planned, and none of its code runs until somebody who may write to the repository has looked at this commit and says /vishwa train."
	case !may:
		return false, "Its author may not run code here; somebody who may write to the repository can say /vishwa train."
	case train == "command":
		return false, "Runs wait for the command /vishwa train: the project asks for it (spec.pullRequests.train)."
	}
	return true, ""
}

func keysOf(p plan.Plan) map[digest.Digest]bool {
	keys := map[digest.Digest]bool{}
	for _, s := range p.Steps {
		for _, key := range s.Keys() {
			keys[key] = true
		}
	}
	return keys
}

// verdicts are what the base's monitors found last.
func verdicts(base *pass.Intent, facts *ledger.Facts) (notes []string) {
	for _, d := range base.Decls {
		if last := facts.Observed[d.Ref()]; d.Traits().Measures && last != nil && last.Watched != nil {
			notes = append(notes, fmt.Sprintf("%s: %s (entry %d).", d.Ref(), measure.Line(*last.Watched), last.Seq))
		}
	}
	return notes
}

// unmade tells why steps failed that are no runs, which tell it themselves.
func unmade(in *pass.Intent, facts *ledger.Facts, outcomes []execute.Outcome) (notes []string) {
	for _, o := range outcomes {
		if o.End != execute.Failed || o.Error == nil || o.Ref.Kind.Traits().Runs {
			continue
		}
		said := steady(facts, o)
		if runsCode(in, o.Ref) { // its log is told as one, and not as a sentence
			said, _, _ = strings.Cut(said, "\n")
		}
		text := o.Ref.String() + " failed: " + said
		if way := fault.HintOf(o.Error); way != "" {
			text += "; " + way
		}
		notes = append(notes, text+".")
	}
	return notes
}

// run makes what can be made ahead, and looks now and then whether it is still
// wanted. After a new commit the runs go on by themselves: it may want them too.
func (v *pullRequest) run(ctx context.Context, h *Session, p *pass.Proposal) ([]execute.Outcome, error) {
	v.mu.Lock()
	v.Service.runs[v.pull.Number] = true
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		delete(v.Service.runs, v.pull.Number)
		v.mu.Unlock()
	}()
	seen := watch(h.Runner)
	h.Runner = seen
	tell := h.Tell
	h.Tell = func(e execute.Event) {
		seen.hear(e)
		if tell != nil {
			tell(e)
		}
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var glances routine.Set
	done := make(chan struct{})
	glances.Start(func() { v.poll(running, done, stop, seen) })
	outcomes := h.Make(running, p)
	close(done)
	glances.Wait()
	cause := context.Cause(running)
	switch {
	case ctx.Err() != nil:
		return outcomes, fault.New(fault.Cancelled, "pull request %d: %w", v.pull.Number, context.Cause(ctx))
	case errors.Is(cause, execute.ErrHandedBack):
		v.mu.Lock()
		v.loose[v.pull.Number] = seen.keys()
		v.mu.Unlock()
		return outcomes, fault.WithHint(fault.New(fault.Conflict, "%w", errMoved), "nothing to do: it is looked at again")
	case errors.Is(cause, errClosed):
		return outcomes, fault.WithHint(fault.New(fault.Conflict, "%w", errClosed), "nothing to do: it is looked at again")
	}
	return outcomes, nil
}

// unseeing leaves infrastructure alone: to plan it is to run its code.
type unseeing struct{}

func (unseeing) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{}, fault.New(fault.Denied, "%w", port.Unplanned("planning it would run code that nobody has vouched for; somebody who may write to the repository can: /vishwa train"))
}

func (unseeing) Apply(context.Context, port.Infrastructure, port.Change) (port.Outcome, error) {
	return port.Outcome{}, fault.WithHint(fault.New(fault.Denied, "nothing is provisioned for a pull request"), "merge it: what it declares is provisioned after the merge")
}
