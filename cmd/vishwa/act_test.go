// The workflow that vishwa init --github writes, run by act
// (https://github.com/nektos/act) in host mode, against a GitHub in this process. The
// actions of others are stood in for; Vishwa's own is run as it is, but for the program,
// which is the one under test.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v3"
)

// pinnedAt is the commit that the workflow names Vishwa's action by.
const pinnedAt = "0123456789abcdef0123456789abcdef01234567"

func TestActScripts(t *testing.T) {
	t.Parallel()
	act := actProgram(t)
	keys := quickKeys(t)
	cmds := forgeCommands()
	maps.Copy(cmds, map[string]func(*testscript.TestScript, bool, []string){
		"act": func(ts *testscript.TestScript, neg bool, args []string) {
			runJob(ts, neg, append([]string{act}, args...))
		},
		"said": said,
	})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/act",
		Setup: func(env *testscript.Env) error {
			if err := settle(t, env, keys); err != nil {
				return err
			}
			env.Setenv("PINNED", pinnedAt)
			return begin(t, env)
		},
		Cmds: cmds,
	})
}

// actProgram is act, in VISHWA_TOOLS or on PATH.
func actProgram(t *testing.T) string {
	if found, err := exec.LookPath(filepath.Join(os.Getenv("VISHWA_TOOLS"), "act")); err == nil {
		return found
	}
	found, err := exec.LookPath("act")
	if err == nil {
		return found
	}
	const way = "act is missing: make tools, or go install github.com/nektos/act@v0.2.89"
	if os.Getenv("CI") != "" {
		t.Fatal(way)
	}
	t.Skip(way)
	return ""
}

// fork makes mallory's copy of the repository, and sets $FORKED to where she pushes.
func fork(ts *testscript.TestScript, _ bool, _ []string) {
	name, err := hub(ts).Fork(theirs, "mallory")
	ts.Check(err)
	ts.Setenv("FORKED", strings.Replace(hub(ts).CloneURL(name), "://", "://x-access-token:"+hub(ts).Token("mallory")+"@", 1))
}

// said writes what the jobs say in pull request $PR to comment.md, and insists that
// it is one comment.
func said(ts *testscript.TestScript, _ bool, _ []string) {
	s, err := hub(ts).Shown(theirs)
	ts.Check(err)
	var bodies []string
	for _, c := range s.Comments {
		if c.Login == "github-actions[bot]" && strconv.Itoa(c.Pull) == ts.Getenv("PR") {
			bodies = append(bodies, c.Body)
		}
	}
	if len(bodies) > 1 {
		ts.Fatalf("there are %d comments", len(bodies))
	}
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), "comment.md"), []byte(strings.Join(bodies, "")), 0o644))
}

// runJob has act run the workflow of the current folder for an event, as GitHub would
// begin it: act JOB EVENT. JOB is the one that must run; its token has the permissions
// that the workflow lists for it, and no others.
func runJob(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: act JOB EVENT")
	}
	job, name, work := args[1], args[2], ts.Getenv("WORK")
	raw := ts.ReadFile(".github/workflows/vishwa.yml")
	event := filepath.Join(work, "event.json")
	ts.Check(os.WriteFile(event, eventOf(ts, name), 0o644))
	command := []string{
		name, "--eventpath", event, "--workflows", ".github/workflows/vishwa.yml", "--platform", "ubuntu-24.04=-self-hosted",
		"--action-offline-mode", "--env", "ARTIFACTS=" + work, "--env", "GITHUB_REPOSITORY=" + theirs,
		"--env", "GITHUB_SERVER_URL=" + ts.Getenv("FORGE"), "--env", "GITHUB_API_URL=" + ts.Getenv("FORGE") + "/api/v3",
		"--secret", "GITHUB_TOKEN=" + hub(ts).ActionsToken(theirs, permissionsOf(ts, raw, job)),
	}
	if job != "outside" { // GitHub gives those no secrets
		archive, err := exec.Command("sh", "-c", `tar -C "$1" -cz . | base64`, "sh", filepath.Join(work, "keys")).Output()
		ts.Check(err)
		command = append(command, "--secret", "VISHWA_KEYS_ARCHIVE="+string(archive), "--secret", "VISHWA_KEY_PASSWORD="+password)
	}
	command = append(command, standIns(ts, raw)...)
	cmd := exec.Command(args[0], command...)
	cmd.Dir = ts.MkAbs(".")
	for _, v := range []string{"PATH", "HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GOCOVERDIR", "TMPDIR"} {
		if value := ts.Getenv(v); value != "" {
			cmd.Env = append(cmd.Env, v+"="+value)
		}
	}
	out, err := cmd.CombinedOutput()
	ts.Check(os.WriteFile(filepath.Join(work, "act.log"), out, 0o644))
	if (err != nil) != neg {
		ts.Fatalf("act %s: %v\n%s", name, err, out)
	}
	if !bytes.Contains(out, []byte("vishwa/"+job)) || bytes.Contains(out, []byte(password)) {
		ts.Fatalf("the job %s did not run, or showed the password:\n%s", job, out)
	}
}

// permissionsOf is what the workflow lists for a job.
func permissionsOf(ts *testscript.TestScript, raw, job string) map[string]string {
	var w struct {
		Jobs map[string]struct {
			Permissions map[string]string `yaml:"permissions"`
		} `yaml:"jobs"`
	}
	ts.Check(yaml.Unmarshal([]byte(raw), &w))
	listed := map[string]string{"metadata": "read"}
	for permission, level := range w.Jobs[job].Permissions {
		listed[strings.ReplaceAll(permission, "-", "_")] = level
	}
	// GitHub takes either for comments below pull requests; the double knows them by this one.
	listed["issues"] = listed["pull_requests"]
	return listed
}

// eventOf is what GitHub writes for a job.
func eventOf(ts *testscript.TestScript, name string) []byte {
	g := hub(ts)
	payload := map[string]any{"repository": map[string]any{"full_name": theirs, "default_branch": "main"}}
	if name == "push" {
		payload["ref"] = "refs/heads/main"
	} else {
		n, err := strconv.Atoi(ts.Getenv("PR"))
		ts.Check(err)
		p, err := g.Pull(theirs, n)
		ts.Check(err)
		payload["action"] = map[string]string{"pull_request": "synchronize", "issue_comment": "created"}[name]
		payload["number"] = n
		from := theirs
		if ts.Getenv("FORKED") != "" {
			from = "mallory/homes"
		}
		payload["pull_request"] = map[string]any{
			"number": n, "head": map[string]any{"sha": p.SHA, "ref": p.Head, "repo": map[string]any{"full_name": from}}, "base": map[string]any{"ref": "main"},
		}
		if name == "issue_comment" {
			delete(payload, "pull_request")
			payload["issue"] = map[string]any{"number": n, "pull_request": map[string]any{}}
			payload["comment"] = map[string]any{"body": "/vishwa plan", "user": map[string]any{"type": "User"}}
		}
	}
	raw, err := json.Marshal(payload)
	ts.Check(err)
	return raw
}

var usesAction = regexp.MustCompile(`uses: ([\w.-]+/[\w.-]+)((?:/[\w.-]+)*)@([0-9a-f]{40})`)

// standIns are folders in the place of the actions that the workflow and Vishwa's own
// action use: others' do nothing, but for the one that keeps artifacts.
func standIns(ts *testscript.TestScript, workflow string) (args []string) {
	own, err := os.ReadFile(filepath.FromSlash("../../.github/actions/vishwa/action.yml"))
	ts.Check(err)
	ours := regexp.MustCompile(`(?s)(\n  program:\n.*?default: )''`).ReplaceAll(own, []byte("${1}vishwa"))
	seen := map[string]bool{}
	for _, m := range usesAction.FindAllStringSubmatch(workflow+string(own), -1) {
		repository, below, commit := m[1], m[2], m[3]
		dir := filepath.Join(ts.Getenv("WORK"), "actions", strings.ReplaceAll(repository, "/", "-"))
		text := []byte("name: nothing\ndescription: does nothing\nruns: {using: composite, steps: [{shell: bash, run: 'true'}]}\n")
		switch repository {
		case "vishwaops/vishwa":
			text = ours
		case "actions/upload-artifact":
			text = []byte("name: keep\ndescription: keeps a file\ninputs: {name: {}, path: {}, overwrite: {}}\n" +
				"runs: {using: composite, steps: [{shell: bash, env: {FILE: '${{ inputs.path }}'}, run: 'cp \"$FILE\" \"$ARTIFACTS/report.md\"'}]}\n")
		}
		ts.Check(os.MkdirAll(filepath.Join(dir, below), 0o755))
		ts.Check(os.WriteFile(filepath.Join(dir, below, "action.yml"), text, 0o644))
		if key := repository + "@" + commit; !seen[key] {
			seen[key] = true
			args = append(args, "--local-repository", fmt.Sprintf("%s=%s", key, dir))
		}
	}
	return args
}
