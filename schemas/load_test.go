// Each class of bad input has its whole message in testdata/problems, as a person
// would read it; what a text archive cannot hold is in tables here.

package schemas

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

var update = flag.Bool("update", false, "write what is said into testdata")

// repo makes a repository of text files, with those that good declarations name.
func repo(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for p, text := range map[string]string{
		Root: project("{environments: {staging: {}, production: {approvals: 2}}}"), "src/train.py": "pass\n",
		"data/students.csv": "a\n1\n", "infra/main.tf": "# none\n", "requirements.lock": "a==1\n",
	} {
		fsys[p] = &fstest.MapFile{Data: []byte(text)}
	}
	for p, text := range files {
		fsys[p] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func declare(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: vishwa.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n---\n", kind, name, spec)
}

const work = "run: [python, src/train.py], code: [src/train.py]"

var (
	students = declare("Dataset", "students", "{source: {path: data/students.csv}}")
	features = declare("Transform", "features", "{"+work+", inputs: {students: dataset/students}, outputs: {train: train.csv, test: test.csv}}")
	training = declare("Training", "enrollment", "{"+work+", inputs: {train: 'transform/features:train'}}")
	model    = declare("Model", "enrollment", "{from: training/enrollment, select: {metric: auc}, gates: [{metric: auc, min: 0.8}]}")
	good     = students + features + training + model
)

func said(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.Error() + "\n")
	}
	return b.String()
}

func TestProblemsReadWell(t *testing.T) {
	names, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			last := len(archive.Files) - 1
			for _, f := range archive.Files[:last] {
				files[f.Name] = string(f.Data)
			}
			_, problems := Load(t.Context(), repo(files))
			got := said(problems)
			if *update {
				archive.Files[last].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(archive.Files[last].Data); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestLoadReadsWhatIsGood(t *testing.T) {
	text := good + declare("Infrastructure", "serving", "{module: infra}") +
		declare("Deployment", "site", "{model: model/enrollment, environment: production, needs: [infrastructure/serving], target: {local: {"+work+"}}}")
	decls, problems := Load(t.Context(), repo(map[string]string{"vishwa/all.yaml": text}))
	if len(problems) > 0 {
		t.Fatal(said(problems))
	}
	var refs []string
	for _, d := range decls {
		refs = append(refs, d.Ref().String())
	}
	if got, want := strings.Join(refs, " "), "dataset/students deployment/site infrastructure/serving model/enrollment project/demo training/enrollment transform/features"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	line := strings.Split(text, "\n")[8]
	for path, word := range map[string]string{"spec.inputs.students": "students:", "spec.inputs.none.at.all": "inputs:", "spec.run.1": "src/train.py", "spec.nothing": "spec:", "": ""} {
		want := Position{File: "vishwa/all.yaml", Line: 9, Column: strings.Index(line, word) + 1}
		if path == "" {
			want.Line = 6
		}
		if got := decls[6].Fields(path); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
}

func TestUnreadableFilesAreProblems(t *testing.T) {
	link := &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte("../elsewhere")}
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"latin1":   {fstest.MapFS{"vishwa/a.yaml": text("a: 1\nb: caf\xe9\n")}, "vishwa/a.yaml:2:7: is not UTF-8 text; save the file as UTF-8\n"},
		"utf16":    {fstest.MapFS{"vishwa/a.yaml": text("\xff\xfea\x00")}, "vishwa/a.yaml:1:1: is not UTF-8 text; save the file as UTF-8\n"},
		"nul":      {fstest.MapFS{"vishwa/a.yaml": text("a: \x00")}, "vishwa/a.yaml:1:4: holds a NUL byte; save the file as UTF-8 text\n"},
		"large":    {fstest.MapFS{"vishwa/a.yaml": text("# " + strings.Repeat("x", maxBytes))}, "vishwa/a.yaml: is larger than 4 MiB; split it\n"},
		"crowded":  {fstest.MapFS{"vishwa/a.yaml": text("a: [" + strings.Repeat("1,", 150_000) + "]")}, "vishwa/a.yaml:1:200001: a.99998: the document holds more than 100000 values, its aliases counted in full; split it, or keep the data in a file\n"},
		"packed":   {fstest.MapFS{"vishwa/a.yaml": text("---\na: [" + strings.Repeat("1,", 2_000_000) + "]")}, "vishwa/a.yaml:1:1: the document holds more than 100000 values; split it, or keep the data in a file\n"},
		"root":     {fstest.MapFS{Root: link}, "vishwa.yaml: vishwa.yaml is a symbolic link, which is not followed; put the file there itself\n"},
		"included": {fstest.MapFS{"vishwa/a.yaml": link}, "vishwa.yaml:4:1: spec.include: vishwa/a.yaml is a symbolic link, which is not followed; put the file there itself\n"},
		"folder":   {fstest.MapFS{"vishwa": &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte("src")}}, "vishwa.yaml:4:1: spec.include: vishwa is a symbolic link, which is not followed; put the file there itself\n"},
		"dataset":  {fstest.MapFS{"vishwa/a.yaml": text(students), "data/students.csv": link}, "vishwa/a.yaml:4:17: spec.source.path: data/students.csv is a symbolic link, which is not followed; name what it points to\n"},
		"above":    {fstest.MapFS{"vishwa/a.yaml": text(strings.Replace(students, "data/", "link/", 1)), "link": &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte("data")}}, "vishwa/a.yaml:4:17: spec.source.path: link is a symbolic link, which is not followed; name what it points to\n"},
		"pipe":     {fstest.MapFS{"vishwa/a.yaml": text(students), "data/students.csv": &fstest.MapFile{Mode: fs.ModeNamedPipe}}, "vishwa/a.yaml:4:17: spec.source.path: data/students.csv is not a regular file; name one\n"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := repo(nil)
			for p, f := range c.files {
				fsys[p] = f
			}
			_, problems := Load(t.Context(), fsys)
			if got := said(problems); got != c.want {
				t.Errorf("got  %swant %s", got, c.want)
			}
			_, plain := Load(t.Context(), onlyOpen{fsys})
			if got := said(plain); got != c.want {
				t.Errorf("without ReadLink: got  %swant %s", got, c.want)
			}
		})
	}
	if _, problems := Load(t.Context(), fstest.MapFS{}); said(problems) != "vishwa.yaml: is not there; run vishwa init, or go to the folder that holds it\n" {
		t.Error(said(problems))
	}
}

// TestHostileFilesEndSoon: what is made to take long, or much room, is met with a problem in seconds.
func TestHostileFilesEndSoon(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const training = "apiVersion: vishwa.dev/v1alpha1\nkind: Training\nmetadata: {name: x}\nspec: {run: [x], "
	for name, text := range map[string]string{
		"sequences":  strings.Repeat("- ", 90_000),
		"brackets":   strings.Repeat("[", 99_000),
		"comments":   "a: 1\n" + strings.Repeat("#x\n\n", 900_000) + "b: 1\n",
		"words":      "a: " + strings.Repeat("x ", 2_000_000),
		"documents":  strings.Repeat("kind: Model\n---\n", 100_000),
		"unknown":    training + many(40_000, "cod%d: 1, ") + "}",
		"paths":      training + "code: [" + many(60_000, "f%d, ") + "]}",
		"duplicates": many(40_000, "k%d: 1\n") + many(40_000, "k%d: 1\n"),
		"merges":     "a: &a {b: 1}\n" + strings.Repeat("<<: *a\n", 40_000),
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, problems := Load(t.Context(), repo(map[string]string{"vishwa/a.yaml": text}))
			if took := time.Since(begin); len(problems) == 0 || took > 20*time.Second {
				t.Errorf("%d problems after %v", len(problems), took)
			}
		})
	}
}

// onlyOpen is a file system that cannot look at a link itself, such as a Git tree's.
type onlyOpen struct{ fsys fs.FS }

func (o onlyOpen) Open(name string) (fs.File, error) { return o.fsys.Open(name) }

// TestUnreadableDataIsAProblem: on disk, with modes.
func TestUnreadableDataIsAProblem(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, repo(map[string]string{"vishwa/a.yaml": students})); err != nil {
		t.Fatal(err)
	}
	if _, problems := Load(t.Context(), os.DirFS(dir)); len(problems) > 0 {
		t.Fatal(said(problems))
	}
	if err := os.Chmod(filepath.Join(dir, "data/students.csv"), 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root reads every file; run this test as another user")
	}
	_, problems := Load(t.Context(), os.DirFS(dir))
	if want := "vishwa/a.yaml:4:17: spec.source.path: data/students.csv cannot be read: permission denied; make it readable\n"; said(problems) != want {
		t.Errorf("got %s", said(problems))
	}
}

func TestValuesOfAColumnMayBeNumbers(t *testing.T) {
	decls, problems := Load(t.Context(), repo(map[string]string{"vishwa/d.yaml": declare("Dataset", "d", `{source: {path: data/students.csv}, columns: {a: {type: integer, values: [0, 1, -2.5, true, "07"]}}}`)}))
	if len(problems) > 0 {
		t.Fatal(said(problems))
	}
	for i := range decls {
		if d, ok := decls[i].Spec.(*Dataset); ok {
			if got := fmt.Sprint(d.Columns["a"].Values); got != "[0 1 -2.5 true 07]" {
				t.Error(got)
			}
		}
	}
}

// unreadable is a tree that cannot be listed.
type unreadable struct {
	fs.FS
	why error
}

func (u unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	return nil, &fs.PathError{Op: "readdir", Path: name, Err: u.why}
}

// TestATreeThatCannotBeReadSaysWhy: it is no folder without a project.
func TestATreeThatCannotBeReadSaysWhy(t *testing.T) {
	for want, why := range map[string]error{
		"vishwa.yaml: cannot be read: git status: git-lfs: not found; install it": fault.WithHint(fault.New(fault.Invalid, "git status: git-lfs: not found"), "install it"),
		"vishwa.yaml: is not there; run vishwa init":                              fs.ErrNotExist,
	} {
		tree := struct{ fs.ReadDirFS }{unreadable{repo(nil), why}}
		if _, problems := Load(t.Context(), tree); !strings.Contains(said(problems), want) {
			t.Errorf("got %s; want %s", said(problems), want)
		}
	}
}

func TestAPathWithinASubmoduleSaysSo(t *testing.T) {
	tree := repo(map[string]string{"vishwa/d.yaml": declare("Dataset", "d", `{source: {path: lib/sub/deep/a.csv}}`)})
	tree["lib/sub"] = &fstest.MapFile{Mode: fs.ModeDir | fs.ModeIrregular | 0o755}
	_, problems := Load(t.Context(), tree)
	if want := "lib/sub/deep/a.csv is in lib/sub, which is a submodule"; !strings.Contains(said(problems), want) {
		t.Errorf("got %s", said(problems))
	}
}

// TestAFileInCapitalsIsRead: an ending is an ending in whatever case, and another one is none.
func TestAFileInCapitalsIsRead(t *testing.T) {
	data := func(name string) string { return declare("Dataset", name, "{source: {path: data/students.csv}}") }
	decls, problems := Load(t.Context(), repo(map[string]string{
		"vishwa/a.YAML": data("a"), "vishwa/deep/b.Yml": data("b"), "vishwa/c.yaml.bak": data("c"), "vishwa/d.yamlx": data("d"),
	}))
	var names []string
	for _, d := range decls {
		if d.Ref().Kind == KindDataset {
			names = append(names, d.Metadata.Name)
		}
	}
	if len(problems) > 0 || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%q, %v", names, said(problems))
	}
}
