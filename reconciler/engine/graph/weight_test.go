// What a few lines can stand for is bounded before it is made, and read once.

package graph

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/schemas"
)

const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: demo}\nspec: {}\n"

// counting counts how often each file is opened.
type counting struct {
	fstest.MapFS
	opened map[string]int
}

func (c counting) Open(name string) (fs.File, error) {
	c.opened[name]++
	return c.MapFS.Open(name)
}

func (c counting) ReadFile(name string) ([]byte, error) {
	c.opened[name]++
	return c.MapFS.ReadFile(name)
}

// surveyed is what is wrong with the graph of a repository.
func surveyed(t *testing.T, fsys fs.FS) []schemas.Problem {
	t.Helper()
	decls, problems := schemas.Load(context.Background(), fsys)
	if len(problems) > 0 {
		t.Fatalf("load: %v", problems[0])
	}
	pins, problems := Survey(fsys, decls)
	if len(problems) > 0 {
		return problems
	}
	_, problems = Build(decls, pins)
	return problems
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

const document = "---\napiVersion: vishwa.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n"

// TestAGraphIsWeighedBeforeItIsMade: products of what is declared, each of whose factors
// is within its bound, are told at the line that is one too many.
func TestAGraphIsWeighedBeforeItIsMade(t *testing.T) {
	folder := fstest.MapFS{}
	for i := range 2_000 {
		folder[fmt.Sprintf("code/%04d.py", i)] = &fstest.MapFile{Data: []byte("x")}
	}
	for name, text := range map[string]string{
		"models of many candidates": fmt.Sprintf(document, "Training", "y", "\n  run: [x]\n  candidates:\n"+repeat(5_000, "    c%d: {}\n")) +
			repeat(1_000, fmt.Sprintf(document, "Model", "m%d", "{from: training/y, select: {metric: a, goal: maximize}}")),
		"trainings of much code":        repeat(3_000, fmt.Sprintf(document, "Training", "y%d", "{run: [x], code: [code]}")),
		"candidates of many parameters": fmt.Sprintf(document, "Training", "y", "\n  run: [x]\n  params:\n"+repeat(10_000, "    p%d: some text\n")+"  candidates:\n"+repeat(5_000, "    c%d: {}\n")),
		"a search that is told much": fmt.Sprintf(document, "Training", "y", "\n  run: [x]\n  search:\n    ask:\n      run: [y]\n      trials: 1000\n      metric: m\n      space:\n"+
			repeat(60, "        p%d: {values: ["+strings.Repeat("x", 4_000)+"]}\n")),
		"candidates of a long command": fmt.Sprintf(document, "Training", "y", "\n  run: [x, "+strings.Repeat("x", 100_000)+"]\n  candidates:\n"+repeat(5_000, "    c%d: {}\n")),
	} {
		t.Run(name, func(t *testing.T) {
			folder["vishwa.yaml"] = &fstest.MapFile{Data: []byte(head + text)}
			var was, is runtime.MemStats
			runtime.ReadMemStats(&was)
			problems := surveyed(t, folder)
			runtime.ReadMemStats(&is)
			if len(problems) != 1 || problems[0].Pos.Line < 5 || !strings.Contains(problems[0].Message, "fewer candidates") {
				t.Fatalf("%d problems: %v", len(problems), problems[:min(3, len(problems))])
			}
			if took := (is.TotalAlloc - was.TotalAlloc) >> 20; took > 2_000 {
				t.Errorf("it took %d MiB to find out", took)
			}
		})
	}
}

// TestFilesAreReadOnceHoweverOftenTheyAreNamed: by folders in folders, and by many declarations.
func TestFilesAreReadOnceHoweverOftenTheyAreNamed(t *testing.T) {
	c := counting{fstest.MapFS{}, map[string]int{}}
	deep := strings.Repeat("d/", 30)
	c.MapFS[deep+"f.py"] = &fstest.MapFile{Data: []byte("x")}
	lock := "schema: '2.0'\nstages:\n" + repeat(200, "  s%[1]d:\n    cmd: x\n    outs:\n    - {path: o%[1]d, hash: md5, md5: 37b51d194a7513e45b56f6524f2d51f2, size: 3}\n")
	c.MapFS["dvc.lock"] = &fstest.MapFile{Data: []byte(lock)}
	var text strings.Builder
	text.WriteString(head)
	for i := range 30 {
		fmt.Fprintf(&text, document, "Training", fmt.Sprintf("y%d", i), fmt.Sprintf("{run: [x], code: [%s]}", strings.TrimSuffix(deep[:2*(i+1)], "/")))
	}
	for i := range 200 {
		fmt.Fprintf(&text, document, "Dataset", fmt.Sprintf("d%d", i), fmt.Sprintf("{source: {dvc: {path: o%d}}}", i))
	}
	c.MapFS["vishwa.yaml"] = &fstest.MapFile{Data: []byte(text.String())}
	if problems := surveyed(t, c); len(problems) > 0 {
		t.Fatal(problems[0])
	}
	for _, name := range []string{deep + "f.py", "dvc.lock"} {
		if n := c.opened[name]; n != 1 {
			t.Errorf("%s was opened %d times", name, n)
		}
	}
}

// TestPointersAreBounded: a dvc.lock that is crowded, or large, is told and not parsed.
func TestPointersAreBounded(t *testing.T) {
	for name, lock := range map[string]string{
		"crowded": "schema: '2.0'\nstages: [" + strings.Repeat("a,", maxSigns+1) + "]",
		"large":   "schema: '2.0'\nstages: {a: {cmd: '" + strings.Repeat("x", maxPointer) + "'}}",
	} {
		t.Run(name, func(t *testing.T) {
			problems := surveyed(t, fstest.MapFS{
				"vishwa.yaml": {Data: []byte(head + fmt.Sprintf(document, "Dataset", "d", "{source: {dvc: {path: a}}}"))}, "dvc.lock": {Data: []byte(lock)},
			})
			if len(problems) != 1 || !strings.Contains(problems[0].Message, "dvc.lock is too large") {
				t.Errorf("%v", problems)
			}
		})
	}
}
