// Conditions that a module states, where they can be told without a plan: of the root's
// variables whose values are declared, and of nothing else.

package terraform

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// conditions finds those that cannot hold.
func (c *checking) conditions(m *module, vars map[string]any, given map[string]hcl.Expression) {
	if m.partial {
		return
	}
	known := map[string]cty.Value{}
	for name, v := range m.variables {
		known[name] = valueOf(v, vars, given)
	}
	in := &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(known)},
		Functions: map[string]function.Function{"contains": stdlib.ContainsFunc},
	}
	for _, name := range slices.Sorted(maps.Keys(m.variables)) {
		for _, b := range m.variables[name].validations {
			if inner, ok := b.Body.(*hclsyntax.Body); ok && fails(inner, in) {
				c.problem(inner.Attributes["condition"].Range(), "the value of variable %q does not pass its validation; pass another one", name)
			}
		}
	}
	for _, f := range m.files {
		if f.native == nil {
			continue
		}
		for _, b := range f.native.Blocks {
			c.preconditions(b, in)
		}
	}
}

// preconditions are those of a resource, a data source or an output that there is once.
func (c *checking) preconditions(b *hclsyntax.Block, in *hcl.EvalContext) {
	holders := []*hclsyntax.Block{b}
	switch b.Type {
	case "resource", "data", "ephemeral":
		if b.Body.Attributes["count"] != nil || b.Body.Attributes["for_each"] != nil {
			return
		}
		holders = nil
		for _, inner := range b.Body.Blocks {
			if inner.Type == "lifecycle" {
				if inner.Body.Attributes["enabled"] != nil { // OpenTofu: it may not be there
					return
				}
				holders = append(holders, inner)
			}
		}
	case "output":
	default:
		return
	}
	for _, h := range holders {
		for _, p := range h.Body.Blocks {
			if p.Type == "precondition" && fails(p.Body, in) {
				c.problem(p.Body.Attributes["condition"].Range(), "a precondition does not hold; correct it, or what it reads")
			}
		}
	}
}

// fails tells whether the condition of a block is known not to hold.
func fails(body *hclsyntax.Body, in *hcl.EvalContext) bool {
	a := body.Attributes["condition"]
	if a == nil || !cheap(a.Expr) {
		return false
	}
	v, wrong := a.Expr.Value(in)
	if wrong.HasErrors() || v.IsNull() || !v.IsKnown() || v.IsMarked() {
		return false
	}
	v, err := convert.Convert(v, cty.Bool)
	return err == nil && v.IsKnown() && !v.IsNull() && v.False()
}

// cheap tells whether working an expression out costs no more than reading it: nothing
// in it goes on for each of something.
func cheap(e hclsyntax.Expression) bool {
	ok := true
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n.(type) {
		case *hclsyntax.ForExpr, *hclsyntax.SplatExpr, *hclsyntax.TemplateJoinExpr:
			ok = false
		}
		return nil
	})
	return ok
}

// valueOf is what a variable of the root is set to, where that is plain.
func valueOf(v *variable, vars map[string]any, given map[string]hcl.Expression) cty.Value {
	value := cty.DynamicVal
	set, passed := vars[v.name]
	_, filed := given[v.name]
	switch {
	case passed:
		value = literal(set)
	case filed:
		return cty.DynamicVal // which of several files counts is Terraform's to say
	case v.value != nil:
		if native, ok := v.value.(hclsyntax.Expression); !ok || !cheap(native) {
			return cty.DynamicVal
		}
		got, wrong := v.value.Value(nil)
		if wrong.HasErrors() || !got.IsWhollyKnown() || !(got.IsNull() || got.Type().IsPrimitiveType()) {
			return cty.DynamicVal
		}
		value = got
	}
	if v.kind == nil || value == cty.DynamicVal {
		return value
	}
	want, primitive := map[string]cty.Type{"string": cty.String, "number": cty.Number, "bool": cty.Bool}[hcl.ExprAsKeyword(v.kind)]
	if !primitive {
		return cty.DynamicVal
	}
	got, err := convert.Convert(value, want)
	if err != nil {
		return cty.DynamicVal
	}
	return got
}

// literal is a declared value that is one text, number or truth.
func literal(v any) cty.Value {
	switch v := v.(type) {
	case string:
		return cty.StringVal(v)
	case bool:
		return cty.BoolVal(v)
	case int:
		return cty.NumberIntVal(int64(v))
	case int64:
		return cty.NumberIntVal(v)
	case float64:
		return cty.NumberFloatVal(v)
	}
	return cty.DynamicVal
}
