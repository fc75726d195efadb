// The list of rules, for people: what is in force, and where each rule stands.

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
)

// Rule describes one rule, from its METADATA.
type Rule struct {
	ID          string       `json:"id"` // custom.id; without it, package/set
	Level       ledger.Level `json:"level"`
	Title       string       `json:"title,omitempty"`
	Description string       `json:"description,omitempty"`
	BuiltIn     bool         `json:"builtIn"`
	Source      string       `json:"source"` // file:line, in the repository or among the built-in rules
}

// Rules lists the rules in force: built-in ones first, then by id and place.
func (e *Engine) Rules() ([]Rule, error) {
	j, err := e.whole.ready()
	if err != nil {
		return nil, err
	}
	return slices.Clone(j.rules), nil
}

func describeRules(mods []module) []Rule {
	var out []Rule
	for _, m := range mods {
		for _, r := range m.parsed.Rules {
			level, is := levelOf(r)
			if !is {
				continue
			}
			rule := Rule{
				ID: packageName(m.parsed) + "/" + level, Level: ledger.Level(level), BuiltIn: !m.team,
				Source: fmt.Sprintf("%s:%d", m.key(), r.Location.Row),
			}
			for _, a := range annotations(m.parsed, r) {
				rule.Title = cmp.Or(rule.Title, a.Title)
				rule.Description = cmp.Or(rule.Description, strings.TrimSpace(a.Description))
				if id, ok := a.Custom["id"].(string); ok && id != "" {
					rule.ID = id
				}
			}
			out = append(out, rule)
		}
	}
	slices.SortStableFunc(out, func(a, b Rule) int {
		if a.BuiltIn != b.BuiltIn {
			if a.BuiltIn {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(string(a.Level), string(b.Level)))
	})
	return out
}

// annotations are those of r itself, then those of all rules of its name.
func annotations(m *ast.Module, r *ast.Rule) []*ast.Annotations {
	out := slices.Clone(r.Annotations)
	for _, a := range m.Annotations {
		if a.Scope == "document" && !slices.Contains(out, a) && a.GetTargetPath().Equal(r.Ref().GroundPrefix()) {
			out = append(out, a)
		}
	}
	return out
}
