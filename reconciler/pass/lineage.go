// What a deployment is made by: its runs, near and far, and those of them that will not
// do where it is deployed, as an environment asks for more than they have.

package pass

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// entryOf tells the fact that stands under a ref; nil where there is none yet.
type entryOf func(schemas.Ref) *ledger.Entry

// planned are the facts under the keys of a plan's steps, but for those that are made again first.
func (w *Snapshot) planned(key func(schemas.Ref) digest.Digest) entryOf {
	return func(ref schemas.Ref) *ledger.Entry {
		if e := w.Facts.ByKey[key(ref)]; e != nil && w.MissingArtifacts[e.Key] == "" && w.Unfit[e.Key] == "" {
			return e
		}
		return nil
	}
}

// standing are the facts as they are now: while acting, what was made in this pass counts.
func (d *stepServices) standing(m *execute.Material) entryOf {
	before := d.world.planned(d.key)
	return func(ref schemas.Ref) *ledger.Entry {
		if m != nil && m.Of != nil {
			if e := m.Of(ref); e != nil {
				return e
			}
		}
		return before(ref)
	}
}

// lineage lists the facts that n is made from, near or far, by their refs. A pin is no
// run: the data is what it is, whoever named it.
func (w *Snapshot) lineage(n *graph.Node, of entryOf) (out []*ledger.Entry) {
	seen := map[schemas.Ref]bool{}
	var visit func(n *graph.Node)
	visit = func(n *graph.Node) {
		for _, ref := range n.Needs {
			below := w.Graph.Node(ref)
			if below == nil || seen[ref] {
				continue
			}
			seen[ref] = true
			if e := of(ref); e != nil && !ref.Kind.Traits().Pinned {
				out = append(out, e)
			}
			visit(below)
		}
	}
	visit(n)
	slices.SortFunc(out, func(a, b *ledger.Entry) int {
		return cmp.Or(strings.Compare(a.Ref.String(), b.Ref.String()), cmp.Compare(a.Seq, b.Seq))
	})
	return out
}

// scorings lists the evaluations that a selection goes by, of the model that is served too: they decide
// on its release, and are runs like those that made it. Where one of them is not known, so is its run.
func (w *Snapshot) scorings(e *ledger.Entry, acted func(seq int64) *ledger.Entry) (out []*ledger.Entry) {
	wanted := map[int64]bool{}
	for _, s := range e.Scores {
		wanted[s.Seq] = true
		if s.Champion != "" {
			wanted[s.ChampionSeq] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	found := map[int64]*ledger.Entry{}
	for of := range w.Facts.Made() {
		if of.Action == ledger.Evaluate && wanted[of.Seq] {
			found[of.Seq] = of
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(wanted)) {
		of := found[seq]
		if of == nil && acted != nil {
			of = acted(seq)
		}
		if of == nil {
			of = &ledger.Entry{Seq: seq, Action: ledger.Evaluate, Ref: e.Ref}
		}
		out = append(out, of)
	}
	return out
}

// ran tells whether e records a run, and what rules are told of it.
func ran(e *ledger.Entry) (policy.Run, bool) {
	if e == nil || !e.Ran() && e.Action != ledger.Evaluate {
		return policy.Run{}, false
	}
	r := policy.Run{Ref: e.Ref}
	if e.Run != nil {
		r.Isolation, r.Runner, r.Image, r.External = e.Run.Isolation, e.Run.Runner, e.Run.Image, e.Run.External
	}
	if e.PullRequest != nil {
		r.OnBehalf = e.PullRequest.Pull
	}
	return r, true
}

// origin tells rules what the model of the deployment n was made by, and what serves it.
func (d *stepServices) origin(s plan.Step, n *graph.Node, m *execute.Material, out *policy.Subject) {
	if live := d.world.Live[s.Ref]; live.Key != "" && live.Key == s.Key {
		out.Serving = live.Isolation
	}
	if out.Model == nil {
		return
	}
	var acted func(seq int64) *ledger.Entry
	if m != nil {
		acted = m.Scored
	}
	for _, e := range d.world.lineage(n, d.standing(m)) {
		for _, e := range append(d.world.scorings(e, acted), e) {
			if e.PullRequest != nil {
				out.Model.OnBehalf = e.PullRequest.Pull
			}
			if r, ok := ran(e); ok {
				out.Model.Runs = append(out.Model.Runs, r)
			}
		}
	}
}

// least is the least level of isolation where ref, or what is made from it, is deployed, or
// was: the strictest, where there are several.
func (w *Snapshot) least(ref schemas.Ref) (least string) {
	for i := range w.Graph.Nodes {
		n := &w.Graph.Nodes[i]
		spec, ok := n.Decl.Spec.(schemas.Serves)
		if !ok || n.Ref != ref && !w.below(n, ref) {
			continue
		}
		least = port.Stricter(least, w.asks(n.Ref, spec.Serves()))
	}
	return least
}

// below tells whether n needs ref, near or far.
func (w *Snapshot) below(n *graph.Node, ref schemas.Ref) bool {
	found := false
	w.lineage(n, func(r schemas.Ref) *ledger.Entry {
		found = found || r == ref
		return nil
	})
	return found
}

// asks is the least level of isolation that a deployment asks for.
func (w *Snapshot) asks(ref schemas.Ref, spec schemas.Service) string {
	was := ""
	if e := w.Facts.Latest[ref]; e != nil && e.Release != nil {
		was = e.Release.Environment
	}
	return policy.Least(spec.Environment, was, w.Project)
}

// unfit notes the keys of runs that are to be made again before what they made is
// deployed, as the project asks for runs on the tracked branch, or for a level of
// isolation that they did not stand at and this machine gives.
func (h *Reconciler) unfit(ctx context.Context, w *Snapshot, p plan.Plan) {
	key := p.KeysOf(w.Graph)
	for s := range p.Working() {
		n := w.Graph.Node(s.Ref)
		if n == nil || s.Restores {
			continue
		}
		serves, ok := n.Decl.Spec.(schemas.Serves)
		if !ok {
			continue
		}
		spec := serves.Serves()
		least := w.asks(s.Ref, spec)
		if w.Project.Environments[spec.Environment].TrackedRuns {
			w.unscored(spec)
		}
		for _, e := range w.lineage(n, w.planned(key)) {
			if e.Run != nil && e.Run.External {
				continue // to make it again changes nothing of that: a rule holds what asks for more
			}
			if scores := w.scoredFor(e); w.Project.Environments[spec.Environment].TrackedRuns && (e.PullRequest != nil || len(scores) > 0) {
				made := "it goes by scores of a pull request"
				if e.PullRequest != nil {
					made = fmt.Sprintf("it was made for pull request %d", e.PullRequest.Pull)
				}
				for _, key := range append(scores, e.Key) {
					w.Unfit[key] = fmt.Sprintf("%s, and %s asks for runs on the tracked branch", made, spec.Environment)
				}
				continue
			}
			if why := tooWeak(e, least, spec.Environment); why != "" && h.gives(ctx, least) {
				w.Unfit[e.Key] = why
			}
			for _, of := range w.scorings(e, nil) {
				if why := tooWeak(of, least, spec.Environment); why != "" && h.gives(ctx, least) {
					w.Unfit[of.Key], w.Unfit[e.Key] = why, why
				}
			}
		}
	}
}

// unscored notes the keys of the scores of a model that were taken for pull requests, whatever
// selection may find them: the same models, rows and code have the same keys.
func (w *Snapshot) unscored(spec schemas.Service) {
	for of := range w.Facts.Made() {
		if of.Action == ledger.Evaluate && of.PullRequest != nil && of.Ref == spec.Model {
			w.Unfit[of.Key] = fmt.Sprintf("it was scored for pull request %d, and %s asks for runs on the tracked branch", of.PullRequest.Pull, spec.Environment)
		}
	}
}

// scoredFor lists the keys of the scores that e, a selection, goes by and that were taken for a pull
// request.
func (w *Snapshot) scoredFor(e *ledger.Entry) (keys []digest.Digest) {
	if len(e.Scores) == 0 {
		return nil
	}
	seqs := map[int64]bool{}
	for _, s := range e.Scores {
		seqs[s.Seq], seqs[s.ChampionSeq] = true, true
	}
	for of := range w.Facts.Made() {
		if of.Action == ledger.Evaluate && of.PullRequest != nil && seqs[of.Seq] {
			keys = append(keys, of.Key)
		}
	}
	return keys
}

// tooWeak says why the run that e records does not reach least; "" where it does, is no run,
// or was made again for that very reason: then the machine does not keep what it promises,
// and running it each time would only burn it.
func tooWeak(e *ledger.Entry, least, environment string) string {
	r, ok := ran(e)
	if !ok || r.Isolation.Reaches(least) {
		return ""
	}
	why := fmt.Sprintf("it ran at the level of isolation %s, and %s asks for %s", r.Isolation.Rung(), environment, least)
	if e.Reason == why {
		return ""
	}
	return why
}

// gives tells whether runs of this repository stand at least at that level.
func (h *Reconciler) gives(ctx context.Context, least string) bool {
	return h.Isolation != nil && h.Isolation(ctx).Reaches(least)
}
