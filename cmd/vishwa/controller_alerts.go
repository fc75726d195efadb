// Who the controller tells of what monitors find, as its file has it.

package main

import (
	"github.com/vishwaops/vishwa/reconciler/adapter/alert"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// receivers are those that are told of the incidents of r. Secrets are read when they are needed: a
// new one is taken without a start.
func (o opener) receivers(r config.Repository, issues port.Issues) (out []app.Receiver) {
	secret := func(s config.Secret) func() (string, error) {
		return func() (string, error) {
			raw, err := s.Read(o.cli.lookup)
			return string(raw), err
		}
	}
	asks := port.Env{Offline: o.cli.offline}
	address := func(w *config.AlertWebhook) alert.Address {
		at := alert.Address{URL: func() (string, error) { return w.URL, nil }, Env: asks}
		if w.Token != nil {
			at.Token = secret(*w.Token)
		}
		return at
	}
	for _, a := range o.config.Alerts {
		if !a.Tells(r) {
			continue
		}
		one := app.Receiver{Name: a.Title(), Sent: func(err error) { o.metrics.Alert(a.Kind(), sentAs(err)) }}
		switch {
		case a.Slack != nil:
			one.Receiver = alert.Slack(alert.Address{URL: secret(a.Slack.URL), Env: asks})
		case a.Webhook != nil:
			one.Receiver = alert.Webhook(address(a.Webhook))
		case a.Alertmanager != nil:
			one.Receiver = alert.Alertmanager(address(a.Alertmanager), o.cli.now)
		case a.Issue != nil:
			one.Receiver = alert.Issue(issues, a.Issue.Labels)
		}
		out = append(out, one)
	}
	return out
}

func sentAs(err error) string {
	if err == nil {
		return "sent"
	}
	return fault.Of(err).String()
}
