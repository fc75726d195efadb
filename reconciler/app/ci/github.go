// GitHub's events: what is read of their payloads, which anybody may have written.

package ci

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

var (
	queued = lazyregexp.New(`^refs/heads/gh-readonly-queue/(.+)/pr-([1-9][0-9]{0,8})-[0-9a-f]{40,64}$`)
	// fieldName is a path as the types here name it.
	fieldName = lazyregexp.New(`^[a-z_]+(\.[a-z_]+)*$`)
)

// lacking is the error of an event whose payload does not hold a field as GitHub
// documents it. The payload itself is not repeated: anybody may have written it.
func lacking(event, field string) error {
	return fault.WithHint(fault.New(fault.Invalid, "the payload of the event %s has no %s, or not one that GitHub documents", event, field),
		"see that GITHUB_EVENT_PATH names the payload as GitHub wrote it, and GITHUB_EVENT_NAME its event; https://docs.github.com/en/webhooks/webhook-events-and-payloads#%s lists its fields", event)
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
		Body *string `json:"body"`
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
		return Event{}, fault.WithHint(fault.New(fault.Refused, "pull_request_target runs with the tracked branch's secrets for anybody's pull request"),
			"use on: pull_request, as vishwa init --github writes it; what comes from a fork is planned there, and run when a maintainer says /vishwa train")
	}
	var p payload
	if err := decode(name, event, &p); err != nil {
		return Event{}, err
	}
	ev, err := e.readEvent(name, p, at.Repository)
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

// decode reads the payload of an event.
func decode(name string, event []byte, p *payload) error {
	if len(event) > largest {
		return malformed("the payload of the event " + word(name) + ", which is larger than 25 MiB,")
	}
	err := json.Unmarshal(event, p)
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &other) && fieldName.MatchString(other.Field):
		return lacking(word(name), other.Field)
	case err != nil:
		return malformed("the payload of the event " + word(name) + ", which is not JSON object,")
	}
	return nil
}

// readEvent tells what an event asks for. It goes by kind, number and branch: the
// rest is looked up when it is needed, as an event may be old when it is read.
func (e environment) readEvent(name string, p payload, repository string) (Event, error) {
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
	switch {
	case p.Pull == nil:
		return Event{}, lacking(name, "pull_request")
	case p.Pull.Number <= 0:
		return Event{}, lacking(name, "pull_request.number")
	case !commitID.MatchString(p.Pull.Head.SHA):
		return Event{}, lacking(name, "pull_request.head.sha")
	case !branchID.MatchString(p.Pull.Base.Ref):
		return Event{}, lacking(name, "pull_request.base.ref")
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
	case p.Action == "":
		return Event{}, lacking("issue_comment", "action")
	case p.Action != "created":
		nothing.Why = "a comment that was " + word(p.Action) + " gives no command"
	case p.Issue.Pull == nil:
		nothing.Why = "the comment is on an issue, not a pull request"
	case p.Comment.User.Type == "Bot":
		nothing.Why = "a bot gives no commands"
	case p.Comment.Body == nil:
		return Event{}, lacking("issue_comment", "comment.body")
	case strings.HasPrefix(*p.Comment.Body, "<!-- vishwa:"): // by a person's token; command.Marker begins it
		nothing.Why = "the comment is Vishwa's own"
	case !strings.Contains(*p.Comment.Body, "/vishwa"):
		nothing.Why = "the comment gives no command"
	case p.Issue.Number <= 0:
		return Event{}, lacking("issue_comment", "issue.number")
	default:
		return Event{Kind: Pull, Pull: p.Issue.Number, Why: "issue_comment created"}, nil
	}
	return nothing, nil
}

// grouped finds the pull request at the end of a merge queue's group in the name of
// its branch (https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue).
func grouped(p payload) (Event, error) {
	if p.Action == "" {
		return Event{}, lacking("merge_group", "action")
	}
	if p.Action != "checks_requested" {
		return Event{Kind: Nothing, Why: "a merge group that was " + word(p.Action) + " asks for nothing"}, nil
	}
	m := queued.FindStringSubmatch(p.Group.Ref)
	switch {
	case m == nil || !branchID.MatchString(m[1]):
		return Event{}, lacking("merge_group", "merge_group.head_ref")
	case !commitID.MatchString(p.Group.SHA):
		return Event{}, lacking("merge_group", "merge_group.head_sha")
	case p.Group.Base != "refs/heads/"+m[1]:
		return Event{}, lacking("merge_group", "merge_group.base_ref")
	}
	n, err := strconv.Atoi(m[2])
	if err != nil {
		return Event{}, lacking("merge_group", "merge_group.head_ref")
	}
	return Event{Kind: Pull, Pull: n, Branch: m[1], SHA: p.Group.SHA, Why: "merge_group checks_requested"}, nil
}
