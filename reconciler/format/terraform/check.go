// What can be told of a stack's module without a plan of it.

package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Check says what is wrong with the module in root, and with those of its folders that it
// calls, when it is given vars: by file and line, each once. by tells which program will read
// them, where that is known; nil: it is not.
func Check(root fs.FS, vars map[string]any, by func() Tool) []Problem {
	c := &checking{root: root, left: budget{maxAll, maxModules}, modules: map[string]*module{}}
	m, err := c.module(".")
	if err == nil && len(m.files)+len(m.problems) == 0 && !m.partial {
		err = errors.New("no .tf file is there")
	}
	if err != nil {
		return []Problem{{File: ".", Message: err.Error() + "; put the module's .tf files there"}}
	}
	given := c.given(m, vars)
	c.values(m, vars, given)
	c.conditions(m, vars, given)
	if by != nil {
		c.fits(by)
	}
	slices.SortStableFunc(c.found, func(a, b Problem) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return slices.Compact(c.found)
}

type checking struct {
	root    fs.FS
	left    budget
	modules map[string]*module // by folder; nil: it is being read
	found   []Problem
}

func (c *checking) problem(at hcl.Range, format string, args ...any) {
	c.found = append(c.found, Problem{File: at.Filename, Line: at.Start.Line, Message: fmt.Sprintf(format, args...)})
}

// module reads the module in dir and those that it calls, once.
func (c *checking) module(dir string) (*module, error) {
	if m, known := c.modules[dir]; known {
		if m == nil {
			return nil, errors.New("it calls itself, by whatever way")
		}
		return m, nil
	}
	c.modules[dir] = nil
	m, err := readModule(c.root, dir, &c.left)
	if err != nil {
		delete(c.modules, dir)
		return nil, err
	}
	c.found = append(c.found, m.problems...)
	for _, name := range slices.Sorted(maps.Keys(m.calls)) {
		c.call(m, m.calls[name])
	}
	c.modules[dir] = m
	for _, f := range m.files {
		c.references(m, f)
	}
	return m, nil
}

// call checks one call of a folder's module.
func (c *checking) call(m *module, by *call) {
	if !strings.HasPrefix(by.source, "./") && !strings.HasPrefix(by.source, "../") || strings.Contains(by.source, "${") {
		return // of a registry, of another repository, or to be worked out
	}
	dir := path.Join(m.dir, by.source)
	if dir == ".." || strings.HasPrefix(dir, "../") {
		c.problem(by.from, "module %q is %q, which is outside of the stack's folder; put it below it, or give it a registry or Git address", by.name, by.source)
		return
	}
	called, err := c.module(dir)
	if err != nil {
		c.problem(by.from, "module %q is %q: %v; correct its source, or put the module there", by.name, by.source, err)
		return
	}
	if called.partial || by.gives == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(by.gives)) {
		if called.variables[name] == nil {
			c.problem(by.gives[name], "module %q is given %q, which %q does not declare; remove it, or declare the variable", by.name, name, by.source)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(called.variables)) {
		if _, given := by.gives[name]; !given && !called.variables[name].defaults {
			c.problem(by.at, "module %q does not give %q, which has no default; give it a value", by.name, name)
		}
	}
}

// references finds what a file refers to and nothing declares.
func (c *checking) references(m *module, f *file) {
	if m.partial {
		return
	}
	if f.native == nil {
		c.withinJSON(m, f)
		return
	}
	for _, b := range f.native.Blocks {
		if b.Type != "moved" && b.Type != "removed" { // what they name is gone
			c.within(m, b.Body, b.Type)
		}
	}
}

// withinJSON reads the expressions in the texts of a file. Resources are left to Terraform:
// in JSON, what is a block and names an iterator is not told apart from an attribute.
func (c *checking) withinJSON(m *module, f *file) {
	for _, b := range f.blocks {
		switch b.Type {
		case "resource", "data", "locals", "output", "module", "provider":
			all, _ := b.Body.JustAttributes()
			for _, name := range slices.Sorted(maps.Keys(all)) {
				for _, to := range all[name].Expr.Variables() {
					c.refers(m, to, false)
				}
			}
		}
	}
}

// namesOnly are attributes whose expressions name something and are not worked out.
var namesOnly = []string{"ignore_changes", "provider", "providers", "iterator", "type"}

func (c *checking) within(m *module, body *hclsyntax.Body, of string) {
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		for _, to := range body.Attributes[name].Expr.Variables() {
			if of != "import" || name != "to" {
				c.refers(m, to, of != "terraform" && !slices.Contains(namesOnly, name))
			}
		}
	}
	for _, b := range body.Blocks {
		c.within(m, b.Body, of)
	}
}

// resource tells what a name of two parts refers to, where that must be a resource: the types
// of resources have the name of their provider and a low line before their own.
func (m *module) resource(kind, name string) (what string, known bool) {
	if !strings.Contains(kind, "_") || m.iterators[kind] {
		return "", true
	}
	return "resource " + kind + "." + name, m.resources[kind+"."+name]
}

func (c *checking) refers(m *module, to hcl.Traversal, resources bool) {
	steps := make([]string, 0, 2)
	for _, s := range to[1:min(3, len(to))] {
		attribute, ok := s.(hcl.TraverseAttr)
		if !ok {
			break
		}
		steps = append(steps, attribute.Name)
	}
	if len(steps) == 0 {
		return
	}
	what, known := "", true
	switch name := steps[0]; to.RootName() {
	case "var":
		what, known = fmt.Sprintf("variable %q", name), m.variables[name] != nil
	case "local":
		what, known = fmt.Sprintf("local value %q", name), m.locals[name]
	case "module":
		what, known = fmt.Sprintf("module %q", name), m.calls[name] != nil
	case "data":
		if len(steps) == 2 {
			what, known = fmt.Sprintf("data source %s.%s", name, steps[1]), m.data[name+"."+steps[1]]
		}
	default:
		if resources {
			what, known = m.resource(to.RootName(), name)
		}
	}
	if !known {
		c.problem(to.SourceRange(), "%s is used and not declared; declare it, or correct the name", what)
	}
}

// values checks what the stack passes, and what it does not.
func (c *checking) values(m *module, vars map[string]any, given map[string]hcl.Expression) {
	if m.partial {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if m.variables[name] == nil {
			c.found = append(c.found, Problem{Variable: name, Message: "the module does not declare this variable; declare it there, or remove it"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.variables)) {
		v := m.variables[name]
		_, passed := vars[name]
		if _, filed := given[name]; !passed && !filed && !v.defaults {
			c.problem(v.at, "variable %q has no value; pass it in spec.vars, or give it a default", name)
		}
	}
}

// given reads the files of values that Terraform takes by itself: names, and what they
// are set to.
func (c *checking) given(m *module, vars map[string]any) map[string]hcl.Expression {
	out := map[string]hcl.Expression{}
	entries, err := fs.ReadDir(c.root, ".")
	if err != nil {
		return out
	}
	for _, e := range entries {
		name := e.Name()
		stem := strings.TrimSuffix(name, ".json")
		if stem != "terraform.tfvars" && !strings.HasSuffix(stem, ".auto.tfvars") || !e.Type().IsRegular() {
			continue
		}
		raw, err := limited(c.root, name, &c.left)
		var parsed *hcl.File
		if err == nil {
			parsed, err = parse(raw, name, &c.found)
		}
		if err != nil || parsed == nil {
			m.partial = true
			continue
		}
		all, _ := parsed.Body.JustAttributes()
		for name, a := range all {
			out[name] = a.Expr
		}
	}
	return out
}
