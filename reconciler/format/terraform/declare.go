// What a file declares: the blocks that others refer to.

package terraform

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func blocks(kinds ...hcl.BlockHeaderSchema) *hcl.BodySchema { return &hcl.BodySchema{Blocks: kinds} }

func attributes(names ...string) *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for _, name := range names {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: name})
	}
	return s
}

var (
	dataSource = hcl.BlockHeaderSchema{Type: "data", LabelNames: []string{"type", "name"}}
	top        = blocks(
		hcl.BlockHeaderSchema{Type: "terraform"}, hcl.BlockHeaderSchema{Type: "locals"}, dataSource,
		hcl.BlockHeaderSchema{Type: "variable", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "output", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "module", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "provider", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "check", LabelNames: []string{"name"}},
		hcl.BlockHeaderSchema{Type: "resource", LabelNames: []string{"type", "name"}},
	)
	settings = &hcl.BodySchema{
		Attributes: attributes("required_version").Attributes,
		Blocks:     []hcl.BlockHeaderSchema{{Type: "backend", LabelNames: []string{"type"}}, {Type: "cloud"}},
	}
	ofCheck = blocks(dataSource, hcl.BlockHeaderSchema{Type: "assert"})
	ofInput = &hcl.BodySchema{
		Attributes: attributes("default", "type").Attributes,
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
	}
	// ofCall is what a module block holds besides values for variables.
	ofCall = &hcl.BodySchema{
		Attributes: attributes("source", "version", "providers", "count", "for_each", "depends_on").Attributes,
		Blocks:     []hcl.BlockHeaderSchema{{Type: "providers"}, {Type: "lifecycle"}, {Type: "locals"}},
	}
)

// declare notes what a file declares, and gives its blocks. Files that override others come last.
func (m *module) declare(body hcl.Body) hcl.Blocks {
	content, _, found := body.PartialContent(top)
	for _, d := range found {
		if d.Severity == hcl.DiagError && d.Subject != nil {
			m.problem(*d.Subject, "%s; give the block the names that it needs", d.Summary)
		}
	}
	for _, b := range content.Blocks {
		m.once(b)
		switch b.Type {
		case "terraform":
			inner, _, _ := b.Body.PartialContent(settings)
			m.requires(inner.Attributes["required_version"])
			for _, s := range inner.Blocks {
				m.backend = "cloud"
				if s.Type == "backend" {
					m.backend = s.Labels[0]
				}
			}
		case "locals":
			all, _ := b.Body.JustAttributes()
			for _, name := range slices.Sorted(maps.Keys(all)) {
				m.locals[name] = true
				m.alone(fmt.Sprintf("local value %q", name), all[name].NameRange)
			}
		case "resource":
			m.resources[b.Labels[0]+"."+b.Labels[1]] = true
		case "data":
			m.data[b.Labels[0]+"."+b.Labels[1]] = true
		case "check":
			inner, _, _ := b.Body.PartialContent(ofCheck)
			for _, d := range inner.Blocks {
				if d.Type == "assert" {
					continue
				}
				m.data[d.Labels[0]+"."+d.Labels[1]] = true
			}
			if !slices.ContainsFunc(inner.Blocks, func(d *hcl.Block) bool { return d.Type == "assert" }) && !overrides(path.Base(b.DefRange.Filename)) {
				m.problem(b.DefRange, "check %q has no assert block; add one, or remove the check", b.Labels[0])
			}
		case "variable":
			m.declareVariable(b)
		case "module":
			m.declareCall(b)
		}
	}
	return content.Blocks
}

// once notes a block that a module has once at most, but for what overrides it.
func (m *module) once(b *hcl.Block) {
	switch b.Type {
	case "variable", "output", "module", "check":
		m.alone(fmt.Sprintf("%s %q", b.Type, b.Labels[0]), b.DefRange)
	case "resource", "data":
		m.alone(b.Type+" "+b.Labels[0]+"."+b.Labels[1], b.DefRange)
	}
}

// alone tells of what is declared twice. A file of OpenTofu's own replaces the one of the same
// name without it, so that those of the two are not held against each other.
func (m *module) alone(what string, at hcl.Range) {
	name := path.Base(at.Filename)
	if overrides(name) {
		return
	}
	key := what
	if strings.HasSuffix(strings.TrimSuffix(name, ".json"), ".tofu") {
		key += " of OpenTofu"
	}
	if first, twice := m.stands[key]; twice {
		m.problem(at, "%s is declared already, at %s:%d; rename or remove one", what, first.Filename, first.Start.Line)
		return
	}
	m.stands[key] = at
}

// iterate notes the names that dynamic blocks give to what they go through.
func (m *module) iterate(body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		if b.Type == "dynamic" {
			for _, label := range b.Labels {
				m.iterators[label] = true
			}
			if a := b.Body.Attributes["iterator"]; a != nil {
				m.iterators[hcl.ExprAsKeyword(a.Expr)] = true
			}
		}
		m.iterate(b.Body)
	}
}

func (m *module) declareVariable(b *hcl.Block) {
	inner, _, _ := b.Body.PartialContent(ofInput)
	v := m.variables[b.Labels[0]]
	if v == nil {
		v = &variable{name: b.Labels[0], at: b.DefRange}
		m.variables[v.name] = v
	}
	if a := inner.Attributes["default"]; a != nil {
		v.defaults, v.value = true, a.Expr
	}
	if a := inner.Attributes["type"]; a != nil {
		v.kind = a.Expr
	}
	v.validations = append(v.validations, inner.Blocks...)
}

func (m *module) declareCall(b *hcl.Block) {
	inner, rest, _ := b.Body.PartialContent(ofCall)
	c := m.calls[b.Labels[0]]
	if c == nil {
		c = &call{name: b.Labels[0], at: b.DefRange, gives: map[string]hcl.Range{}}
		m.calls[c.name] = c
	}
	if a := inner.Attributes["source"]; a != nil {
		c.source, c.from = plain(a.Expr), a.Range
	}
	if a := inner.Attributes["version"]; a != nil {
		c.exact = plain(a.Expr)
	}
	gives, wrong := rest.JustAttributes()
	if wrong.HasErrors() {
		c.gives = nil
	}
	for name, a := range gives {
		if c.gives != nil {
			c.gives[name] = a.NameRange
		}
	}
}

// plain is the text that an expression is, or "" where it is another or has to be
// worked out.
func plain(e hcl.Expression) string {
	if t, ok := e.(*hclsyntax.TemplateExpr); ok && !t.IsStringLiteral() {
		return ""
	}
	switch e.(type) {
	case *hclsyntax.TemplateExpr, *hclsyntax.LiteralValueExpr:
	default:
		if _, native := e.(hclsyntax.Expression); native {
			return ""
		}
	}
	v, wrong := e.Value(nil) // of JSON: the text as it stands
	if wrong.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}
