// What a report that waits says of whom or what it waits for.

package templates

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

// missing is how many approvals are still needed, and the first deployment that needs one.
func missing(r Report) (n int, first Approval) {
	for _, a := range r.Approvals {
		if lack := a.Need - len(a.Given); lack > 0 {
			if n == 0 {
				first = a
			}
			n += lack
		}
	}
	return n, first
}

func awaiting(r Report, s *sentence) {
	n, first := missing(r)
	switch {
	case n > 0:
		s.addClause("Waits for people: %s", counted(n, "approval", "approvals"))
		from(first.Roles, s)
		be := "are"
		if n == 1 {
			be = "is"
		}
		s.addClause(" %s needed for ", be).quote(first.Ref.String())
		effect(r, s, "; ")
	case suspended(r) != nil:
		s.quote(suspended(r).Ref.String()).addClause(" is suspended")
		effect(r, s, "; ")
	case timed(r) != nil:
		step := timed(r)
		s.quote(step.Ref.String()).addClause(" waits: %s", step.Held)
		effect(r, s, "; ")
	case len(r.Commands) > 0:
		s.addClause("Waits for a command, such as ").quote(r.Commands[0])
		effect(r, s, "; ")
	default:
		s.addClause("Waits for a person")
		effect(r, s, "; ")
	}
}

// timed is the first step that waits for a time, or for somebody to promote what is tried; nil: none.
func timed(r Report) *plan.Step {
	if r.Plan == nil {
		return nil
	}
	for i, s := range r.Plan.Steps {
		if s.Timed() || strings.HasPrefix(s.Held, plan.InCanary) {
			return &r.Plan.Steps[i]
		}
	}
	return nil
}

// suspended is the first step that is held because its ref is suspended; nil: none.
func suspended(r Report) *plan.Step {
	if r.Plan == nil {
		return nil
	}
	for i, s := range r.Plan.Steps {
		if strings.HasPrefix(s.Held, ledger.SuspendedBy) {
			return &r.Plan.Steps[i]
		}
	}
	return nil
}

// from names the roles whose approval counts.
func from(roles []string, s *sentence) {
	for i, role := range roles[:min(len(roles), 3)] {
		if i == 0 {
			s.addClause(" from ").quote(role)
		} else {
			s.addClause(" or ").quote(role)
		}
	}
	if len(roles) > 3 {
		s.addClause(" or %d more roles", len(roles)-3)
	}
}
