// The layers, held: a package imports only lower floors, and the
// pure ones import nothing of the outside world.

package reconciler

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/vishwaops/vishwa/"

// floors are the folders from the ground up. A package belongs to the longest of them
// that it is below; it imports lower floors, its own floor only within its own folder, and
// nothing above. A new package in a folder needs no line here.
var floors = [][]string{
	{"reconciler/lazyregexp"},
	{"reconciler/digest", "reconciler/fault", "reconciler/failpoint", "reconciler/harmless", "reconciler/plural", "reconciler/calendar",
		"reconciler/freeport", "reconciler/rootfs", // releases and tests make images of it
		"reconciler/format/yamlpos", "reconciler/format/lfs"}, // the kinds are read by them, and the other formats by the kinds
	{"reconciler/routine"},
	{"schemas", "examples"},
	{"reconciler/format"},
	{"reconciler/port"},
	{"reconciler/engine"},
	{"policy", "templates"},
	{"reconciler/machine"},
	{"reconciler/adapter", "reconciler/pass", "reconciler/data"},
	{"reconciler/controller"},
	{"reconciler/app"},
	{"cmd"},
}

// apart are folders whose packages do not import one another: a role's adapters know
// ports and what this machine offers, and no other role's.
var apart = []string{"reconciler/adapter"}

// pure lists folders and packages that are functions of their arguments.
var pure = []string{
	"reconciler/digest", "reconciler/fault", "reconciler/harmless", "reconciler/plural", "reconciler/calendar", "reconciler/format", "reconciler/engine",
	"reconciler/app/chatops", "reconciler/app/ci", "templates",
}

// large are the packages of more than two thousand lines, and why each is one.
var large = map[string]string{
	"cmd/vishwa":                           "one command a file, and a command is flags, one call and what is printed",
	"cmd/vishwa-devforge/devforge":         "one server: its handlers share one lock and one state",
	"reconciler/adapter/gitledger":         "one branch of one remote: its sessions share one lock, one login and one signing key",
	"reconciler/adapter/provisioner":       "one tool, most of it what a plan of it may say and must not show",
	"reconciler/adapter/repo":              "one reading of Git: revisions, the checkout and what came before share one lock, one cache and one way to name a file",
	"reconciler/adapter/source":            "one place a file or three, all of which share their options and how what was looked at is fetched",
	"reconciler/adapter/server":            "one host process: its parts hand each other open sockets and sealed orders",
	"reconciler/adapter/server/kubernetes": "one server of clusters, whose targets are a file each and share its records, waiting and undoing",
	"reconciler/app":                       "the one place that knows every adapter by name",
	"reconciler/app/review":                "one conversation with a pull request, each of whose words reads the same session",
	"reconciler/controller":                "one process: its queues, triggers and limits are one set of promises",
	"reconciler/data":                      "the commands over one DVC workspace, which share how its files are found and locked",
	"reconciler/engine/drift":              "the statistics of one peer, which share its tails and samples and are held by one set of vectors",
	"reconciler/engine/ledger":             "one format and its fold",
	"reconciler/format/model":              "one scan: each format is held against the readers of all the others",
	"reconciler/format/dvc":                "one foreign format: its pointers, locks, stages, configuration and ignore rules",
	"reconciler/format/table":              "one reader of tables, whose formats share its cells, checks and profile",
	"reconciler/machine/kube/kubetest":     "one cluster: its controllers share one lock and one store",
	"reconciler/machine/registry":          "one way to a registry: objects, artifacts and images share who is asked, with whose credentials, and what is tried again",
	"reconciler/machine/wall":              "one wall: its parts hold only together, and are reviewed together",
	"reconciler/pass":                      "one pass; what a kind needs is in execute",
	"reconciler/pass/execute":              "the steps of one plan, one file a kind, which share what was made so far and one lock",
	"reconciler/port/porttest":             "the suites of all ports, which share how runs are awaited and stores are filled",
	"schemas":                              "every kind, and how a file of them is read",
	"templates":                            "every text that people read, beside one another",
}

// floor is how high a package stands, and the folder that says so.
func floor(pkg string) (int, string) {
	at, folder := -1, ""
	for i, folders := range floors {
		for _, f := range folders {
			if under(pkg, f) && len(f) > len(folder) {
				at, folder = i, f
			}
		}
	}
	return at, folder
}

// under tells whether a package is a folder's, or the folder itself.
func under(pkg, folder string) bool {
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

func isPure(pkg string) bool {
	return slices.ContainsFunc(pure, func(p string) bool { return under(pkg, p) })
}

// outside is what a pure package does not import. fault may know contexts, whose
// errors it classes, and quality hands one to who opens its files. net/url reads addresses and
// opens none.
func outside(pkg, imported string) bool {
	if imported == "context" && slices.Contains([]string{"reconciler/fault", "reconciler/format/quality"}, pkg) {
		return false
	}
	root, _, _ := strings.Cut(imported, "/")
	return root == "context" || root == "os" || root == "net" && imported != "net/url" || root == "log" || imported == "math/rand" || imported == "math/rand/v2" || imported == "sync"
}

func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	for pkg, files := range sources(t) {
		at, folder := floor(pkg)
		if at < 0 {
			t.Errorf("%s is in no folder of the table: put it into one", pkg)
			continue
		}
		for name, file := range files {
			for _, spec := range file.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if isPure(pkg) && outside(pkg, imported) {
					t.Errorf("%s: a pure package imports %s", name, imported)
				}
				below, ours := strings.CutPrefix(imported, module)
				if !ours {
					continue
				}
				to, other := floor(below)
				if to > at || to == at && (other != folder || slices.Contains(apart, folder)) {
					t.Errorf("%s: %s imports %s, which is not lower", name, folder, below)
				}
			}
		}
	}
}

// Every package says in its first sentence what it is for: go doc shows it.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for pkg, files := range sources(t) {
		var said []string
		for name, file := range files {
			if file.Doc == nil {
				continue
			}
			opens := "Package " + file.Name.Name + " "
			if file.Name.Name == "main" {
				opens = "Command "
			}
			if !strings.HasPrefix(file.Doc.Text(), opens) {
				t.Errorf("%s: the comment above the package clause is the package's, and opens with %q; one about the file has an empty line below it", name, opens)
			}
			said = append(said, name)
		}
		if len(said) != 1 {
			t.Errorf("%s says in %d files what it is for (%s): one says it", pkg, len(said), strings.Join(said, ", "))
		}
	}
}

func TestALargePackageHasAReason(t *testing.T) {
	for pkg, files := range sources(t) {
		lines := 0
		for name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(raw), "\n")
		}
		reason := large[pkg]
		switch {
		case lines > 2000 && reason == "":
			t.Errorf("%s has %d lines: split it, or say in the table why it is one", pkg, lines)
		case lines <= 2000 && reason != "":
			t.Errorf("%s has %d lines: take it out of the table of large ones", pkg, lines)
		}
	}
}

func TestPurePackagesNeverAskTheTime(t *testing.T) {
	for pkg, files := range sources(t) {
		if !isPure(pkg) {
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

func TestEveryFolderIsThere(t *testing.T) {
	found := sources(t)
	folders := slices.Concat(slices.Concat(floors...), pure, apart, slices.Collect(maps.Keys(large)))
	for _, folder := range folders {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(found)), func(pkg string) bool { return under(pkg, folder) }) {
			t.Errorf("the table names %s, which is not there", folder)
		}
	}
}

// positions are the lines of what is parsed.
var positions = token.NewFileSet()

// sources parses the Go files of every package but their tests.
func sources(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	out := map[string]map[string]*ast.File{}
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
		file, err := parser.ParseFile(positions, p, nil, parser.ParseComments)
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
