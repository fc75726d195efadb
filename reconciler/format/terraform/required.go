// Which versions of Terraform a module asks for (required_version), held against the one that is here.

package terraform

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Tool is the program that will read a module; the zero Tool is not known.
type Tool struct {
	Name    string // terraform or tofu
	Version string
}

// required is what one file asks for.
type required struct {
	at   hcl.Range
	text string
	of   version.Constraints
}

// requires notes what a file asks for, where it is a plain text, as it has to be.
func (m *module) requires(a *hcl.Attribute) {
	if a == nil {
		return
	}
	v, found := a.Expr.Value(nil)
	if found.HasErrors() || !v.IsWhollyKnown() || v.IsNull() || v.Type() != cty.String {
		return
	}
	of, err := version.NewConstraint(v.AsString())
	if err != nil {
		m.problem(a.Range, "required_version %q is no constraint of a version; write it as in >= 1.6, < 2.0", v.AsString())
		return
	}
	m.versions = append(m.versions, required{a.Range, v.AsString(), of})
}

// fits holds what the modules ask for against the program that will read them, which is asked for
// only where one of them asks for something.
func (c *checking) fits(by func() Tool) {
	var have *version.Version
	var tool Tool
	for _, m := range c.modules {
		if m == nil {
			continue
		}
		for _, r := range m.versions {
			if have == nil {
				tool = by()
				v, err := version.NewVersion(tool.Version)
				if err != nil || v.Prerelease() != "" { // Terraform has rules of its own for what is not released
					return
				}
				have = v
			}
			if m.reads(tool.Name, r.at.Filename) && !r.of.Check(have) {
				c.problem(r.at, "required_version is %q, and %s %s is here; install a version that it allows, or change it", r.text, tool.Name, tool.Version)
			}
		}
	}
}

// reads tells whether the program goes by a file: OpenTofu has files of its own, each in the
// place of the other's of the same name.
func (m *module) reads(tool, name string) bool {
	name = path.Base(name)
	bare := strings.TrimSuffix(name, ".json")
	if strings.HasSuffix(bare, ".tofu") {
		return tool == "tofu"
	}
	theirs := strings.TrimSuffix(bare, ".tf") + ".tofu" + strings.TrimPrefix(name, bare)
	return tool != "tofu" || !slices.ContainsFunc(m.files, func(f *file) bool { return path.Base(f.name) == theirs })
}
