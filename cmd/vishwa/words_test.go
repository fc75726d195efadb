// The law of words: what Vishwa says is plain English, in the terms of the field. A word
// that first readers stumbled over does not come back.

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// banned words and what to write instead.
var banned = []struct{ word, instead string }{
	{`\bspoil\w*`, "corrupt"},
	{`near folder`, "local cache"},
	{`behind \w+'s back`, "out of band; of infrastructure: drift"},
	{`\btold\b`, "reported, listed, shown"},
	{`\bmend(s|ed|ing)?\b`, "fix, repair"},
	{`\blet(s|ting)? (go of|\w+ go of)\b`, "stop tracking, remove"},
	{`\bbears\b`, "adaptive concurrency, can take"},
	{`\b(breaks?|broken) (a |the |its )?promises?\b`, "violates a constraint"},
	{`\bpromises?\b`, "constraint; of Vishwa: guarantee"},
	{`\b(taken?|takes|taking) (\w+ )?in(:|,|\.|;|$| from| what)`, "add, download, import, read"},
	{`\bways? out\b`, "hint, what to do"},
	{`\bhand in\b`, "part in, author of"},
	{`\brungs?\b`, "level of isolation"},
	{`\bhouses?\b`, "repository, program"},
	{`\bbeside\b`, "next to, together with, in addition to"},
	{`\b(is|are) gone\b|\bgone from\b`, "is missing, was removed"},
	{`\b(appears|stands?|standing) (twice|beside|behind|below|above|under|in|at|for)\b`, "is, is listed, is given"},
	{`\bhow (it|things|the runs|a deployment) stands?\b`, "the state of"},
	{`\b(is|are) there already\b`, "already exists"},
	{`\bother than its pin|another than\b`, "differs from"},
	{`\bwhose word\b|\bwords? counts?\b|\bsomebody's word\b`, "approval, signature, command"},
	{`\bheld against\b`, "checked against"},
	{`\bas far as the server\b`, "adaptive concurrency"},
	{`\bfence\b`, "reduces the risk"},
	{`\bwalls?\b`, "isolation, sandbox"},
	{`\b(stands?|stood)\b`, "is, exists, is at"},
	{`\b(to )?be had\b`, "available, reached"},
	{`\b(goes|go|went|gone) by (the|its|their|what|it)\b`, "uses, follows"},
	{`\bin hand\b`, "under control"},
	{`\bthe likes? of\b|\bwhence\b|\bthereof\b|\bhenceforth\b|\blest\b|\bere\b`, "plain English"},
	{`\bat rest\b|\bheirs?\b`, "idle; replacement"},
	{`\btake(s|n)? up\b`, "continue, accept"},
	{`\blies (in|below|beside|next|outside)\b`, "is in"},
	{`[^e] is no (?:number|name|ref|duration|address|list|mapping|folder|file|revision|digest|time|URL|option|date)\b`, "is not a ..."},
	{`%d \w+\(e?s\)`, "plural.Of: 1 file, 2 files"},
	{`(^|[^fno] )%d (more )?(files|rows|columns|entries|models|changes|layers|fields|runs|steps|candidates)\b`, "plural.Of, as there may be one"},
}

// spared are places where a word is a term or another meaning, each with its reason.
var spared = []struct{ file, line, why string }{
	{"CONTRIBUTING.md", "    wall sandbox egress gpu", "the name of a package"},
	{"CONTRIBUTING.md", "`machine/wall`", "the name of a package"},
	{"reconciler/adapter/server/kubernetes/lend.go", "where its %d files are read", "so many that a Secret does not hold them"},
	{"reconciler/engine/graph/elsewhere.go", "only %d files and folders", "the most that are looked at"},
	{"cmd/vishwa/demo_watch.go", "the log of predictions has %d rows", "a fault of the demo"},
	{"cmd/vishwa-devforge/watch.go", "the log of predictions has %d rows", "a fault of the demo"},
	{"reconciler/format/parquet/write.go", "", "a fault of the program, which no user causes"},
	{"reconciler/machine/work/tracking.go", "%d models; the newest", "more than one"},
	{"reconciler/machine/work/tracking.go", "%d files of %d bytes", "more than is kept"},
	{"schemas/check_runner.go", "%d entries, which is more than", "more than it may have"},
	{"templates/mermaid.go", "it has %d steps", "more than can be read"},
	{"templates/verdict.go", "%d runs failed", "one is named"},
	{"templates/verdict.go", "as %d entries of the ledger", "one is named"},
}

func TestBannedWordsStayOut(t *testing.T) {
	rules := make([]*regexp.Regexp, len(banned))
	for i, b := range banned {
		rules[i] = regexp.MustCompile("(?i)" + b.word)
	}
	n := 0
	check := func(file string, line int, text string) {
		n++
		for _, s := range spared {
			if s.file == file && strings.Contains(text, s.line) {
				return
			}
		}
		for i, re := range rules {
			if found := re.FindString(text); found != "" {
				t.Errorf("%s:%d: %q: write instead: %s\n    %s", file, line, found, banned[i].instead, strings.TrimSpace(text))
			}
		}
	}
	root := "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+"/"))
		if d.IsDir() {
			switch {
			case path != root && strings.HasPrefix(d.Name(), ".") && !strings.HasPrefix(name, ".github"), d.Name() == "testdata", d.Name() == "porttest", d.Name() == "walltest", d.Name() == "devforge", d.Name() == "dist",
				name == "docs/decisions": // a decision is kept as it was written
				return fs.SkipDir
			}
			return nil
		}
		switch ext := filepath.Ext(name); {
		case ext == ".go" && !strings.HasSuffix(name, "_test.go"):
			return literals(path, func(line int, text string) { check(name, line, text) })
		case ext == ".rego" && !strings.HasSuffix(name, "_test.rego"), ext == ".md", ext == ".tmpl",
			strings.HasPrefix(name, "templates/scaffold/"), strings.HasPrefix(name, "templates/systemd/"), strings.HasPrefix(name, "templates/kubernetes/"),
			strings.HasPrefix(name, "templates/chart/"), strings.HasPrefix(name, "templates/monitoring/") && ext != ".json", strings.HasPrefix(name, "templates/scheduler/"),
			strings.HasPrefix(name, ".github/"), name == ".pre-commit-hooks.yaml", strings.HasPrefix(name, "schemas/json/"), name == "policy/input.schema.json":
			b, err := os.ReadFile(path)
			for i, line := range strings.Split(string(b), "\n") {
				check(name, i+1, line)
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 10000 {
		t.Errorf("only %d texts were read: the walk no longer finds them", n)
	}
}

// literals gives each string of a Go file that is more than a word.
func literals(path string, each func(line int, text string)) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				break
			}
			text, err := strconv.Unquote(n.Value)
			if err == nil && strings.Contains(strings.TrimSpace(text), " ") {
				for i, line := range strings.Split(text, "\n") {
					each(set.Position(n.Pos()).Line+i, line)
				}
			}
		}
		return true
	})
	return nil
}

// TestWordsOfFirstReaders: sentences that a first reader did not take in do not come back,
// and the better ones stay where they are.
func TestWordsOfFirstReaders(t *testing.T) {
	for _, c := range []struct{ file, old, now string }{
		{"reconciler/engine/plan/recorded.go", "gone from the store", "this machine's store does not have it"},
		{"reconciler/pass/missing.go", "gone from the store", "(share it with spec.store)"},
		{"reconciler/adapter/signer/generate.go", "is there already", "this machine already has keys in %s"},
		{"reconciler/machine/work/outcome.go", "read the end of its log and correct it", "Exit code %d"},
		{"reconciler/pass/execute/command.go", "its directory is kept as", "Log: %s. Work folder: %s."},
		{"policy/model.rego", "nothing is known of the model:", "no candidate reports %s (spec.select.metric); they report %s"},
		{"cmd/vishwa/approve.go", "as the file tells it", "This is the plan in the file. You sign its steps, inputs and models, not the explanations."},
		{"docs/guide.md", "What guards production guards", "Moving a deployment out of production also needs approval"},
		{"docs/guide.md", "doing another step of the same plan first", "Apply the other steps first, then plan and approve the rest"},
		{"docs/guide.md", "may both do the work of one key", "If two machines make the same thing, the first entry counts"},
		{"cmd/vishwa/data_refresh.go", "is another than its pin", "source differs from its pin, Vishwa downloads, checks and profiles it"},
		{"docs/github.md", "a fence and not a wall", "This reduces the risk. Anyone whose code runs in a job with secrets can still read them."},
	} {
		b, err := os.ReadFile("../../" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if strings.Contains(text, c.old) || !strings.Contains(text, c.now) {
			t.Errorf("%s says %q, or no longer %q", c.file, c.old, c.now)
		}
	}
}

// sayNothing are names of functions that do not say what they are about.
var sayNothing = []string{"read", "look", "take", "say", "tell", "give", "put"}

// TestFunctionsSayWhatTheyAreAbout: a single verb that any function could have is no name.
func TestFunctionsSayWhatTheyAreAbout(t *testing.T) {
	n := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "../.." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is {
				n++
				if slices.Contains(sayNothing, f.Name.Name) {
					t.Errorf("%s: a function is called %s: name what is read, taken or put", set.Position(f.Pos()), f.Name.Name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 3000 {
		t.Errorf("only %d functions were read: the walk no longer finds them", n)
	}
}
