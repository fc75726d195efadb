// The laws of the pipelines: no expression stands in a shell's text, every action is
// pinned by its commit, no job has more rights than it lists, and what comes from
// outside gets no secret.

package templates

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type pipelineStep struct {
	ID   string            `yaml:"id"`
	If   string            `yaml:"if"`
	Uses string            `yaml:"uses"`
	Run  string            `yaml:"run"`
	With map[string]string `yaml:"with"`
	Env  map[string]string `yaml:"env"`
}

type workflow struct {
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		If          string            `yaml:"if"`
		Permissions map[string]string `yaml:"permissions"`
		Concurrency struct {
			Group  string `yaml:"group"`
			Cancel string `yaml:"cancel-in-progress"`
		} `yaml:"concurrency"`
		Steps []pipelineStep `yaml:"steps"`
	} `yaml:"jobs"`
}

const usedAction = "vishwaops/vishwa/.github/actions/vishwa@0123456789abcdef0123456789abcdef01234567"

func written(t *testing.T) workflow {
	t.Helper()
	raw, err := Workflow(Pipeline{Branch: "rel/1.x", Action: usedAction})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "[[") || strings.Contains(string(raw), "\t") {
		t.Errorf("the workflow is not all filled in:\n%s", raw)
	}
	var w workflow
	if err := yaml.Unmarshal(raw, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

var pinned = regexp.MustCompile(`^[a-z0-9-]+/[a-zA-Z0-9./-]+@[0-9a-f]{40}$`)

func checkSteps(t *testing.T, steps []pipelineStep) {
	t.Helper()
	for _, s := range steps {
		if s.Uses != "" && !pinned.MatchString(s.Uses) {
			t.Errorf("%s is not pinned by its commit", s.Uses)
		}
		if strings.Contains(s.Run, "${{") {
			t.Errorf("an expression stands in a shell's text:\n%s", s.Run)
		}
		if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != "false" {
			t.Error("the checkout keeps the token where every run can read it")
		}
	}
}

// TestTheWorkflowAllowsTheWall: GitHub's Ubuntu lets no program make a user namespace
// unless it is told to, and it is told before Vishwa begins.
func TestTheWorkflowAllowsTheWall(t *testing.T) {
	w := written(t)
	for _, name := range []string{"pull", "branch"} {
		allowed := false
		for _, s := range w.Jobs[name].Steps {
			allowed = allowed || strings.Contains(s.Run, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
			if s.Uses == usedAction && !allowed {
				t.Errorf("the job %s begins vishwa before it allows user namespaces", name)
			}
		}
		if !allowed {
			t.Errorf("the job %s does not allow user namespaces", name)
		}
	}
}

func TestTheWorkflowGivesNoMoreThanItLists(t *testing.T) {
	w := written(t)
	if len(w.Permissions) != 0 || len(w.Jobs) != 3 {
		t.Errorf("%+v", w)
	}
	for name, want := range map[string]string{
		"pull": "checks contents deployments pull-requests statuses", "branch": "checks contents deployments pull-requests statuses", "outside": "",
	} {
		job := w.Jobs[name]
		checkSteps(t, job.Steps)
		var writes []string
		for _, p := range []string{"actions", "checks", "contents", "deployments", "id-token", "issues", "packages", "pull-requests", "statuses"} {
			if job.Permissions[p] == "write" {
				writes = append(writes, p)
			}
		}
		if got := strings.Join(writes, " "); got != want {
			t.Errorf("%s writes %s, want %s", name, got, want)
		}
	}
	for _, event := range []string{"pull_request", "pull_request_review", "issue_comment", "merge_group", "push", "schedule", "workflow_dispatch"} {
		if _, ok := w.On[event]; !ok {
			t.Errorf("%s is not listened to", event)
		}
	}
	if _, ok := w.On["pull_request_target"]; ok {
		t.Error("pull_request_target gives the tracked branch's secrets to anybody's code")
	}
}

// TestTheWorkflowIsOneForActionlint: with a commit, and where one is to be filled in.
func TestTheWorkflowIsOneForActionlint(t *testing.T) {
	lint := actionlint(t)
	for name, commit := range map[string]string{"pinned": "0123456789abcdef0123456789abcdef01234567", "to be filled in": NoCommit} {
		raw, err := Workflow(Pipeline{Branch: "rel/1.x", Action: "vishwaops/vishwa/.github/actions/vishwa@" + commit})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(lint, "-no-color", "-shellcheck=", "-pyflakes=", "-")
		cmd.Stdin = bytes.NewReader(raw)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if told := strings.Count(string(raw), "FILL IN"); told != map[bool]int{true: 4}[commit == NoCommit] {
			t.Errorf("%s: it says %d times what to fill in", name, told)
		}
	}
}

// actionlint is the program, in VISHWA_TOOLS or on PATH.
func actionlint(t *testing.T) string {
	if found, err := exec.LookPath(filepath.Join(os.Getenv("VISHWA_TOOLS"), "actionlint")); err == nil {
		return found
	}
	found, err := exec.LookPath("actionlint")
	if err == nil {
		return found
	}
	const way = "actionlint is missing: make tools, or go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
	if os.Getenv("CI") != "" {
		t.Fatal(way)
	}
	t.Skip(way)
	return ""
}

func TestWhatComesFromOutsideGetsNoSecret(t *testing.T) {
	job := written(t).Jobs["outside"]
	for _, s := range job.Steps {
		for k, v := range s.With {
			if strings.Contains(v, "secrets.") {
				t.Errorf("%s: %s", k, v)
			}
		}
		if strings.Contains(s.Uses, "cache/save") {
			t.Error("a fork's job keeps a cache")
		}
	}
	if group := written(t).Jobs["pull"].Concurrency.Group; group == job.Concurrency.Group {
		t.Error("a fork's push can end a maintainer's command")
	}
}

func TestTheTrackedBranchIsQueuedAndNeverCancelled(t *testing.T) {
	if c := written(t).Jobs["branch"].Concurrency; c.Cancel != "false" || !strings.Contains(c.Group, "github.ref") {
		t.Errorf("%+v", c)
	}
}

func TestACommandsJobKeepsNoCache(t *testing.T) {
	for _, s := range written(t).Jobs["pull"].Steps {
		if strings.Contains(s.Uses, "cache/save") && !strings.Contains(s.If, "startsWith(github.event_name, 'pull_request')") {
			t.Errorf("a pull request's code can spoil the default branch's cache: %s", s.If)
		}
	}
}

func TestTheActionReadsItsInputsFromTheEnvironment(t *testing.T) {
	raw, err := os.ReadFile("../.github/actions/vishwa/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Inputs  map[string]any `yaml:"inputs"`
		Outputs map[string]any `yaml:"outputs"`
		Runs    struct {
			Steps []pipelineStep `yaml:"steps"`
		} `yaml:"runs"`
	}
	if err := yaml.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	checkSteps(t, a.Runs.Steps)
	for _, job := range written(t).Jobs {
		for _, s := range job.Steps {
			if s.Uses != usedAction {
				continue
			}
			for name := range s.With {
				if a.Inputs[name] == nil {
					t.Errorf("the action has no input %s", name)
				}
			}
		}
		for _, s := range job.Steps {
			for _, m := range regexp.MustCompile(`steps\.vishwa\.outputs\.([a-z-]+)`).FindAllStringSubmatch(s.If+s.With["path"], -1) {
				if a.Outputs[m[1]] == nil {
					t.Errorf("the action has no output %s", m[1])
				}
			}
		}
	}
}

func TestTheJenkinsfileKeepsSecretsOutOfTheShellsText(t *testing.T) {
	raw, err := Jenkinsfile(Pipeline{Branch: "rel/1.x"})
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if strings.Contains(text, "[[") {
		t.Error(text)
	}
	// Groovy fills in strings in double quotes, and nothing in single ones.
	if regexp.MustCompile(`\bsh[ (][^'\n]*"`).MatchString(text) {
		t.Error("a shell's text stands in double quotes")
	}
	if strings.Count(text, "{") != strings.Count(text, "}") || strings.Count(text, "(") != strings.Count(text, ")") {
		t.Error("the brackets do not match")
	}
	if !strings.Contains(text, "branch 'rel/1.x'") || !strings.Contains(text, "--branch rel/1.x ") {
		t.Error("the branch is not named")
	}
}
