// The way to a terminal: one, so that no verb prints what others wrote as it is.

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnlyOneWayLeadsToTheTerminal: os.Stdout and os.Stderr are named in main.go
// alone, where they are wrapped; nobody prints past them; and JSON for programs is
// encoded in one place, which escapes.
func TestOnlyOneWayLeadsToTheTerminal(t *testing.T) {
	for _, dir := range []string{".", "../vishwa-devforge"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(err, files)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					x, _ := n.X.(*ast.Ident)
					if x == nil {
						return true
					}
					what, main := x.Name+"."+n.Sel.Name, filepath.Base(name) == "main.go"
					switch what {
					case "os.Stdout", "os.Stderr":
						if !main {
							t.Errorf("%s names %s: print to the app's out and err", set.Position(n.Pos()), what)
						}
					case "fmt.Print", "fmt.Println", "fmt.Printf", "log.Print", "log.Printf", "log.Println", "log.Fatal", "log.Fatalf":
						t.Errorf("%s calls %s: print to the app's out and err", set.Position(n.Pos()), what)
					}
				case *ast.CallExpr:
					if is(n.Fun, "json", "NewEncoder") || is(n.Fun, "slog", "NewJSONHandler") {
						if inner, ok := n.Args[0].(*ast.CallExpr); !ok || !is(inner.Fun, "terminal", "JSON") {
							t.Errorf("%s writes JSON that is not escaped: give it terminal.JSON(w)", set.Position(n.Pos()))
						}
					}
					if filepath.Base(name) == "main.go" && (is(n.Fun, "fmt", "Fprintf") || is(n.Fun, "fmt", "Fprintln")) && (is(n.Args[0], "os", "Stdout") || is(n.Args[0], "os", "Stderr")) {
						t.Errorf("%s prints past the writer", set.Position(n.Pos()))
					}
				case *ast.BasicLit:
					if n.Kind == token.STRING && strings.Contains(n.Value, `\x1b`) && filepath.Base(name) != "progress.go" {
						t.Errorf("%s steers a terminal: use harmless.Steer", set.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}

// is tells whether e is pkg.name.
func is(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}
