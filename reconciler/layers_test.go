// The floors of the house, held: a package imports only lower floors, and the
// pure ones import nothing of the outside world.
package reconciler

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/vishwaops/vishwa/"

// floors gives every package its floor. A package that is not listed fails the test.
var floors = map[string]int{
	"reconciler/digest": 0, "reconciler/fault": 0, "reconciler/crash": 0, "reconciler/harmless": 0,

	"schemas": 1, "examples": 1, "reconciler/dvc": 1, "reconciler/terminal": 1,

	"reconciler/port": 2,

	"reconciler/graph": 3, "reconciler/ledger": 3, "reconciler/trust": 3, "reconciler/attest": 3,
	"reconciler/port/wrap": 3, "reconciler/adapter/content": 3, "reconciler/adapter/wall": 3, "reconciler/adapter/wall/walltest": 3, "reconciler/adapter/seal": 3,
	"reconciler/command": 3, "reconciler/ci": 3,

	"reconciler/plan": 4, "reconciler/guard": 4, "reconciler/explain": 4, "reconciler/port/porttest": 4, "reconciler/adapter/sandbox": 5, "reconciler/adapter/egress": 4, "reconciler/adapter/dial": 4, "reconciler/adapter/download": 4, "reconciler/tables": 4,
	"reconciler/examine": 5,

	"policy": 5, "templates": 5, "reconciler/act": 5, "reconciler/data/cache": 5,

	"reconciler/loop": 6, "reconciler/adapter/store": 6, "reconciler/adapter/signer": 6, "reconciler/adapter/runner": 6,
	"reconciler/adapter/server": 6, "reconciler/adapter/provisioner": 6, "reconciler/adapter/repo": 6,
	"reconciler/data/transfer": 6, "reconciler/adapter/bucket": 6, "reconciler/adapter/witness": 6,

	"reconciler/adapter/forge": 6, "reconciler/adapter/forge/devforge": 6,
	"reconciler/controller/config": 5, "reconciler/controller": 6,

	"reconciler/review": 7, "reconciler/data": 7, "reconciler/adapter/source": 7,

	"reconciler/adapter": 8,

	"cmd/vishwa": 9, "cmd/vishwa-devforge": 9, "cmd/vishwa-release": 9, "schemas/generate": 9,
}

// pure lists the packages that are functions of their arguments.
var pure = []string{
	"reconciler/digest", "reconciler/fault", "reconciler/harmless", "reconciler/graph", "reconciler/ledger", "reconciler/trust",
	"reconciler/attest", "reconciler/dvc", "reconciler/tables", "reconciler/plan", "reconciler/guard", "reconciler/explain", "reconciler/command", "reconciler/ci", "templates",
}

// outside is what a pure package does not import. fault may know contexts, whose
// errors it classes.
func outside(pkg, imported string) bool {
	if pkg == "reconciler/fault" && imported == "context" {
		return false
	}
	root, _, _ := strings.Cut(imported, "/")
	return root == "context" || root == "os" || root == "net" || root == "log" || imported == "math/rand" || imported == "math/rand/v2" || imported == "sync"
}

func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	for pkg, files := range sources(t) {
		floor, known := floors[pkg]
		if !known {
			t.Errorf("%s has no floor: give it one in the table", pkg)
			continue
		}
		for name, file := range files {
			for _, spec := range file.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if slices.Contains(pure, pkg) && outside(pkg, imported) {
					t.Errorf("%s: a pure package imports %s", name, imported)
				}
				below, ours := strings.CutPrefix(imported, module)
				if ours && floors[below] >= floor {
					t.Errorf("%s: floor %d imports %s, floor %d", name, floor, below, floors[below])
				}
			}
		}
	}
}

func TestPurePackagesNeverAskTheTime(t *testing.T) {
	for pkg, files := range sources(t) {
		if !slices.Contains(pure, pkg) {
			continue
		}
		for name, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, sel.Sel.Name) {
						t.Errorf("%s: calls time.%s; take the time as an argument", name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

func TestEveryFloorIsThere(t *testing.T) {
	found := sources(t)
	for pkg := range floors {
		if found[pkg] == nil {
			t.Errorf("the table names %s, which is not there", pkg)
		}
	}
}

// sources parses the Go files of every package but their tests.
func sources(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	out := map[string]map[string]*ast.File{}
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && p != ".." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") {
			return fs.SkipDir
		}
		if e.IsDir() || filepath.Dir(p) == ".." || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Dir(strings.TrimPrefix(filepath.ToSlash(p), "../"))
		if out[pkg] == nil {
			out[pkg] = map[string]*ast.File{}
		}
		out[pkg][p] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
