// Package ci reads what a continuous-integration server says of a job, and writes
// what the server reads back. It is pure: what the job then does goes by how the
// repository and the forge stand, never by what an event said.
package ci

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Kind says what a job is to look at.
type Kind string

const (
	Pull    Kind = "pull"    // a pull request
	Branch  Kind = "branch"  // a branch
	Nothing Kind = "nothing" // the event asks for nothing; Why says so
)

// Event is what a job was begun for: names and numbers alone.
type Event struct {
	Kind    Kind
	Pull    int    // of Pull
	Branch  string // of Branch; of Pull, the branch that it is for, where the event says it
	SHA     string // the commit that the job was begun for, where the event says it
	Default string // the repository's default branch, where the event says it
	// Foreign is set where the server gives the job neither secrets nor a token that
	// may write: for pull requests from forks, and for Dependabot's.
	Foreign bool
	// Timed is set where a schedule or a person may have begun the job: sources of data are looked at.
	Timed bool
	Why   string // for people, a sentence without a full stop
	At    Place
}

// Place is where the job runs, and for which repository.
type Place struct {
	Server     string // GitHub Actions or Jenkins
	Repository string // owner/name; empty where URL alone says it
	URL        string // to clone from, without credentials
	API        string // of the forge; empty: as URL has it
	Job        string // page of the job
	Hosted     bool   // the machine is thrown away when the job ends
}

// Names of servers.
const (
	Actions = "GitHub Actions"
	Jenkins = "Jenkins"
)

// largest is the size in bytes of the largest payload that GitHub sends.
const largest = 25 << 20

var (
	ownerName = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9]{0,99}/[-A-Za-z0-9._]{1,100}$`)
	commitID  = regexp.MustCompile(`^[0-9a-f]{40}(?:[0-9a-f]{24})?$`)
	branchID  = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_./+#@]{0,243}$`)
	webPage   = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[-A-Za-z0-9._~/%]*)?$`)
	queued    = regexp.MustCompile(`^refs/heads/gh-readonly-queue/(.+)/pr-([1-9][0-9]{0,8})-[0-9a-f]{40,64}$`)
)

// Read tells what the job is to look at, from the environment and, for GitHub, the
// bytes of the file at GITHUB_EVENT_PATH.
func Read(lookup func(string) (string, bool), event []byte) (Event, error) {
	env := environment(lookup)
	switch {
	case env.get("GITHUB_ACTIONS") == "true":
		return env.github(event)
	case env.get("JENKINS_URL") != "" || env.get("BUILD_URL") != "":
		return env.jenkins()
	}
	return Event{}, fault.Hint(fault.New(fault.Invalid, "this is no job of GitHub Actions or Jenkins"),
		"elsewhere use vishwa plan and vishwa apply, or vishwa controller")
}

type environment func(string) (string, bool)

func (e environment) get(name string) string {
	v, _ := e(name)
	return v
}

// matching is the variable's value; one that looks like something else is Invalid.
func (e environment) matching(name string, want *regexp.Regexp) (string, error) {
	v := e.get(name)
	if !want.MatchString(v) {
		return "", malformed(name)
	}
	return v, nil
}

func malformed(what string) error {
	return fault.Hint(fault.New(fault.Invalid, "%s is missing or not what the server documents", what),
		"run vishwa ci in a job of GitHub Actions or Jenkins, as vishwa init --github or --jenkins sets it up")
}

// payload is what is read of GitHub's events
// (https://docs.github.com/en/webhooks/webhook-events-and-payloads).
type payload struct {
	Action     string `json:"action"`
	Deleted    bool   `json:"deleted"`
	Repository struct {
		Default string `json:"default_branch"`
	} `json:"repository"`
	Pull *struct {
		Number int `json:"number"`
		Head   struct {
			SHA  string `json:"sha"`
			Repo *struct {
				Name string `json:"full_name"`
			} `json:"repo"`
		} `json:"head"`
		Base struct {
			Ref string `json:"ref"`
		} `json:"base"`
	} `json:"pull_request"`
	Issue struct {
		Number int              `json:"number"`
		Pull   *json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	Comment struct {
		Body string `json:"body"`
		User struct {
			Type string `json:"type"`
		} `json:"user"`
	} `json:"comment"`
	Group struct {
		Ref  string `json:"head_ref"`
		SHA  string `json:"head_sha"`
		Base string `json:"base_ref"`
	} `json:"merge_group"`
}

func (e environment) github(event []byte) (Event, error) {
	at, err := e.place()
	if err != nil {
		return Event{}, err
	}
	name := e.get("GITHUB_EVENT_NAME")
	if name == "pull_request_target" {
		return Event{}, fault.Hint(fault.New(fault.Refused, "pull_request_target runs with the tracked branch's secrets for anybody's pull request"),
			"use on: pull_request, as vishwa init --github writes it; what comes from a fork is planned there, and run when a maintainer says /vishwa train")
	}
	var p payload
	if len(event) > largest || json.Unmarshal(event, &p) != nil {
		return Event{}, malformed("the event's payload")
	}
	ev, err := e.read(name, p, at.Repository)
	if err != nil {
		return Event{}, err
	}
	ev.At = at
	if branchID.MatchString(p.Repository.Default) {
		ev.Default = p.Repository.Default
	}
	ev.Foreign = ev.Foreign || ev.Kind == Pull && e.get("GITHUB_ACTOR") == "dependabot[bot]" && name != "issue_comment"
	return ev, nil
}

// place is the repository of a job of GitHub Actions.
func (e environment) place() (p Place, err error) {
	if p.Repository, err = e.matching("GITHUB_REPOSITORY", ownerName); err != nil {
		return p, err
	}
	server, err := e.matching("GITHUB_SERVER_URL", webPage)
	if err != nil {
		return p, err
	}
	if p.API, err = e.matching("GITHUB_API_URL", webPage); err != nil {
		return p, err
	}
	p.Server = Actions
	p.URL = strings.TrimRight(server, "/") + "/" + p.Repository + ".git"
	if run := e.get("GITHUB_RUN_ID"); run != "" {
		if _, err := strconv.ParseUint(run, 10, 64); err != nil {
			return p, malformed("GITHUB_RUN_ID")
		}
		p.Job = strings.TrimRight(server, "/") + "/" + p.Repository + "/actions/runs/" + run
	}
	p.Hosted = e.get("RUNNER_ENVIRONMENT") != "self-hosted"
	return p, nil
}

// read tells what an event asks for. It goes by kind, number and branch: the
// rest is looked up when it is needed, as an event may be old when it is read.
func (e environment) read(name string, p payload, repository string) (Event, error) {
	switch name {
	case "pull_request", "pull_request_review":
		return reviewed(name, p, repository)
	case "issue_comment":
		return commented(p)
	case "merge_group":
		return grouped(p)
	case "push", "schedule", "workflow_dispatch":
		return e.branch(name, p)
	}
	return Event{Kind: Nothing, Why: "the event " + word(name) + " asks for nothing"}, nil
}

func reviewed(name string, p payload, repository string) (Event, error) {
	if p.Pull == nil || p.Pull.Number <= 0 || !commitID.MatchString(p.Pull.Head.SHA) || !branchID.MatchString(p.Pull.Base.Ref) {
		return Event{}, malformed("the payload of " + name)
	}
	head := p.Pull.Head.Repo // none where the fork was deleted
	return Event{
		Kind: Pull, Pull: p.Pull.Number, Branch: p.Pull.Base.Ref, SHA: p.Pull.Head.SHA,
		Foreign: head == nil || !strings.EqualFold(head.Name, repository), Why: name + " " + word(p.Action),
	}, nil
}

func commented(p payload) (Event, error) {
	nothing := Event{Kind: Nothing}
	switch {
	case p.Action != "created":
		nothing.Why = "a comment that was " + word(p.Action) + " gives no command"
	case p.Issue.Pull == nil:
		nothing.Why = "the comment stands below an issue, not a pull request"
	case p.Comment.User.Type == "Bot":
		nothing.Why = "a bot gives no commands"
	case !strings.Contains(p.Comment.Body, "/vishwa"):
		nothing.Why = "the comment gives no command"
	case p.Issue.Number <= 0:
		return Event{}, malformed("the payload of issue_comment")
	default:
		return Event{Kind: Pull, Pull: p.Issue.Number, Why: "issue_comment created"}, nil
	}
	return nothing, nil
}

// grouped finds the pull request at the end of a merge queue's group in the name of
// its branch (https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue).
func grouped(p payload) (Event, error) {
	if p.Action != "checks_requested" {
		return Event{Kind: Nothing, Why: "a merge group that was " + word(p.Action) + " asks for nothing"}, nil
	}
	m := queued.FindStringSubmatch(p.Group.Ref)
	if m == nil || !branchID.MatchString(m[1]) || !commitID.MatchString(p.Group.SHA) || p.Group.Base != "refs/heads/"+m[1] {
		return Event{}, malformed("the payload of merge_group")
	}
	n, err := strconv.Atoi(m[2])
	if err != nil {
		return Event{}, malformed("the payload of merge_group")
	}
	return Event{Kind: Pull, Pull: n, Branch: m[1], SHA: p.Group.SHA, Why: "merge_group checks_requested"}, nil
}

func (e environment) branch(name string, p payload) (Event, error) {
	branch, ok := strings.CutPrefix(e.get("GITHUB_REF"), "refs/heads/")
	switch {
	case !ok:
		return Event{Kind: Nothing, Why: name + " of what is no branch"}, nil
	case p.Deleted:
		return Event{Kind: Nothing, Why: "the branch was deleted"}, nil
	case strings.HasPrefix(branch, "vishwa/") || strings.HasPrefix(branch, "gh-readonly-queue/"):
		return Event{Kind: Nothing, Why: "the branch is not for people"}, nil
	case !branchID.MatchString(branch):
		return Event{}, malformed("GITHUB_REF")
	}
	sha, err := e.matching("GITHUB_SHA", commitID)
	return Event{Kind: Branch, Branch: branch, SHA: sha, Why: name, Timed: name != "push"}, err
}

// jenkins reads what a multibranch pipeline sets
// (https://www.jenkins.io/doc/book/pipeline/multibranch/#additional-environment-variables).
func (e environment) jenkins() (Event, error) {
	ev := Event{At: Place{Server: Jenkins}}
	url := strings.TrimSpace(e.get("GIT_URL"))
	if url == "" || len(url) > 2048 || strings.ContainsFunc(url, func(r rune) bool { return r <= ' ' || r == 0x7f }) || url[0] == '-' {
		return ev, malformed("GIT_URL")
	}
	ev.At.URL = url
	if api := e.get("VISHWA_GITHUB_API"); api != "" {
		if !webPage.MatchString(api) {
			return ev, malformed("VISHWA_GITHUB_API")
		}
		ev.At.API = api
	}
	if page := e.get("BUILD_URL"); webPage.MatchString(page) {
		ev.At.Job = page
	}
	if sha := e.get("GIT_COMMIT"); commitID.MatchString(sha) {
		ev.SHA = sha
	}
	branch, change := e.get("BRANCH_NAME"), e.get("CHANGE_ID")
	if change != "" {
		branch = e.get("CHANGE_TARGET")
		n, err := strconv.Atoi(change)
		if err != nil || n <= 0 {
			return ev, malformed("CHANGE_ID")
		}
		ev.Kind, ev.Pull, ev.Why = Pull, n, "change "+change
		ev.Foreign = e.get("CHANGE_FORK") != ""
	} else {
		ev.Kind, ev.Why, ev.Timed = Branch, "build of a branch", true // Jenkins does not say what began it
	}
	if !branchID.MatchString(branch) {
		return ev, malformed("BRANCH_NAME or CHANGE_TARGET")
	}
	ev.Branch = branch
	return ev, nil
}

// word is a short name of GitHub's that may be repeated in a sentence.
func word(s string) string {
	if len(s) > 40 || s == "" || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return "that is unknown"
	}
	return s
}
