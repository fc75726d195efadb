// Sets of a team's rules that nobody asks for: a name that is nearly one of ours, or that
// other programs of rules have for it, judges nothing and looks as if it did.

package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// theirs are the names that other programs have for what is denied, warned of or noted.
var theirs = map[string]string{
	"violation": "deny", "violations": "deny", "denies": "deny", "denied": "deny", "denials": "deny", "error": "deny", "errors": "deny", "fail": "deny", "failure": "deny", "failures": "deny",
	"block": "deny", "blocks": "deny", "blocked": "deny", "reject": "deny", "rejects": "deny", "rejected": "deny", "refuse": "deny", "refuses": "deny", "refused": "deny", "forbid": "deny", "forbidden": "deny",
	"denial": "deny", "fails": "deny", "failed": "deny", "disallow": "deny", "disallows": "deny", "disallowed": "deny", "prohibit": "deny", "prohibits": "deny", "prohibited": "deny",
	"must_not": "deny", "not_allowed": "deny", "not_permitted": "deny", "allow": "deny", "allows": "deny", "permit": "deny", "permits": "deny",
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
			name := trimQuotes(r.Head.Ref()[0].String())
			meant := levelMeant(name, r.Head)
			if meant == "" || slices.Contains(levels, name) || used[name] {
				continue
			}
			return fault.WithHint(fault.New(fault.Invalid, "load policy: %s: %s is none of the sets %s, and no rule uses it: it judges nothing", r.Location, name, strings.Join(levels, ", ")),
				"write: %s contains message if { ... }", meant)
		}
	}
	return nil
}

// levelMeant is the set that a rule of this name was to add to, or nothing where its name or its form is no sign of that. Other programs
// take every rule whose name begins so (deny_unpinned), and older Rego wrote a set as an object: violation[message] if { ... }.
func levelMeant(name string, head *ast.Head) string {
	set := head.RuleKind() == ast.MultiValue || len(head.Ref()) > 1
	if prefix, _, more := strings.Cut(name, "_"); more && set {
		if slices.Contains(levels, prefix) {
			return prefix
		}
		if meant := theirs[prefix]; meant != "" {
			return meant
		}
	}
	if len(head.Args) > 0 || !set && !finds(head.Value) {
		return ""
	}
	if meant := theirs[name]; meant != "" {
		return meant
	}
	if meant := schemas.Nearest(name, levels); meant != "" || len(name) < 4 {
		return meant
	}
	for _, other := range slices.Sorted(maps.Keys(theirs)) {
		if len(other) > 4 && oneEdit(strings.ToLower(name), other) {
			return theirs[other]
		}
	}
	return ""
}

// oneEdit tells whether b is a with one letter added, left out or changed, or with two beside each other exchanged.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch {
	case len(a) == len(b):
		return a == "" || a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	case len(b) == len(a)+1:
		return a == b[1:]
	}
	return false
}

// finds tells whether a rule's value may be meant for findings: a list or a set of them, or that there is one.
func finds(value *ast.Term) bool {
	switch v := value.Value.(type) {
	case ast.Boolean:
		return bool(v)
	case ast.Set, *ast.Array, *ast.SetComprehension, *ast.ArrayComprehension:
		return true
	}
	return false
}

func trimQuotes(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
