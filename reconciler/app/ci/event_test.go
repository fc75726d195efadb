// The laws of reading a job: what is looked at goes by names and numbers alone, what
// comes from outside is known as such, and nothing malformed is guessed at.

package ci

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	sha   = "0123456789abcdef0123456789abcdef01234567"
	local = `"repo":{"full_name":"Acme/models"}`
	fork  = `"repo":{"full_name":"eve/models"}`
)

// github is a job's environment, with changes.
func github(change map[string]string) func(string) (string, bool) {
	env := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/models", "GITHUB_SERVER_URL": "https://github.com",
		"GITHUB_API_URL": "https://api.github.com", "GITHUB_REF": "refs/heads/main", "GITHUB_SHA": sha, "GITHUB_RUN_ID": "42",
		"GITHUB_EVENT_NAME": "push", "RUNNER_ENVIRONMENT": "github-hosted",
	}
	for k, v := range change {
		env[k] = v
	}
	return lookup(env)
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func pull(head string) string {
	return `{"action":"synchronize","repository":{"default_branch":"main"},"pull_request":{"number":7,"head":{"sha":"` + sha + `",` + head + `},"base":{"ref":"main"}}}`
}

func TestAnEventSaysWhatToLookAt(t *testing.T) {
	for name, c := range map[string]struct {
		event   string
		env     map[string]string
		payload string
		want    Event
	}{
		"a pull request":              {"pull_request", nil, pull(local), Event{Kind: Pull, Pull: 7, Branch: "main", SHA: sha}},
		"a fork's":                    {"pull_request", nil, pull(fork), Event{Kind: Pull, Pull: 7, Branch: "main", SHA: sha, Foreign: true}},
		"a deleted fork's":            {"pull_request", nil, pull(`"repo":null`), Event{Kind: Pull, Pull: 7, Branch: "main", SHA: sha, Foreign: true}},
		"Dependabot's":                {"pull_request", map[string]string{"GITHUB_ACTOR": "dependabot[bot]"}, pull(local), Event{Kind: Pull, Pull: 7, Branch: "main", SHA: sha, Foreign: true}},
		"a review":                    {"pull_request_review", nil, pull(local), Event{Kind: Pull, Pull: 7, Branch: "main", SHA: sha}},
		"a command":                   {"issue_comment", nil, `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"/vishwa plan","user":{"type":"User"}}}`, Event{Kind: Pull, Pull: 7}},
		"a comment below an issue":    {"issue_comment", nil, `{"action":"created","issue":{"number":7},"comment":{"body":"/vishwa plan"}}`, Event{Kind: Nothing}},
		"an edited comment":           {"issue_comment", nil, `{"action":"edited","issue":{"number":7,"pull_request":{}},"comment":{"body":"/vishwa plan"}}`, Event{Kind: Nothing}},
		"a bot's comment":             {"issue_comment", nil, `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"/vishwa plan","user":{"type":"Bot"}}}`, Event{Kind: Nothing}},
		"Vishwa's own comment":        {"issue_comment", nil, `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"<!-- vishwa:report -->\nsay /vishwa apply","user":{"type":"User"}}}`, Event{Kind: Nothing}},
		"talk":                        {"issue_comment", nil, `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"nice"}}`, Event{Kind: Nothing}},
		"a merge queue's group":       {"merge_group", nil, `{"action":"checks_requested","merge_group":{"head_ref":"refs/heads/gh-readonly-queue/rel/1.x/pr-12-` + sha + `","head_sha":"` + sha + `","base_ref":"refs/heads/rel/1.x"}}`, Event{Kind: Pull, Pull: 12, Branch: "rel/1.x", SHA: sha}},
		"a group that is gone":        {"merge_group", nil, `{"action":"destroyed"}`, Event{Kind: Nothing}},
		"a push":                      {"push", nil, `{"repository":{"default_branch":"main"}}`, Event{Kind: Branch, Branch: "main", SHA: sha}},
		"a schedule":                  {"schedule", nil, `{}`, Event{Kind: Branch, Branch: "main", SHA: sha, Timed: true}},
		"a button":                    {"workflow_dispatch", nil, `{}`, Event{Kind: Branch, Branch: "main", SHA: sha, Timed: true}},
		"a tag":                       {"push", map[string]string{"GITHUB_REF": "refs/tags/v1"}, `{}`, Event{Kind: Nothing}},
		"a deleted branch":            {"push", nil, `{"deleted":true}`, Event{Kind: Nothing}},
		"the ledger":                  {"push", map[string]string{"GITHUB_REF": "refs/heads/vishwa/ledger"}, `{}`, Event{Kind: Nothing}},
		"an event of somebody else's": {"release", nil, `{}`, Event{Kind: Nothing}},
	} {
		env := map[string]string{"GITHUB_EVENT_NAME": c.event}
		for k, v := range c.env {
			env[k] = v
		}
		got, err := Read(github(env), []byte(c.payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Why == "" || got.At.Repository != "acme/models" || got.At.URL != "https://github.com/acme/models.git" || got.At.Job != "https://github.com/acme/models/actions/runs/42" || !got.At.Hosted {
			t.Errorf("%s: %+v", name, got)
		}
		got.Why, got.At, got.Default = "", Place{}, ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWhatRunsWithTheBasesSecretsIsRefused(t *testing.T) {
	_, err := Read(github(map[string]string{"GITHUB_EVENT_NAME": "pull_request_target"}), []byte(pull(fork)))
	if fault.Of(err) != fault.Refused || !strings.Contains(fault.HintOf(err), "pull_request") {
		t.Error(err, fault.HintOf(err))
	}
}

func TestMalformedEventsAreInvalid(t *testing.T) {
	for name, c := range map[string]struct {
		env     map[string]string
		payload string
	}{
		"no JSON":          {nil, `{`},
		"a list":           {nil, `[]`},
		"too large":        {nil, `{"a":"` + strings.Repeat("x", largest) + `"}`},
		"no number":        {map[string]string{"GITHUB_EVENT_NAME": "pull_request"}, `{}`},
		"a negative one":   {map[string]string{"GITHUB_EVENT_NAME": "pull_request"}, strings.Replace(pull(local), "7", "-7", 1)},
		"a branch's name":  {map[string]string{"GITHUB_EVENT_NAME": "pull_request"}, strings.Replace(pull(local), `"ref":"main"`, `"ref":"--upload-pack=x"`, 1)},
		"a commit":         {nil, `{}`},
		"a ref":            {map[string]string{"GITHUB_REF": "refs/heads/a\nb"}, `{}`},
		"a repository":     {map[string]string{"GITHUB_REPOSITORY": "../x"}, `{}`},
		"a server":         {map[string]string{"GITHUB_SERVER_URL": "https://user:token@github.com"}, `{}`},
		"a queue's branch": {map[string]string{"GITHUB_EVENT_NAME": "merge_group"}, `{"action":"checks_requested","merge_group":{"head_ref":"refs/heads/x","head_sha":"` + sha + `"}}`},
	} {
		if name == "a commit" {
			c.env = map[string]string{"GITHUB_SHA": "HEAD"}
		}
		if _, err := Read(github(c.env), []byte(c.payload)); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(lookup(nil), nil); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("outside of a job: %v", err)
	}
}

// TestAPayloadThatLacksAFieldSaysWhich: and of which event, with the way out, and
// nothing of what the payload holds.
func TestAPayloadThatLacksAFieldSaysWhich(t *testing.T) {
	group := `{"action":"checks_requested","merge_group":{"head_ref":"refs/heads/gh-readonly-queue/main/pr-12-` + sha + `","head_sha":"` + sha + `","base_ref":"refs/heads/main"}}`
	remark := `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"/vishwa plan"}}`
	for name, c := range map[string]struct{ event, payload, field string }{
		"no pull request":   {"pull_request", `{"action":"opened"}`, "pull_request"},
		"no number":         {"pull_request", strings.Replace(pull(local), `"number":7,`, "", 1), "pull_request.number"},
		"a number in words": {"pull_request", strings.Replace(pull(local), `"number":7`, `"number":"hunter2"`, 1), "pull_request.number"},
		"no commit":         {"pull_request_review", strings.Replace(pull(local), `"sha":"`+sha+`",`, "", 1), "pull_request.head.sha"},
		"no base":           {"pull_request", strings.Replace(pull(local), `"ref":"main"`, "", 1), "pull_request.base.ref"},
		"no action":         {"issue_comment", strings.Replace(remark, `"action":"created",`, "", 1), "action"},
		"no body":           {"issue_comment", strings.Replace(remark, `"body":"/vishwa plan"`, "", 1), "comment.body"},
		"no issue's number": {"issue_comment", strings.Replace(remark, `"number":7,`, "", 1), "issue.number"},
		"no group's action": {"merge_group", strings.Replace(group, `"action":"checks_requested",`, "", 1), "action"},
		"no group's branch": {"merge_group", strings.Replace(group, "head_ref", "other", 1), "merge_group.head_ref"},
		"no group's commit": {"merge_group", strings.Replace(group, "head_sha", "other", 1), "merge_group.head_sha"},
		"no group's base":   {"merge_group", strings.Replace(group, "base_ref", "other", 1), "merge_group.base_ref"},
	} {
		_, err := Read(github(map[string]string{"GITHUB_EVENT_NAME": c.event}), []byte(c.payload))
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "the event "+c.event+" has no "+c.field+",") || !strings.Contains(fault.HintOf(err), c.event) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v; %s", name, err, fault.HintOf(err))
		}
	}
	if _, err := Read(github(map[string]string{"GITHUB_EVENT_NAME": "push"}), nil); err == nil || !strings.Contains(err.Error(), "the event push") {
		t.Errorf("no payload: %v", err)
	}
}

func TestJenkinsSaysTheSame(t *testing.T) {
	env := map[string]string{"BUILD_URL": "https://ci.example.com/job/models/3/", "GIT_URL": "https://github.com/acme/models.git", "GIT_COMMIT": sha, "BRANCH_NAME": "main"}
	got, err := Read(lookup(env), nil)
	if err != nil || got.Kind != Branch || got.Branch != "main" || got.SHA != sha || got.At.Server != Jenkins || got.At.Hosted || got.Foreign {
		t.Errorf("%+v %v", got, err)
	}
	env["BRANCH_NAME"], env["CHANGE_ID"], env["CHANGE_TARGET"] = "PR-7", "7", "main"
	if got, err = Read(lookup(env), nil); err != nil || got.Kind != Pull || got.Pull != 7 || got.Branch != "main" || got.Foreign {
		t.Errorf("%+v %v", got, err)
	}
	env["CHANGE_FORK"] = "eve"
	if got, err = Read(lookup(env), nil); err != nil || !got.Foreign {
		t.Errorf("%+v %v", got, err)
	}
	for name, value := range map[string]string{"CHANGE_ID": "x", "CHANGE_TARGET": "a b", "GIT_URL": "--upload-pack=x", "VISHWA_GITHUB_API": "file:///etc"} {
		broken := map[string]string{}
		for k, v := range env {
			broken[k] = v
		}
		broken[name] = value
		if _, err := Read(lookup(broken), nil); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("pull_request", "refs/heads/main", []byte(pull(local)))
	f.Add("issue_comment", "refs/heads/main", []byte(`{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"body":"/vishwa plan"}}`))
	f.Add("merge_group", "", []byte(`{"action":"checks_requested","merge_group":{"head_ref":"refs/heads/gh-readonly-queue/main/pr-12-`+sha+`","head_sha":"`+sha+`","base_ref":"refs/heads/main"}}`))
	f.Add("push", "refs/heads/x", []byte(`{"deleted":1}`))
	f.Fuzz(func(t *testing.T, name, ref string, payload []byte) {
		e, err := Read(github(map[string]string{"GITHUB_EVENT_NAME": name, "GITHUB_REF": ref}), payload)
		if err != nil {
			if fault.HintOf(err) == "" || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%q has no way out", err)
			}
			return
		}
		switch {
		case e.Kind == Pull && e.Pull <= 0, e.Kind == Branch && e.Branch == "", e.Kind == "":
			t.Errorf("%+v", e)
		case strings.HasPrefix(e.Branch, "-") || strings.ContainsAny(e.Branch+e.SHA+e.Why+e.Default, "\n\r\x00\x1b`"):
			t.Errorf("%+v lets something through", e)
		}
	})
}
