// The shape of functions and structs, held: how long a function is, how many parameters it takes,
// and that a context is handed on and not kept. What is otherwise stands here by name, with why.

package reconciler

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

const (
	mostLines      = 60
	mostParameters = 5 // besides a context; what takes more gets a struct
)

// long are the functions of more than sixty lines, and why each is one.
var long = map[string]string{
	"cmd/internal/generate.Files":                              "a table of what is written where",
	"cmd/vishwa-devforge/devforge.Forge.routes":                "a table of routes",
	"cmd/vishwa.cli.approve":                                   "one command: its flags, one call, and what is printed",
	"cmd/vishwa.cli.planVerb":                                  "one command: its flags, one call, and what is printed",
	"cmd/vishwa.cli.pipelines":                                 "one command: its flags, one call, and what is printed",
	"cmd/vishwa.showEntry":                                     "one row a field of an entry",
	"reconciler/adapter/gitledger.Ledger.attempt":              "one try, whose order is the promise: look, take a turn, write, push, follow",
	"reconciler/adapter/gitledger.Ledger.write":                "an entry comes about in one order, each part of which names the one before",
	"reconciler/adapter/server.differences":                    "one row a thing that is verified at a start",
	"reconciler/adapter/server.service.change":                 "one change of what is served, whose order is the promise",
	"reconciler/app.Repository.wire":                           "the table that wires tools to ports",
	"reconciler/app/review.pullRequest.merged":                 "one case a way in which a merged change stands",
	"reconciler/data.looking.folder":                           "one case a kind of file",
	"reconciler/engine/ledger.Decode":                          "one row a field, in the order of the format",
	"reconciler/format/whylogs.header.column":                  "one row a field of the format",
	"reconciler/machine/kube/kubetest.Cluster.begin":           "one pod from beginning to end, as the kubelet has it",
	"reconciler/machine/wall.start":                            "the steps of the wall, whose order is what it holds by",
	"reconciler/machine/work.worker.execute":                   "one job, from its folder to its result",
	"reconciler/port/porttest.Bucket":                          "a suite: one law a row",
	"reconciler/port/porttest.Forge":                           "a suite: one law a row",
	"reconciler/port/porttest.Receiver":                        "a suite: one law a row",
	"reconciler/port/porttest.Server":                          "a suite: one law a row",
	"reconciler/port/porttest/enginetest.Kubernetes.configure": "a table of settings of other programs",
}

// keepers are the structs that keep a context, and why each does.
var keepers = map[string]string{
	"cmd/vishwa-devforge/devforge.Forge":      "its own end, which deliveries that are under way see",
	"cmd/vishwa.demonstration":                "one command line, from beginning to end: each of its steps is a line of a story",
	"reconciler/adapter/source.fileBody":      "a reader, to which none can be handed",
	"reconciler/adapter/source.webBody":       "a reader, to which none can be handed",
	"reconciler/controller.Controller":        "the ends of its work and of its looks, which come at other times than Run's",
	"reconciler/machine/bucket.answer":        "a reader, to which none can be handed",
	"reconciler/machine/bucket.piece":         "a reader, to which none can be handed",
	"reconciler/machine/dispatch.parts":       "a reader, to which none can be handed",
	"reconciler/machine/dispatch.resumed":     "a reader, to which none can be handed",
	"reconciler/machine/egress.Proxy":         "its own end, which connections that it serves see",
	"reconciler/machine/ended.reader":         "a reader, to which none can be handed",
	"reconciler/machine/predictionlog.Reader": "a reader of a table, whose interface hands none on",
	"reconciler/machine/registry.listing":     "one listing, whose pages are taken by a function of the client's",
	"reconciler/machine/registry.reader":      "a reader, to which none can be handed",
	"reconciler/machine/topic.Topic":          "its own end, with why it came",
}

// TestFunctionsAreShort fails with each function that is longer than is said above, and with
// each that is said to be and is not.
func TestFunctionsAreShort(t *testing.T) {
	seen := map[string]bool{}
	for pkg, files := range sources(t) {
		for name, file := range files {
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if n := lines(f); n > mostLines {
					seen[named(pkg, f)] = true
					if long[named(pkg, f)] == "" {
						t.Errorf("%s: %s has %d lines: make it two, or say in the table why it is one", name, named(pkg, f), n)
					}
				}
			}
		}
	}
	for f := range long {
		if !seen[f] {
			t.Errorf("the table names %s, which is not there or is short: take it out", f)
		}
	}
}

// TestFunctionsTakeFewParameters: what belongs together is a struct.
func TestFunctionsTakeFewParameters(t *testing.T) {
	for pkg, files := range sources(t) {
		for name, file := range files {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && parameters(f) > mostParameters {
					t.Errorf("%s: %s takes %d parameters: make a struct of what belongs together", name, named(pkg, f), parameters(f))
				}
			}
		}
	}
}

// TestContextsAreHandedOn: a struct that keeps one outlives what it is about, unless it is the
// end of it that it keeps, or a reader, to which none can be handed.
func TestContextsAreHandedOn(t *testing.T) {
	seen := map[string]bool{}
	for pkg, files := range sources(t) {
		for name, file := range files {
			for _, kept := range contexts(file) {
				at := pkg + "." + kept
				seen[at] = true
				if keepers[at] == "" {
					t.Errorf("%s: %s keeps a context: take it as an argument, or say in the table why it is kept", name, at)
				}
			}
		}
	}
	for at := range keepers {
		if !seen[at] {
			t.Errorf("the table names %s, which keeps no context: take it out", at)
		}
	}
}

// TestTheShapeIsSeen: what is counted is what people write.
func TestTheShapeIsSeen(t *testing.T) {
	file, err := parser.ParseFile(positions, "x.go", `package x
func few(ctx context.Context, a, b int, c string, d ...bool) {}
func (t *thing[K]) many(a, b, c, d, e, f int) {
	_ = a
}
type keeps struct { n int; stop context.Context }
type hands struct { f func(context.Context); c *context.Context }
type not struct { context string }
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	few, many := file.Decls[0].(*ast.FuncDecl), file.Decls[1].(*ast.FuncDecl)
	if parameters(few) != 4 || parameters(many) != 6 || lines(many) != 3 || lines(few) != 1 {
		t.Errorf("%d and %d parameters, %d and %d lines", parameters(few), parameters(many), lines(few), lines(many))
	}
	if got := named("x", many); got != "x.thing.many" {
		t.Error(got)
	}
	if got := contexts(file); !slices.Equal(got, []string{"keeps"}) {
		t.Errorf("%v keep a context", got)
	}
}

func lines(n ast.Node) int {
	return positions.Position(n.End()).Line - positions.Position(n.Pos()).Line + 1
}

// parameters are those besides a context that comes first.
func parameters(f *ast.FuncDecl) int {
	n := f.Type.Params.NumFields()
	if n > 0 && isContext(f.Type.Params.List[0].Type) {
		n--
	}
	return n
}

func isContext(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "context" && sel.Sel.Name == "Context"
}

// named is a function by its package and its receiver's type.
func named(pkg string, f *ast.FuncDecl) string {
	at := []string{pkg}
	if f.Recv != nil {
		e := f.Recv.List[0].Type
		if star, ok := e.(*ast.StarExpr); ok {
			e = star.X
		}
		switch g := e.(type) {
		case *ast.IndexExpr:
			e = g.X
		case *ast.IndexListExpr:
			e = g.X
		}
		if id, ok := e.(*ast.Ident); ok {
			at = append(at, id.Name)
		}
	}
	return strings.Join(append(at, f.Name.Name), ".")
}

// contexts are the types of a file that keep one.
func contexts(file *ast.File) (out []string) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			s, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if ok && slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool { return isContext(f.Type) }) {
				out = append(out, spec.(*ast.TypeSpec).Name.Name)
			}
		}
	}
	return out
}
