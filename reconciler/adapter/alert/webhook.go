// Webhooks: Slack's form, which Mattermost and others take as well, and a general one.

package alert

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

type webhook struct{ sender }

// Webhook posts a general document. Who gets the same incident and state again may drop it: they
// stand in Idempotency-Key, too.
func Webhook(at Address) port.Receiver { return webhook{newSender(at)} }

// Document is what a general webhook gets.
type Document struct {
	Schema      string     `json:"schema"`
	State       string     `json:"state"` // began or over
	Incident    string     `json:"incident"`
	Repository  string     `json:"repository"`
	Monitor     string     `json:"monitor,omitempty"`
	Deployment  string     `json:"deployment,omitempty"`
	Model       string     `json:"model,omitempty"`
	Finding     string     `json:"finding"` // drifted or fault
	Summary     string     `json:"summary"`
	Columns     []string   `json:"columns,omitempty"`
	Stack       string     `json:"infrastructure,omitempty"`
	Resources   []string   `json:"resources,omitempty"`
	Entry       int64      `json:"entry"`
	PullRequest int        `json:"pullRequest,omitempty"`
	Since       time.Time  `json:"since"`
	Over        *time.Time `json:"over,omitempty"`
}

// Schema names the form of Document.
const Schema = "vishwa.dev/alert/v1"

func (w webhook) Tell(ctx context.Context, a port.Alert) error {
	d := Document{Schema: Schema, State: state(a), Incident: a.ID, Repository: a.Repository, Monitor: a.Monitor, Deployment: a.Deployment, Model: a.Model,
		Finding: a.Finding, Summary: a.Summary, Columns: a.Columns, Stack: a.Stack, Resources: a.Resources, Entry: a.Entry, PullRequest: a.Pull, Since: a.Since}
	if !a.Over.IsZero() {
		d.Over = &a.Over
	}
	return w.post(ctx, "", d, map[string]string{"Idempotency-Key": a.ID + "-" + state(a)})
}

type slack struct{ sender }

// Slack posts {"text": ...} to an incoming webhook.
func Slack(at Address) port.Receiver { return slack{newSender(at)} }

// inSlack are the three characters that Slack reads as its own; @ calls people in others that take its form.
var inSlack = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "(at)")

func (s slack) Tell(ctx context.Context, a port.Alert) error {
	return s.post(ctx, "", map[string]string{"text": slackText(a)}, nil)
}

func slackText(a port.Alert) string {
	var b strings.Builder
	of, which := a.Monitor, ", deployment "+a.Deployment
	if a.Stack != "" {
		of, which = a.Stack, ", infrastructure"
	}
	if a.Over.IsZero() {
		what := map[bool]string{true: "found drift", false: "found a fault"}[a.Finding == "drifted"]
		if a.Stack != "" {
			what = "has drifted"
		}
		fmt.Fprintf(&b, ":rotating_light: *%s* %s", of, what)
	} else {
		fmt.Fprintf(&b, ":white_check_mark: *%s*: over after %s", of, a.Over.Sub(a.Since).Round(time.Minute))
	}
	fmt.Fprintf(&b, " (%s%s)\n%s", a.Repository, which, a.Summary)
	if names := slices.Concat(a.Columns, a.Resources); len(names) > 0 && a.Over.IsZero() {
		fmt.Fprintf(&b, ": %s", strings.Join(names, ", "))
	}
	if a.Pull > 0 && a.Over.IsZero() {
		fmt.Fprintf(&b, "\nPull request %d proposes to train again.", a.Pull)
	}
	fmt.Fprintf(&b, "\nEntry %d of the ledger, incident %s.", a.Entry, a.ID)
	return inSlack.Replace(b.String())
}
