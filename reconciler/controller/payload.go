// What a webhook's payload says about where to look. Only names and numbers are
// read; every part may be missing
// (https://docs.github.com/en/webhooks/webhook-events-and-payloads).

package controller

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// other stands for every event that is of no interest.
const other = "other"

var events = []string{"ping", "push", "pull_request", "pull_request_review", "issue_comment", "check_run", "check_suite", "merge_group"}

func known(event string) string {
	if slices.Contains(events, event) {
		return event
	}
	return other
}

type payloadRepository struct {
	FullName string `json:"full_name"`
	CloneURL string `json:"clone_url"`
}

type numbered struct {
	Number int `json:"number"`
}

type suite struct {
	HeadBranch   string     `json:"head_branch"`
	PullRequests []numbered `json:"pull_requests"`
}

type payload struct {
	Action     string            `json:"action"`
	Ref        string            `json:"ref"`
	Repository payloadRepository `json:"repository"`
	Sender     struct {
		Login string `json:"login"`
	} `json:"sender"`
	PullRequest numbered `json:"pull_request"`
	Issue       struct {
		numbered
		PullRequest *struct{} `json:"pull_request"`
	} `json:"issue"`
	CheckRun struct {
		PullRequests []numbered `json:"pull_requests"`
		CheckSuite   suite      `json:"check_suite"`
	} `json:"check_run"`
	CheckSuite suite `json:"check_suite"`
	MergeGroup struct {
		BaseRef string `json:"base_ref"`
		HeadRef string `json:"head_ref"`
	} `json:"merge_group"`
}

// call is what a webhook wakes, of which repository.
type call struct {
	payloadRepository
	asks  []item
	look  bool // a look at the refs shows what it is about
	sweep bool // the pull requests that it is about are not named
	// echo is who did it, where it is something that Vishwa does itself: it wakes nothing
	// where that is Vishwa's own account.
	echo string
}

func (c call) empty() bool { return len(c.asks) == 0 && !c.look && !c.sweep }

func (c call) String() string {
	var parts []string
	for _, i := range c.asks {
		parts = append(parts, i.String())
	}
	if c.look {
		parts = append(parts, "refs")
	}
	if c.sweep {
		parts = append(parts, "pull requests")
	}
	return strings.Join(parts, ", ")
}

const maxPulls = 100 // of one check suite

func (c *call) pull(n int) {
	if i := (item{pull: n}); n > 0 && !slices.Contains(c.asks, i) && len(c.asks) < maxPulls {
		c.asks = append(c.asks, i)
	}
}

// branch is looked at where it is one; whether it is tracked, a look tells.
func (c *call) branch(name string) {
	if config.IsBranch(name) && len(name) < 256 {
		c.asks = append(c.asks, item{branch: name})
	}
}

func quoted(s string) string { return config.Quoted(s) }

// queued finds the pull request in the name of a merge queue's branch.
var queued = lazyregexp.New(`/pr-([1-9][0-9]{0,8})-[0-9a-f]+$`)

// decoration is what of a pull request changes nothing here.
var decoration = []string{"assigned", "unassigned", "labeled", "unlabeled", "milestoned", "demilestoned", "locked", "unlocked", "review_requested", "review_request_removed"}

func readPayload(event string, body []byte) (call, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return call{}, fault.WithHint(fault.New(fault.Invalid, "read the payload: it is not JSON of the event's form"), "set the webhook's content type to application/json, and let the forge send to this address")
	}
	c := call{payloadRepository: p.Repository}
	switch event {
	case "ping":
		return c, nil
	case "push":
		c.look = strings.HasPrefix(p.Ref, "refs/heads/")
	case "pull_request":
		if !slices.Contains(decoration, p.Action) {
			c.pull(p.PullRequest.Number)
		}
	case "pull_request_review":
		c.pull(p.PullRequest.Number)
	case "issue_comment":
		if p.Issue.PullRequest != nil && p.Action != "deleted" {
			c.pull(p.Issue.Number)
			c.echo = p.Sender.Login
		}
	case "check_run", "check_suite":
		c.checks(event, p)
		c.echo = p.Sender.Login
	case "merge_group":
		c.branch(strings.TrimPrefix(p.MergeGroup.BaseRef, "refs/heads/"))
		if m := queued.FindStringSubmatch(p.MergeGroup.HeadRef); m != nil {
			n, _ := strconv.Atoi(m[1])
			c.pull(n)
		}
	}
	if !c.empty() && c.FullName == "" && c.CloneURL == "" {
		return call{}, fault.WithHint(fault.New(fault.Invalid, "read the payload: it names no repository"), "set the webhook up in the repository or the organization itself: docs/github.md")
	}
	return c, nil
}

// checks are asked for again by people. Those of a fork's pull request do not name it.
func (c *call) checks(event string, p payload) {
	if p.Action != "rerequested" {
		return
	}
	s, pulls := p.CheckSuite, p.CheckSuite.PullRequests
	if event == "check_run" {
		s = p.CheckRun.CheckSuite
		pulls = slices.Concat(p.CheckRun.PullRequests, s.PullRequests)
	}
	for _, n := range pulls {
		c.pull(n.Number)
	}
	c.sweep = len(c.asks) == 0
	c.branch(s.HeadBranch)
}
