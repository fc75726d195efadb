// Alertmanager, by its API v2: an alert is told anew each time that the monitor measures, and is
// over when its end has passed.

package alert

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// lasts is how long Alertmanager takes an alert for active that it hears nothing of any more. A
// monitor may measure once a month; its end is told when it is known.
const lasts = 45 * 24 * time.Hour

type alertmanager struct {
	sender
	now func() time.Time
}

// Alertmanager posts to the server at an address, such as http://alertmanager:9093.
func Alertmanager(at Address, now func() time.Time) port.Receiver {
	return alertmanager{newSender(at), now}
}

// posted is an alert as Alertmanager reads it.
type posted struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// Tell posts it. The labels name the alert: they are those of the incident, and hold nothing that
// changes while it goes on.
func (m alertmanager) Tell(ctx context.Context, a port.Alert) error {
	p := posted{
		Labels: map[string]string{
			"alertname": "VishwaMonitor", "repository": a.Repository, "finding": a.Finding, "incident": a.ID, "severity": "warning",
		},
		Annotations: map[string]string{"summary": a.Summary, "entry": strconv.FormatInt(a.Entry, 10)},
		StartsAt:    a.Since, EndsAt: m.now().Add(lasts),
	}
	if a.Stack != "" {
		p.Labels["alertname"], p.Labels["infrastructure"] = "VishwaInfrastructure", a.Stack
	} else {
		p.Labels["monitor"], p.Labels["deployment"] = a.Monitor, a.Deployment
	}
	if a.Model != "" {
		p.Labels["model"] = a.Model
	}
	if len(a.Columns) > 0 {
		p.Annotations["columns"] = strings.Join(a.Columns, ", ")
	}
	if len(a.Resources) > 0 {
		p.Annotations["resources"] = strings.Join(a.Resources, ", ")
	}
	if a.Pull > 0 {
		p.Annotations["pull_request"] = strconv.Itoa(a.Pull)
	}
	if !a.Over.IsZero() {
		p.EndsAt = a.Over
	}
	return m.post(ctx, "api/v2/alerts", []posted{p}, nil)
}

// Renews says that what goes on is told again each time that it is measured: Alertmanager forgets
// alerts when it starts anew.
func (alertmanager) Renews() {}
