// The example, run as a reader would: the demo with the built program, then the
// checks that others' programs make of what it left.

package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

// stage is a demo that was run.
type stage struct {
	t      *testing.T
	vishwa string
	dir    string
	env    []string
}

// TestTheDemoTellsTheTruth: every command of the demo ends as the demo says, the
// released model passes the real cosign and model_signing, a plain clone verifies
// the ledger without any key, and git itself calls the ledger's commits good.
func TestTheDemoTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo installs Python packages and trains; run without -short")
	}
	s := stage{t: t, vishwa: built.Program(t, "vishwa", t.TempDir()), dir: filepath.Join(t.TempDir(), "demo")}
	out := s.run(".", s.vishwa, "demo", s.dir)
	for _, part := range []string{"Nothing to do: everything is up to date.", "learning_rate 0.05 -> 0.08", "bob approves plan", "FAIL files", "The ledger holds",
		"deployment/enrollment-staging: unknown", "A retraining is proposed: pushed to vishwa/retrain/main/enrollment", "as the champion was released with"} {
		if !strings.Contains(out, part) {
			t.Errorf("the demo does not say %q", part)
		}
	}
	s.env = s.environment()
	t.Run("others verify the model", s.others)
	t.Run("a plain clone verifies the ledger", s.clone)
	t.Run("the example's own tests", s.python)
}

// environment is what env.sh sets.
func (s stage) environment() []string {
	raw, err := os.ReadFile(filepath.Join(s.dir, "env.sh"))
	if err != nil {
		s.t.Fatal(err)
	}
	env := os.Environ()
	for line := range strings.Lines(string(raw)) {
		if kv, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok && !strings.HasPrefix(kv, "PATH=") {
			env = append(env, strings.ReplaceAll(kv, `"`, ""))
		}
	}
	return env
}

func (s stage) others(t *testing.T) {
	s.t = t
	tools := os.Getenv("VISHWA_TOOLS")
	if tools == "" {
		tools, _ = filepath.Abs("../.tools/bin")
	}
	for _, program := range []string{"cosign", "model_signing"} {
		if _, err := os.Stat(filepath.Join(tools, program)); err != nil {
			const how = "%s is not in %s: install it with make tools"
			if os.Getenv("CI") != "" {
				t.Fatalf(how, program, tools)
			}
			t.Skipf(how, program, tools)
		}
	}
	s.env = append(s.env, "PATH="+tools+string(filepath.ListSeparator)+os.Getenv("PATH"))
	release := filepath.Join(t.TempDir(), "release")
	out := s.run(s.repo(), s.vishwa, "verify", "deployment/enrollment-production", "--out", release)
	_, commands, found := strings.Cut(out, "The same with other programs:\n")
	if !found {
		t.Fatalf("verify prints no commands:\n%s", out)
	}
	count := 0
	for line := range strings.Lines(commands) {
		s.run(s.dir, "sh", "-c", line)
		count++
	}
	if count < 4 {
		t.Fatalf("%d commands; want one of model_signing and several of cosign", count)
	}
}

func (s stage) clone(t *testing.T) {
	s.t = t
	s.env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir(), "VISHWA_KEYS="+filepath.Join(t.TempDir(), "none"))
	clone := filepath.Join(t.TempDir(), "clone")
	s.run(s.dir, "git", "clone", "-q", filepath.Join(s.dir, "remote.git"), clone)
	if out := s.run(clone, s.vishwa, "ledger", "verify"); !strings.Contains(out, "2 approvals by trusted keys") {
		t.Errorf("got %s", out)
	}
	if out := s.run(clone, s.vishwa, "explain", "deployment/enrollment-production"); !strings.Contains(out, "approved by: principal:bob") || !strings.Contains(out, "data dataset/students") {
		t.Errorf("got %s", out)
	}
	trust, err := os.ReadFile(filepath.Join(clone, "trust.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, controller, _ := strings.Cut(string(trust), "controllers:")
	_, key, _ := strings.Cut(controller, "ssh: ")
	key, _, _ = strings.Cut(key, "\n")
	signers := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(signers, []byte(`demo namespaces="git" `+strings.Trim(key, `'" `)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, commit := range strings.Fields(s.run(clone, "git", "rev-list", "origin/vishwa/ledger")) {
		s.run(clone, "git", "-c", "gpg.ssh.allowedSignersFile="+signers, "verify-commit", commit)
	}
}

// python runs the example's own tests in the environment that the demo made.
func (s stage) python(t *testing.T) {
	s.t = t
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "vishwa", "*", "envs", "*", "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	for _, python := range found {
		if exec.Command(python, "-c", "import skops, xgboost, pandas, sklearn").Run() == nil {
			s.env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
			s.run("student-intelligence", python, "-m", "unittest", "discover", "-s", "tests")
			return
		}
	}
	t.Fatal("the demo left no environment with the example's packages")
}

func (s stage) repo() string { return filepath.Join(s.dir, "students") }

// run runs a program that has to end well, and returns what it said.
func (s stage) run(dir string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
