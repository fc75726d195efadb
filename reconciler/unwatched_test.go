// Packages of ours that the tests' race detector does not watch, held to share nothing that it would have to.

package reconciler

import (
	"go/ast"
	"go/parser"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWhatIsNotWatchedSharesNothing: what the Makefile leaves out of the race detector begins
// no goroutine, synchronises nothing, and changes no variable of its package.
func TestWhatIsNotWatchedSharesNothing(t *testing.T) {
	raw, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`\$\(addprefix github\.com/vishwaops/vishwa/(\S+)/,([a-z ]+)\)`).FindSubmatch(raw)
	if said == nil {
		t.Fatal("the Makefile names no package of ours in UNWATCHED")
	}
	all := sources(t)
	for _, name := range strings.Fields(string(said[2])) {
		pkg := string(said[1]) + "/" + name
		if len(all[pkg]) == 0 {
			t.Errorf("%s is in the Makefile's UNWATCHED, and is no package", pkg)
		}
		shared := variables(all[pkg])
		for path, f := range all[pkg] {
			for _, i := range f.Imports {
				if slices.Contains([]string{`"sync"`, `"sync/atomic"`, `"golang.org/x/sync/errgroup"`, `"` + module + `reconciler/routine"`}, i.Path.Value) {
					t.Errorf("%s imports %s, and is not watched for races", path, i.Path.Value)
				}
			}
			for _, what := range sharing(f, shared) {
				t.Errorf("%s %s, and is not watched for races", path, what)
			}
		}
	}
}

// TestWhatIsSharedIsSeen keeps the test above from passing by seeing nothing.
func TestWhatIsSharedIsSeen(t *testing.T) {
	files := map[string]*ast.File{}
	for name, text := range map[string]string{
		"a.go": "package a\nvar kept, other = map[string]int{}, 0\n",
		"b.go": `package a
func f(own map[string]int) {
	kept := kept["a"]
	kept++
	own["a"], other = 1, 2
	go func() { *(&other) = 3 }()
}
func g() { kept["a"]++ }
func h() { fault.Go(g, nil) }
`,
	} {
		f, err := parser.ParseFile(positions, name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	if got, want := sharing(files["b.go"], variables(files)), []string{"changes other", "begins a goroutine", "changes kept", "begins a goroutine"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// variables are the names of a package's own.
func variables(files map[string]*ast.File) map[string]bool {
	names := map[string]bool{}
	for _, f := range files {
		for name, o := range f.Scope.Objects {
			if o.Kind == ast.Var {
				names[name] = true
			}
		}
	}
	return names
}

// sharing is what a file does that another goroutine could see.
func sharing(f *ast.File, shared map[string]bool) (found []string) {
	changed := func(e ast.Expr) {
		for {
			switch in := e.(type) {
			case *ast.IndexExpr:
				e = in.X
			case *ast.SelectorExpr:
				e = in.X
			case *ast.StarExpr:
				e = in.X
			case *ast.Ident:
				if shared[in.Name] && (in.Obj == nil || in.Obj == f.Scope.Lookup(in.Name)) {
					found = append(found, "changes "+in.Name)
				}
				return
			default:
				return
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "begins a goroutine")
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" {
				found = append(found, "begins a goroutine")
			}
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				changed(e)
			}
		case *ast.IncDecStmt:
			changed(n.X)
		}
		return true
	})
	return found
}
