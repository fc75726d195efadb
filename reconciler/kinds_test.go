// Kinds are rows, held: what a kind is stands in its row of schemas, what is done for it in
// its executor, and nobody else asks which kind it is but by a trait or a capability.

package reconciler

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

// rows are the files that may name kinds: tables with a row a kind.
var rows = map[string]string{
	"schemas/kind.go":                  "the table of rows: what each kind is",
	"reconciler/engine/graph/kinds.go": "the table of recipes: what a key of each kind is made of",
	"reconciler/pass/execute/kinds.go": "the table of executors: what is done for each kind",
	"reconciler/pass/observers.go":     "the table of observers: how each kind that stands in the world is looked at",
}

// TestKindsAreKnownByTheirRowsAlone fails with each place that tells kinds apart by name or
// by the type of their spec. A new kind would have to be added there: ask for a trait of
// schemas.Traits, or for a capability of the spec, such as schemas.Serves.
func TestKindsAreKnownByTheirRowsAlone(t *testing.T) {
	found, used := 0, map[string]bool{}
	for pkg, files := range sources(t) {
		if under(pkg, "cmd/vishwa-devforge") {
			continue // the forge's words: it has deployments of its own
		}
		for name, file := range files {
			at := strings.TrimPrefix(name, "../")
			sites := dispatches(file, pkg == "schemas")
			if rows[at] != "" {
				used[at] = len(sites) > 0
				continue
			}
			found += len(sites)
			for _, s := range sites {
				t.Errorf("%s:%d: %s", at, positions.Position(s.at).Line, s.what)
			}
		}
	}
	t.Logf("%d places tell kinds apart outside of %d files", found, len(rows))
	for name := range rows {
		if !used[name] {
			t.Errorf("the table names %s, which tells no kinds apart: take it out", name)
		}
	}
}

// TestTheCountSeesEachWayToTellKindsApart: what is counted is what people write.
func TestTheCountSeesEachWayToTellKindsApart(t *testing.T) {
	for text, want := range map[string]int{
		`_ = ref.Kind == "dataset"`:                                      1,
		`_ = "Dataset" != d.Kind`:                                        1,
		`_ = ref.Kind == schemas.KindModel`:                              1,
		`switch k { case "training", "transform": }`:                     2,
		`switch s := d.Spec.(type) { case *schemas.Model: _ = s }`:       1,
		`_, _ = d.Spec.(*schemas.Dataset)`:                               1,
		`_ = As[*schemas.Dataset](d)`:                                    1,
		`_ = []string{"model", "dataset"}`:                               2,
		`_ = []string{"repository", "deployment"}`:                       0,
		`_ = schemas.Ref{Kind: "deployment"}`:                            1,
		`_ = map[schemas.Kind]int{"dataset": 1}`:                         1,
		`_ = strings.EqualFold(d.Kind, "infrastructure")`:                1,
		`_ = strings.HasPrefix(string(ref.Kind), "data")`:                0,
		`_ = e.Outputs["model"]`:                                         0,
		`_ = map[string]int{"model": 1}`:                                 0,
		`_ = t.Kind == "mapping"`:                                        0,
		`_, _ = d.Spec.(schemas.Serves)`:                                 0,
		`_ = ref.Kind.Traits().Serves`:                                   0,
		`_ = table[schemas.KindModel]`:                                   1,
		`log.Info("moved", "dataset", ref)`:                              0,
		`_ = reflect.TypeOf(d.Spec) == reflect.TypeFor[schemas.Model]()`: 1,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+text+" }\n", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := dispatches(file, false); len(got) != want {
			t.Errorf("%s: %d places, and there are %d: %v", text, len(got), want, got)
		}
	}
}

// site is a place that tells kinds apart.
type site struct {
	at   token.Pos
	what string
}

func (s site) String() string { return s.what }

// dispatches lists the places of a file that tell kinds apart; own is that the file is of
// the package that has the kinds.
func dispatches(file *ast.File, own bool) []site {
	c := counter{own: own, names: map[string]bool{}, specs: map[string]bool{}}
	for _, k := range schemas.Kinds() {
		c.names[string(k.Kind)], c.names[k.Name] = true, true
		c.specs[reflect.TypeOf(k.New()).Elem().Name()] = true
	}
	ast.Inspect(file, c.visit)
	slices.SortFunc(c.found, func(a, b site) int { return int(a.at - b.at) })
	return slices.CompactFunc(c.found, func(a, b site) bool { return a.at == b.at })
}

type counter struct {
	own          bool
	names, specs map[string]bool
	found        []site
}

func (c *counter) add(n ast.Node, format string, args ...any) {
	c.found = append(c.found, site{n.Pos(), fmt.Sprintf(format, args...)})
}

func (c *counter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op == token.EQL || n.Op == token.NEQ {
			c.literals("is compared with", n.X, n.Y)
		}
	case *ast.CaseClause:
		c.literals("is a case", n.List...)
		c.types("is a case", n.List...)
	case *ast.TypeAssertExpr:
		if n.Type != nil {
			c.types("is asserted", n.Type)
		}
	case *ast.IndexExpr:
		c.types("is a type argument", n.Index)
	case *ast.IndexListExpr:
		c.types("is a type argument", n.Indices...)
	case *ast.CompositeLit:
		c.composite(n)
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"EqualFold", "Contains", "Index"}, f.Sel.Name) {
			c.literals("is compared with", n.Args...)
		}
	case *ast.Ident:
		if strings.HasPrefix(n.Name, "Kind") && c.names[strings.TrimPrefix(n.Name, "Kind")] {
			c.add(n, "%s is named", n.Name)
		}
	}
	return true
}

// composite counts kinds in lists, in fields that are called Kind, and as keys of a map of kinds.
func (c *counter) composite(n *ast.CompositeLit) {
	byKind := false
	if m, ok := n.Type.(*ast.MapType); ok {
		byKind = isKind(m.Key)
	}
	for _, e := range n.Elts {
		kv, keyed := e.(*ast.KeyValueExpr)
		if !keyed {
			if a, list := n.Type.(*ast.ArrayType); list && (isKind(a.Elt) || isString(a.Elt) && c.allKinds(n.Elts)) {
				c.literals("is in a list", e)
			}
			continue
		}
		if field, ok := kv.Key.(*ast.Ident); ok && field.Name == "Kind" {
			c.literals("is a ref's kind", kv.Value)
		}
		if byKind {
			c.literals("is a key", kv.Key)
		}
	}
}

// allKinds tells whether each of exprs is the name of a kind.
func (c *counter) allKinds(exprs []ast.Expr) bool {
	return !slices.ContainsFunc(exprs, func(e ast.Expr) bool { return c.kindIn(e) == "" })
}

func isKind(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name == "Kind"
	case *ast.Ident:
		return e.Name == "Kind"
	}
	return false
}

func isString(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "string"
}

// literals counts those of exprs that are the name of a kind.
func (c *counter) literals(how string, exprs ...ast.Expr) {
	for _, e := range exprs {
		if text := c.kindIn(e); text != "" {
			c.add(e, "the kind %q %s", text, how)
		}
	}
}

// kindIn is the kind that a string in quotes names; "" is another expression.
func (c *counter) kindIn(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil || !c.names[text] {
		return ""
	}
	return text
}

// types counts those of exprs that are the struct of a kind.
func (c *counter) types(how string, exprs ...ast.Expr) {
	for _, e := range exprs {
		if star, ok := e.(*ast.StarExpr); ok {
			e = star.X
		}
		switch e := e.(type) {
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok && x.Name == "schemas" && c.specs[e.Sel.Name] {
				c.add(e, "the spec of %s %s", e.Sel.Name, how)
			}
		case *ast.Ident:
			if c.own && c.specs[e.Name] {
				c.add(e, "the spec of %s %s", e.Name, how)
			}
		}
	}
}
