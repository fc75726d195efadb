// The law of hints: what a command itself refuses says what to do about it, in words of its own.

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatACommandRefusesSaysWhatToDo: "correct what the message names, then try again" is for
// errors of others; one that is made here is given a hint, or is of the usage.
func TestWhatACommandRefusesSaysWhatToDo(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set, seen := token.NewFileSet(), 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		hinted := map[ast.Node]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is {
				return true
			}
			switch calls(call) {
			case "fault.WithHint", "usage":
				for _, arg := range call.Args {
					hinted[arg] = true
				}
			case "fault.New":
				if len(call.Args) == 0 || named(call.Args[0]) != "fault.Invalid" {
					break
				}
				if seen++; !hinted[call] {
					t.Errorf("%s: what is refused has no hint: fault.WithHint", set.Position(call.Pos()))
				}
			}
			return true
		})
	}
	if seen < 70 {
		t.Errorf("only %d refusals were found: the walk no longer finds them", seen)
	}
}

// calls is what a call names, as PACKAGE.FUNCTION or FUNCTION.
func calls(c *ast.CallExpr) string { return named(c.Fun) }

func named(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, is := e.X.(*ast.Ident); is {
			return x.Name + "." + e.Sel.Name
		}
	}
	return ""
}
