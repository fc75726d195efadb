// Runners of pull requests: what nobody has reviewed yet is carried out where the base branch
// lets pull requests run, and nowhere else.

package pass

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// keptBack says why what ref runs is not run before the merge; "" is that it may be. The
// runners that count are those of the base: in.Project has them, and a change of one by the
// pull request itself counts from the merge on.
func (in *Intent) keptBack(ref schemas.Ref) string {
	if in == nil || in.Base == nil { // no pull request
		return ""
	}
	n := in.Graph.Node(ref)
	if n == nil || !ref.Kind.Traits().Runs && n.Scored == nil {
		return ""
	}
	on := n.RunsOn
	if n.Scored != nil {
		on = n.Scored.RunsOn
	}
	base, name := in.Base.Project, cmp.Or(on.Runner, schemas.LocalRunner)
	branch := cmp.Or(in.Base.Branch, "the base branch")
	if !slices.Contains(base.PullRequestRunners(), name) {
		return fmt.Sprintf("runner %s is not one that %s lets pull requests use (spec.pullRequests.runners)", name, branch)
	}
	_, is, ok := base.Runner(name)
	if !ok || is.Tool == "" {
		return fmt.Sprintf("runner %s is not declared on %s", name, branch)
	}
	if run, is := n.Decl.Spec.(schemas.Runnable); is && run.Delegates() != nil && !slices.Contains(base.PullRequests.External, name) {
		return fmt.Sprintf("%s lets no pull request begin external work on runner %s (spec.pullRequests.external)", branch, name)
	}
	if _, own, _ := in.Graph.Project.Runner(name); own.Tool != is.Tool {
		return fmt.Sprintf("runner %s is %s on %s, and another tool here", name, is.Tool, branch)
	}
	return ""
}

// keepBack holds the steps of p that are not run before the merge, and what needs them.
func (in *Intent) keepBack(p plan.Plan) plan.Plan {
	held := map[schemas.Ref]bool{}
	p.Steps = slices.Clone(p.Steps)
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Do == plan.Keep {
			continue
		}
		if why := in.keptBack(s.Ref); why != "" && s.Held == "" {
			s.Held = why + ": it is made after the merge"
		}
		for _, need := range s.Needs {
			if s.Held == "" && held[need] {
				s.Held = "needs " + need.String() + ", which is made after the merge"
			}
		}
		held[s.Ref] = s.Held != ""
	}
	return p
}

// KeepsBack says why what ref runs is not run before the merge; "" is that it may be.
func (p *Proposal) KeepsBack(ref schemas.Ref) string { return p.World.keptBack(ref) }

// KeptBack says, a sentence a reason, which steps their runner keeps from being made before
// the merge.
func (p *Proposal) KeptBack() (out []string) {
	by := map[string][]string{}
	var order []string
	for _, s := range p.Plan.Work() {
		why := p.World.keptBack(s.Ref)
		if why == "" || s.Held != "" {
			continue
		}
		if by[why] == nil {
			order = append(order, why)
		}
		by[why] = append(by[why], s.Ref.String())
	}
	const most = 3
	for _, why := range order {
		refs := by[why]
		names, verb := strings.Join(refs[:min(most, len(refs))], ", "), "is"
		if over := len(refs) - most; over > 0 {
			names += fmt.Sprintf(" and %s more", plural.Of(over, "run"))
		}
		if len(refs) > 1 {
			verb = "are"
		}
		out = append(out, fmt.Sprintf("%s %s made after the merge: %s.", names, verb, why))
	}
	return out
}
