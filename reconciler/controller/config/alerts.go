// Who is told of what monitors find. Addresses stand in the controller's file and nowhere else: a
// declaration, which a pull request may change, has the controller call none.

package config

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// Alert is one receiver; one of slack, webhook, alertmanager and issue is set.
type Alert struct {
	// Name tells the receiver from the others, in the ledger too: one that is renamed is notified anew of what goes on. The default is the kind of the receiver.
	Name string `yaml:"name"`
	// Repositories lists those whose incidents it is notified of, by their names. The default is all.
	Repositories []string `yaml:"repositories"`
	// Slack posts to an incoming webhook of Slack, or of what takes the same form, such as Mattermost.
	Slack *AlertSlack `yaml:"slack"`
	// Webhook posts a general JSON document.
	Webhook *AlertWebhook `yaml:"webhook"`
	// Alertmanager posts to a Prometheus Alertmanager, by its API v2.
	Alertmanager *AlertWebhook `yaml:"alertmanager"`
	// Issue opens an issue an incident on GitHub, and closes it when it is over. The repository has github.
	Issue *AlertIssue `yaml:"issue"`
}

// AlertSlack is an incoming webhook.
type AlertSlack struct {
	// URL is its address, which is a secret by itself.
	URL Secret `yaml:"url"`
}

// AlertWebhook is an address that alerts are posted to.
type AlertWebhook struct {
	// URL is its address, without user and password.
	URL string `yaml:"url"`
	// Token is sent as a bearer token.
	Token *Secret `yaml:"token"`
}

// AlertIssue says how issues are opened.
type AlertIssue struct {
	// Labels are put on them.
	Labels []string `yaml:"labels"`
}

// Kind is slack, webhook, alertmanager or issue.
func (a Alert) Kind() string {
	switch {
	case a.Slack != nil:
		return "slack"
	case a.Alertmanager != nil:
		return "alertmanager"
	case a.Issue != nil:
		return "issue"
	}
	return "webhook"
}

// Title is the receiver's name.
func (a Alert) Title() string {
	if a.Name != "" {
		return a.Name
	}
	return a.Kind()
}

// Tells tells whether the receiver is told of the incidents of a repository.
func (a Alert) Tells(r Repository) bool {
	return (len(a.Repositories) == 0 || slices.Contains(a.Repositories, r.Title())) && (a.Issue == nil || r.GitHub != nil)
}

// alerts checks the receivers.
func (d *decoder) alerts(c *Spec) {
	named := map[string]bool{}
	known := map[string]*Repository{}
	for i := range c.Repositories {
		known[c.Repositories[i].Title()] = &c.Repositories[i]
	}
	for i, a := range c.Alerts {
		path := join("spec.alerts", strconv.Itoa(i))
		given := 0
		for _, is := range []bool{a.Slack != nil, a.Webhook != nil, a.Alertmanager != nil, a.Issue != nil} {
			if is {
				given++
			}
		}
		if given != 1 {
			d.problem(path, "give one of slack, webhook, alertmanager and issue")
			continue
		}
		d.name(path+".name", a.Name)
		if named[a.Title()] {
			d.problem(path, "another receiver is called %s; give this one a name of its own", Quoted(a.Title()))
		}
		named[a.Title()] = true
		for n, name := range a.Repositories {
			at := join(path+".repositories", strconv.Itoa(n))
			switch r := known[name]; {
			case r == nil:
				d.problem(at, "%s is not listed in repositories; give its name as it is there", Quoted(name))
			case a.Issue != nil && r.GitHub == nil:
				d.problem(at, "%s has no github, and issues are opened there; give its github, or remove it", Quoted(name))
			}
		}
		if a.Slack != nil {
			d.secret(path+".slack.url", &a.Slack.URL)
		}
		d.post(path+".webhook", a.Webhook)
		d.post(path+".alertmanager", a.Alertmanager)
	}
}

// post checks an address; no part of a wrong one is repeated, for it may hold a password.
func (d *decoder) post(path string, w *AlertWebhook) {
	if w == nil {
		return
	}
	d.secret(path+".token", w.Token)
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		d.problem(path+".url", "is not an address; write https://HOST/PATH")
	case u.User != nil:
		d.problem(path+".url", "holds a user or a password; take it out, and give token")
	case w.Token != nil && u.Scheme == "http" && !dial.Loopback(u.Hostname()):
		d.problem(path+".url", "would send a token in the clear; write https")
	}
}

// Secrets are those of the receiver.
func (a *Alert) Secrets() (all []*Secret) {
	if a.Slack != nil {
		all = append(all, &a.Slack.URL)
	}
	for _, w := range []*AlertWebhook{a.Webhook, a.Alertmanager} {
		if w != nil && w.Token != nil {
			all = append(all, w.Token)
		}
	}
	return all
}
