// Panics, held: what is begun beside others is begun such that its panic ends it alone. A go statement whose function panics ends the
// process, with all that it serves.

package reconciler

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// starters are the files that begin goroutines by themselves, and why each may.
var starters = map[string]string{
	"reconciler/fault/panicked.go":           "it is what guards",
	"reconciler/routine/routine.go":          "it is what guards",
	"reconciler/machine/wall/enter_linux.go": "the inner side of a wall: a process of one command, which is to end with it",
	"reconciler/machine/wall/reap_linux.go":  "the inner side of a wall: a process of one command, which is to end with it",
}

// timers are the files that have a function called later, beside them, and why none of these can panic.
var timers = map[string]string{
	"policy/judge.go":                             "it ends an evaluation",
	"reconciler/adapter/launcher/board.go":        "it stops a watch that nobody uses",
	"reconciler/adapter/launcher/docker/watch.go": "it stops a watch that nobody uses",
	"reconciler/adapter/source/http.go":           "it cancels",
	"reconciler/controller/watch.go":              "it asks for a look",
	"reconciler/controller/worker.go":             "it cancels",
	"reconciler/machine/dial/pace.go":             "it closes a connection",
	"reconciler/machine/dockerengine/ssh.go":      "it closes a connection",
	"reconciler/machine/download/fetch.go":        "it cancels",
	"reconciler/machine/egress/proxy.go":          "it closes connections",
	"reconciler/machine/topic/topic.go":           "it cancels",
	"reconciler/machine/wall/start_linux.go":      "it ends a process",
}

// programs tells of the folders of programs and doubles, which handle nobody's data but their own.
func programs(pkg string) bool {
	return slices.ContainsFunc(strings.Split(pkg, "/"), func(part string) bool { return strings.HasSuffix(part, "test") }) ||
		under(pkg, "cmd") || under(pkg, "examples")
}

// TestWhatIsBegunBesideOthersEndsAlone fails with each goroutine that nothing guards.
func TestWhatIsBegunBesideOthersEndsAlone(t *testing.T) {
	seen := map[string]bool{}
	for pkg, files := range sources(t) {
		if programs(pkg) {
			continue
		}
		for name, file := range files {
			at := strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "../")
			for _, b := range begun(file) {
				if b.later {
					seen[at] = true
					if timers[at] == "" {
						t.Errorf("%s: calls %s later: a panic there ends the process; say in the table why none can come", positions.Position(b.pos), b.how)
					}
					continue
				}
				if b.how != "DoChan" {
					seen[at] = true
				}
				if starters[at] == "" && !b.guarded {
					t.Errorf("%s: begins a goroutine by %s: a panic in it ends the process; begin it by fault.Go, routine.Group or routine.Set", positions.Position(b.pos), b.how)
				}
			}
		}
	}
	for _, table := range []map[string]string{starters, timers} {
		for at := range table {
			if !seen[at] {
				t.Errorf("the table names %s, which begins none: take it out", at)
			}
		}
	}
}

// beginning is a place where a goroutine begins.
type beginning struct {
	pos     token.Pos
	how     string
	later   bool // by a clock or the end of a context
	guarded bool // what it calls is
}

// begun lists the go statements of a file, and the calls of what begins goroutines for others.
func begun(file *ast.File) (out []beginning) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, beginning{pos: n.Pos(), how: "a go statement"})
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, _ := sel.X.(*ast.Ident)
			switch sel.Sel.Name {
			case "Go", "TryGo":
				if x == nil || x.Name != "fault" {
					out = append(out, beginning{pos: n.Pos(), how: sel.Sel.Name})
				}
			case "DoChan":
				out = append(out, beginning{pos: n.Pos(), how: sel.Sel.Name, guarded: guards(n)})
			case "AfterFunc":
				out = append(out, beginning{pos: n.Pos(), how: sel.Sel.Name, later: true})
			}
		}
		return true
	})
	return out
}

// guards tells whether a call's function calls fault.Guard.
func guards(call *ast.CallExpr) (found bool) {
	ast.Inspect(call, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if ok {
			x, _ := sel.X.(*ast.Ident)
			found = found || x != nil && x.Name == "fault" && sel.Sel.Name == "Guard"
		}
		return true
	})
	return found
}

// TestWhatBeginsGoroutinesIsSeen: what is looked for is what people write.
func TestWhatBeginsGoroutinesIsSeen(t *testing.T) {
	file, err := parser.ParseFile(positions, "begins.go", `package x
func f() {
	go g()
	var all sync.WaitGroup
	all.Go(g)
	group.TryGo(h)
	fault.Go(g, told)
	flight.DoChan("k", func() (any, error) { return read() })
	flight.DoChan("k", func() (any, error) { return nil, fault.Guard(read) })
	time.AfterFunc(d, g)
}
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range begun(file) {
		switch {
		case b.later:
			got = append(got, b.how+" later")
		case b.guarded:
			got = append(got, b.how+" guarded")
		default:
			got = append(got, b.how)
		}
	}
	if want := []string{"a go statement", "Go", "TryGo", "DoChan", "DoChan guarded", "AfterFunc later"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
