// The examples: each is whole, and each does from its data to a served answer what its page says. What needs
// packages by the gigabyte is run by its own target: make test-examples-NAME.

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const examplesDir = "../../examples"

// exampleNames lists the examples that a repository can be made of.
func exampleNames(t *testing.T) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(examplesDir, "*", "vishwa.yaml"))
	if err != nil || len(found) < 2 {
		t.Fatalf("found %q: %v", found, err)
	}
	for _, f := range found {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}

// TestExamplesAreWhole: each has a target that runs it and, where it declares data, valid declarations, a page with its data card, a lock with
// hashes, and data that its own program makes.
func TestExamplesAreWhole(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	vishwa := filepath.Join(t.TempDir(), "vishwa")
	if err := os.Symlink(program, vishwa); err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range exampleNames(t) {
		dir := filepath.Join(examplesDir, name)
		page := inFile(t, filepath.Join(dir, "README.md"))
		declared, err := filepath.Glob(filepath.Join(dir, "vishwa", "*.yaml"))
		if err != nil || len(declared) == 0 {
			t.Fatalf("%s: it declares %q: %v", name, declared, err)
		}
		if !slices.ContainsFunc(declared, func(file string) bool { return strings.Contains(inFile(t, file), "\nkind: Dataset\n") }) {
			if !bytes.Contains(makefile, []byte("\ntest-"+name+":")) {
				t.Errorf("%s: no target runs it", name)
			}
			continue
		}
		if !strings.Contains(page, "\n## Data card\n") {
			t.Errorf("%s: its page has no data card", name)
		}
		locks, err := filepath.Glob(filepath.Join(dir, "*.lock"))
		if err != nil || len(locks) == 0 && !strings.Contains(page, "\napt-get install ") {
			t.Errorf("%s: it has no lock, and its page does not say what to install: %v", name, err)
		}
		for _, lock := range locks {
			if !strings.Contains(inFile(t, lock), "--hash=sha256:") {
				t.Errorf("%s has no hashes", lock)
			}
		}
		if name != example && !bytes.Contains(makefile, []byte("\ntest-examples-"+name+":")) {
			t.Errorf("%s: no target runs it", name)
		}
		data, err := filepath.Glob(filepath.Join(dir, "data", "*.csv"))
		if err != nil || len(data) != 1 {
			t.Fatalf("%s: its data is %q: %v", name, data, err)
		}
		made, err := exec.Command("python3", filepath.Join(dir, "data", "generate.py")).Output()
		if err != nil || string(made) != inFile(t, data[0]) {
			t.Errorf("%s: data/generate.py makes other data: %v", name, err)
		}
		repo := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(repo, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		steps, err := filepath.Glob(filepath.Join(repo, "steps", "*", "vishwa"))
		if err != nil {
			t.Fatal(err)
		}
		if name == example {
			steps = nil // the demo lays them over it
		}
		for _, lay := range append([]string{""}, steps...) {
			if lay != "" {
				if out, err := exec.Command("cp", "-R", filepath.Dir(lay)+"/.", repo).CombinedOutput(); err != nil {
					t.Fatalf("%v %s", err, out)
				}
			}
			for _, args := range [][]string{{"git", "init", "-q"}, {vishwa, "validate"}, {vishwa, "policy", "test"}} {
				cmd := exec.Command(args[0], args[1:]...)
				cmd.Dir, cmd.Env = repo, append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir())
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %s: %v\n%s", name, strings.Join(args[1:], " "), err, out)
				}
			}
		}
	}
}

func inFile(t *testing.T, at string) string {
	t.Helper()
	raw, err := os.ReadFile(at)
	if err != nil {
		t.Error(err)
	}
	return string(raw)
}

// TestExamplesThemselves runs those that VISHWA_EXAMPLES names.
func TestExamplesThemselves(t *testing.T) {
	asked := strings.Fields(os.Getenv("VISHWA_EXAMPLES"))
	if len(asked) == 0 {
		t.Skip("VISHWA_EXAMPLES names no example: make test-examples runs them, and installs what they need")
	}
	for _, name := range asked {
		if !slices.Contains(exampleNames(t), name) {
			t.Fatalf("there is no example %q", name)
		}
	}
	keys := quickKeys(t)
	var files []string
	for _, name := range asked {
		files = append(files, filepath.Join("testdata", "examples", name+".txtar"))
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(env *testscript.Env) error {
			if err := settle(t, env, keys); err != nil {
				return err
			}
			if err := beginTFServing(t, env); err != nil {
				return err
			}
			at, err := filepath.Abs(examplesDir)
			env.Setenv("EXAMPLES", at)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "edit": edit, "commit": commit, "until": until, "example": beginExample, "lay": layStep, "ask": askServed, "tfserving": tfserving,
		},
	})
}

// beginExample makes a repository of an example, in a folder of its name, and goes there: example NAME.
func beginExample(ts *testscript.TestScript, _ bool, args []string) {
	to := ts.MkAbs(args[0])
	ts.Check(os.CopyFS(to, os.DirFS(filepath.Join(ts.Getenv("EXAMPLES"), args[0]))))
	ts.Check(os.RemoveAll(filepath.Join(to, "steps")))
	ts.Check(ts.Chdir(to))
	ts.Check(ts.Exec("git", "init", "-q", "-b", "main"))
	ts.Check(ts.Exec("vishwa", "keys", "trust"))
	commit(ts, false, []string{"Begin"})
}

// layStep puts a step of an example over the repository: lay NAME STEP.
func layStep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("cp", "-R", filepath.Join(ts.Getenv("EXAMPLES"), args[0], "steps", args[1])+"/.", "."))
	commit(ts, false, []string{"Lay " + args[1] + " over it"})
}

// askServed puts a question to what a deployment serves and keeps the answer in a file: ask DEPLOYMENT PATH QUESTION ANSWER.
func askServed(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("vishwa", "status", "--format", "json"))
	var all []standing
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &all))
	at := slices.IndexFunc(all, func(s standing) bool { return s.Ref.String() == args[0] })
	if at < 0 || all[at].URL == "" {
		ts.Fatalf("%s is not served", args[0])
	}
	c := http.Client{Timeout: time.Minute}
	got, err := c.Post(all[at].URL+args[1], "application/json", strings.NewReader(ts.ReadFile(args[2])))
	ts.Check(err)
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	ts.Check(err)
	if got.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", got.Status, raw)
	}
	ts.Logf("%s", raw)
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), raw, 0o644))
}
