// Sets of a team's rules that nobody asks for: a name that is nearly one of ours, or that
// other programs of rules have for it, judges nothing and looks as if it did.

package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// theirs are the names that other programs have for what is denied, warned of or noted.
var theirs = map[string]string{
	"violation": "deny", "violations": "deny", "denies": "deny", "denied": "deny", "denials": "deny", "error": "deny", "errors": "deny", "fail": "deny", "failure": "deny", "failures": "deny",
	"warning": "warn", "warnings": "warn", "warns": "warn", "notes": "note", "info": "note", "notice": "note",
}

// misspelt refuses a set of a team's that is meant for findings and is none: one that no
// rule of the team's uses, under a name that says so.
func misspelt(mods []module) error {
	used := map[string]bool{}
	for _, m := range mods {
		if m.team && !m.test {
			ast.WalkRefs(m.parsed, func(r ast.Ref) bool {
				for _, t := range r {
					switch v := t.Value.(type) {
					case ast.Var:
						used[string(v)] = true
					case ast.String:
						used[string(v)] = true
					}
				}
				return false
			})
			for _, r := range m.parsed.Rules {
				ast.WalkVars(r.Body, func(v ast.Var) bool { used[string(v)] = true; return false })
			}
		}
	}
	for _, m := range mods {
		if !m.team || m.test {
			continue
		}
		for _, r := range m.parsed.Rules {
			ref := r.Head.Ref()
			if r.Head.RuleKind() != ast.MultiValue || len(ref) != 1 {
				continue
			}
			name := ref[0].String()
			name = trimQuotes(name)
			meant := theirs[name]
			if meant == "" {
				meant = schemas.Nearest(name, levels)
			}
			if meant == "" || slices.Contains(levels, name) || used[name] {
				continue
			}
			return fault.WithHint(fault.New(fault.Invalid, "load policy: %s: %s is none of the sets %v, and no rule uses it: it judges nothing", r.Location, name, levels),
				"write: %s contains message if { ... }", meant)
		}
	}
	return nil
}

func trimQuotes(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
