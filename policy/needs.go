// Rules that need a plan which is not there: a Terraform plan that was tried and failed. A
// rule that reads it would find nothing in it, and nothing to deny.

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

// readers are the sets of denials whose rules read the Terraform plan, by themselves or by
// what they call. A rule that takes the input whole counts: it may read any of it.
func readers(compiler *ast.Compiler, sets []set) map[set]bool {
	out := map[set]bool{}
	for _, s := range sets {
		if s.level != levels[0] {
			continue
		}
		seen := map[*ast.Rule]bool{}
		next := compiler.GetRules(ast.MustParseRef(s.pkg + "." + s.level))
		for len(next) > 0 && !out[s] {
			r := next[len(next)-1]
			next = next[:len(next)-1]
			if seen[r] {
				continue
			}
			seen[r] = true
			out[s] = reads(r)
			for d := range compiler.Graph.Dependencies(r) {
				if d, ok := d.(*ast.Rule); ok {
					next = append(next, d)
				}
			}
		}
	}
	return out
}

// reads tells whether a rule, with its else branches, reads the Terraform plan.
func reads(r *ast.Rule) (found bool) {
	ast.WalkTerms(r, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Ref:
			if len(v) > 1 && v[0].Equal(ast.InputRootDocument) {
				name, plain := v[1].Value.(ast.String)
				found = found || !plain || name == "terraform"
				for _, rest := range v[2:] { // x[input.terraform] in brackets of another
					found = found || mentions(rest)
				}
				return true // its head is no input on its own
			}
		case ast.Var:
			found = found || t.Equal(ast.InputRootDocument)
		}
		return found
	})
	return found
}

// mentions tells whether the input is anywhere in t.
func mentions(t *ast.Term) (found bool) {
	ast.WalkTerms(t, func(t *ast.Term) bool {
		found = found || t.Equal(ast.InputRootDocument)
		return found
	})
	return found
}

// unplanned denies s, whose own plan failed, by each set that needs it: all the built-in
// ones at once, and each of the team's.
func (q *question) unplanned(s plan.Step, hint string) (out []ledger.Finding) {
	why := fmt.Sprintf("the plan of %s, which failed: %s", s.Ref, s.Why)
	if s.Passing {
		hint = cmp.Or(hint, "plan again later")
		why = fmt.Sprintf("the plan of %s, which could not be made this time: %s", s.Ref, s.Why)
	}
	if most := maxText / 2; len(why) > most {
		why = strings.ToValidUTF8(why[:most], "") + "..."
	}
	hint = cmp.Or(hint, "see why the plan fails, and plan again")
	built := false
	for _, set := range q.sets {
		switch {
		case !q.readers[set]:
		case strings.HasPrefix(set.pkg, "data.vishwa."):
			built = true
		default:
			out = append(out, ledger.Finding{Rule: set.String(), Level: ledger.Denied, Ref: s.Ref, Message: "needs " + why, Hint: hint})
		}
	}
	if built {
		out = append(out, ledger.Finding{Rule: ruleEvidence, Level: ledger.Denied, Ref: s.Ref, Message: "the rules about Terraform need " + why, Hint: hint})
	}
	slices.SortStableFunc(out, func(a, b ledger.Finding) int { return strings.Compare(a.Rule, b.Rule) })
	return out
}
