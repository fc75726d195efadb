package lazyregexp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// What the program may never ask it does not compile each time that it is begun: no package-level variable of it is an
// expression that is compiled at once.
func TestNoExpressionIsCompiledAtTheStart(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if e.IsDir() {
			if strings.HasPrefix(e.Name(), ".") && rel != "." || strings.HasSuffix(rel, "test") || e.Name() == "testdata" || rel == filepath.Join("cmd", "vishwa-devforge") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if vars, ok := d.(*ast.GenDecl); ok && vars.Tok == token.VAR {
				compiledIn(t, fset, vars)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func compiledIn(t *testing.T, fset *token.FileSet, vars *ast.GenDecl) {
	t.Helper()
	ast.Inspect(vars, func(n ast.Node) bool {
		if _, later := n.(*ast.FuncLit); later {
			return false
		}
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "regexp" && strings.HasPrefix(s.Sel.Name, "MustCompile") {
				t.Errorf("%s: compiles an expression at the start of each program; write lazyregexp.New", fset.Position(s.Pos()))
			}
		}
		return true
	})
}

func TestAnExpressionThatCannotBeCompiledIsFoundByTests(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("New took it")
		}
	}()
	New("(")
}

func TestItIsCompiledOnce(t *testing.T) {
	r := &Regexp{text: "a+"}
	if r.re != nil || !r.MatchString("baa") || r.re == nil || r.String() != "a+" {
		t.Errorf("%+v", r)
	}
}
