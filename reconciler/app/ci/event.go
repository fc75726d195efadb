// Package ci reads what a continuous-integration server says of a job, and writes
// what the server reads back. It is pure: what the job then does goes by how the
// repository and the forge stand, never by what an event said.
package ci

import (
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
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
	ownerName = lazyregexp.New(`^[A-Za-z0-9][-A-Za-z0-9]{0,99}/[-A-Za-z0-9._]{1,100}$`)
	commitID  = lazyregexp.New(`^[0-9a-f]{40}(?:[0-9a-f]{24})?$`)
	branchID  = lazyregexp.New(`^[A-Za-z0-9_][-A-Za-z0-9_./+#@]{0,243}$`)
	webPage   = lazyregexp.New(`^https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[-A-Za-z0-9._~/%]*)?$`)
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
	return Event{}, fault.WithHint(fault.New(fault.Invalid, "this is not a job of GitHub Actions or Jenkins"),
		"elsewhere use vishwa plan and vishwa apply, or vishwa controller")
}

type environment func(string) (string, bool)

func (e environment) get(name string) string {
	v, _ := e(name)
	return v
}

// matching is the variable's value; one that looks like something else is Invalid.
func (e environment) matching(name string, want *lazyregexp.Regexp) (string, error) {
	v := e.get(name)
	if !want.MatchString(v) {
		return "", malformed(name)
	}
	return v, nil
}

func malformed(what string) error {
	return fault.WithHint(fault.New(fault.Invalid, "%s is missing or not what the server documents", what),
		"run vishwa ci in a job of GitHub Actions or Jenkins, as vishwa init --github or --jenkins sets it up")
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

func (e environment) branch(name string, p payload) (Event, error) {
	branch, ok := strings.CutPrefix(e.get("GITHUB_REF"), "refs/heads/")
	switch {
	case !ok:
		return Event{Kind: Nothing, Why: name + " of what is not a branch"}, nil
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
