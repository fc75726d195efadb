// Apply: the pass that acts on a revision.

package pass

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// ApplyOptions are what a pass may do.
type ApplyOptions struct {
	Targets      []schemas.Ref          // empty: everything
	Agreed       *plan.Plan             // the plan that was agreed on; nil: the one that is found
	AllowDestroy func(schemas.Ref) bool // infrastructure that may be destroyed; nil: none
	Confirm      func(plan.Plan) error  // asked before anything is done; an error stops
	Check        bool                   // the rules have to compile, though there may be nothing that they judge
}

// Result is what a pass did.
type Result struct {
	Plan     plan.Plan         `json:"plan"`
	Outcomes []execute.Outcome `json:"outcomes"`
}

// Err is the worst of the outcomes: failed before refused before held.
func (r Result) Err() error {
	var held, refused []string
	for _, o := range r.Outcomes {
		switch {
		case o.End == execute.Failed:
			return o.Error
		case o.End == execute.Held && fault.Of(o.Error) == fault.Refused && o.Error != nil:
			refused = append(refused, o.Ref.String())
		case o.End == execute.Held:
			held = append(held, o.Ref.String())
		}
	}
	if len(refused) > 0 {
		return fault.WithHint(fault.New(fault.Refused, "policy refuses %s", strings.Join(refused, ", ")), "each step that is held says above why, and what to do; vishwa policy list explains the rules")
	}
	if len(held) > 0 {
		return fault.WithHint(fault.New(fault.Held, "%s held", strings.Join(held, ", ")), "the lines above say what each waits for")
	}
	return nil
}

// Apply carries out one pass on the tracked revision.
func (h *Reconciler) Apply(ctx context.Context, o ApplyOptions) (Result, error) {
	ctx, unlock, err := h.Lock(ctx, func(text string) { h.sendEvent(execute.Event{Kind: execute.Output, Text: text}) })
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	rev, in, err := h.clean(ctx)
	if err != nil {
		return Result{}, err
	}
	p, services, err := h.observeAndPlan(ctx, in, rev, o)
	if err != nil || len(p.Work()) == 0 {
		return Result{Plan: p}, err
	}
	if h.Lease != nil {
		held, release, err := h.Lease(ctx, func(text string) { h.sendEvent(execute.Event{Kind: execute.Output, Text: text}) })
		if err != nil {
			return Result{Plan: p}, err
		}
		defer release()
		ctx = held
		// Whoever held it before may have done it all.
		if p, services, err = h.observeAndPlan(ctx, in, rev, o); err != nil || len(p.Work()) == 0 {
			return Result{Plan: p}, err
		}
	}
	if o.Confirm != nil {
		if err := o.Confirm(p); err != nil {
			return Result{Plan: p}, err
		}
	}
	took, err := h.takeBackSuperseded(ctx, services.world, p)
	if err != nil {
		return Result{Plan: p}, err
	}
	if took { // and what was known of it is known no more
		was := p.Digest()
		if p, services, err = h.observeAndPlan(ctx, in, rev, o); err != nil || len(p.Work()) == 0 {
			return Result{Plan: p}, err
		}
		if o.Confirm != nil && p.Digest() != was {
			if err := o.Confirm(p); err != nil {
				return Result{Plan: p}, err
			}
		}
	}
	return Result{Plan: p, Outcomes: execute.Run(ctx, p, h.kit(p, services))}, nil
}

func (h *Reconciler) observeAndPlan(ctx context.Context, in *Intent, rev port.Revision, o ApplyOptions) (plan.Plan, *stepServices, error) {
	w, err := Observe(ctx, in, rev, h.Observers)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	w.acts = true
	return h.decide(ctx, w, o)
}

// decide is the judged plan of w, held against what was agreed on.
func (h *Reconciler) decide(ctx context.Context, w *Snapshot, o ApplyOptions) (plan.Plan, *stepServices, error) {
	if o.Agreed != nil && len(o.Targets) == 0 {
		o.Targets = o.Agreed.Targets
	}
	p, services, err := h.prepare(ctx, w, o)
	if err != nil {
		return p, nil, err
	}
	if o.Agreed != nil && (o.Agreed.Digest() != p.Digest() || o.Agreed.Revision != p.Revision) {
		moved := plan.Diff(*o.Agreed, p)
		err := fault.New(fault.Conflict, "the plan is out of date:\n  %s", strings.Join(moved, "\n  "))
		if o.Agreed.Revision == "" {
			return p, nil, fault.WithHint(fault.New(fault.Conflict, "the plan previews a work tree that is not committed"), "commit, and run vishwa plan --out again")
		}
		return p, nil, fault.WithHint(err, "run vishwa plan --out again, and look at what it says now")
	}
	return p, services, nil
}

// clean is what the tracked revision declares. A work tree that declares something
// else is refused.
func (h *Reconciler) clean(ctx context.Context) (port.Revision, *Intent, error) {
	if h.Worktree == nil {
		return h.Head(ctx)
	}
	rev, err := h.Repo.Head(ctx)
	if err != nil {
		return rev, nil, err
	}
	tree, same, treeErr := h.readWorktree(ctx, rev)
	if treeErr == nil && same {
		if tree.Tree, err = h.Repo.Open(ctx, rev.SHA); err != nil {
			return rev, nil, err
		}
		return rev, tree, h.unaltered(ctx, tree)
	}
	in, err := h.at(ctx, rev)
	if err != nil && treeErr == nil && fault.Of(err) == fault.Invalid {
		return rev, nil, fault.WithHint(err, "the files of the work tree are valid: commit what the commit lacks of them; git status shows it, and git check-ignore -v FILE why Git leaves a file out")
	}
	if err != nil {
		return rev, nil, err
	}
	way := "commit it or put it aside (git stash); vishwa plan previews it as it is" + h.unwatched(ctx)
	if treeErr != nil {
		way = "correct what is said above, then commit it; or put it aside (git stash)" + h.unwatched(ctx)
		return rev, nil, fault.WithHint(fault.New(fault.Invalid, "apply acts on a commit, and the work tree differs from it: %w", treeErr), "%s", way)
	}
	if d := Differences(in, tree); len(d) > 0 {
		return rev, nil, fault.WithHint(fault.New(fault.Conflict, "apply acts on a commit, and the work tree differs from it in %s", strings.Join(d, ", ")), "%s", way)
	}
	return rev, in, h.unaltered(ctx, in)
}

// unwatched is what to do, besides, about files that differ and that git status does not show.
func (h *Reconciler) unwatched(ctx context.Context) string {
	if h.Unwatched == nil {
		return ""
	}
	names, err := h.Unwatched(ctx)
	if err != nil || len(names) == 0 {
		return "" // it is said besides what is wrong, and only where it is known
	}
	const most = 3
	more := ""
	if len(names) > most {
		more = " (git ls-files -v lists all of them)"
	}
	names = names[:min(len(names), most)]
	return fmt.Sprintf("; git status does not show changes of %s%s: git update-index --no-skip-worktree FILE, then git update-index --no-assume-unchanged FILE",
		strings.Join(names, ", "), more)
}

func (h *Reconciler) kit(p plan.Plan, d *stepServices) execute.Config {
	w := d.world
	parallel := max(1, w.Project.Parallel)
	if w.Project.Parallel == 0 {
		parallel = 2
	}
	return execute.Config{
		Graph: w.Graph, Facts: w.Facts, Live: w.Live, Packages: w.Packages, MissingArtifacts: w.MissingArtifacts, Unfit: w.Unfit, Champions: w.Champions, Machine: w.Machine, Changes: w.Stacks, Stack: w.stack,
		Has: h.has, Store: h.Store, Runner: wrap.Limited(h.Runner, parallel), Provisioner: h.Provisioner, Server: h.Server, Packager: h.Packager,
		Least: w.least, Replaces: func(ref schemas.Ref) string { return d.over[ref].Name }, Services: d, Repeats: h.Repeats, Now: h.Now, Tell: h.sendEvent, Parallel: 4 * parallel, Pull: h.PullRequest != nil, State: h.State,
		Common: execute.EntryContext{Revision: h.recorded(w.Revision.SHA), Author: w.Revision.Author, Actor: h.Actor.String(),
			Plan: p.Digest(), Policy: p.Policy, Approved: d.approved()},
	}
}

// recorded is the revision that an entry names: of a pull request its own newest
// commit, as the merge that was tried is nobody's but this machine's.
func (h *Reconciler) recorded(sha string) string {
	if h.PullRequest != nil {
		return h.PullRequest.Head
	}
	return sha
}

func (h *Reconciler) sendEvent(e execute.Event) {
	if h.Tell != nil {
		h.Tell(e)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Want is what an approval of p must cover: the plan, the rules and the model of
// every deployment that p makes; of one that it takes away, the release that goes.
func Want(p plan.Plan) (map[schemas.Ref]digest.Digest, error) {
	models := map[schemas.Ref]digest.Digest{}
	for s := range p.Working() {
		switch {
		case !s.Ref.Kind.Traits().Serves, s.Unasked():
		case s.Do == plan.Retire && s.Key != "":
			models[s.Ref] = s.Key
		case s.Do != plan.Retire && s.Model != "":
			models[s.Ref] = s.Model
		}
	}
	if len(models) == 0 {
		return nil, fault.WithHint(fault.New(fault.Held, "the plan deploys no model that is known yet: there is nothing to approve"),
			"run vishwa apply first: it makes the model and holds the deployment; then plan and approve")
	}
	return models, nil
}
