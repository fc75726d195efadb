// An issue of the forge: open as long as the incident goes on.

package alert

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

type issue struct {
	forge  port.Issues
	labels []string
}

// Issue opens one issue an incident, and closes it when it is over.
func Issue(forge port.Issues, labels []string) port.Receiver { return issue{forge, labels} }

func (i issue) Tell(ctx context.Context, a port.Alert) error {
	marker := fmt.Sprintf("<!-- vishwa:incident %s -->", a.ID)
	title := fmt.Sprintf("%s found drift of what %s is asked", a.Monitor, a.Deployment)
	if a.Finding != "drifted" {
		title = fmt.Sprintf("%s found a fault in what %s is asked", a.Monitor, a.Deployment)
	}
	if a.Stack != "" {
		title = fmt.Sprintf("infrastructure/%s has drifted", a.Stack)
	}
	_, err := i.forge.ReportIssue(ctx, port.Issue{Marker: marker, Title: title, Body: marker + "\n" + issueText(a), Labels: i.labels, Since: a.Since, Over: !a.Over.IsZero(), Again: !a.Again.IsZero()})
	return err
}

func issueText(a port.Alert) string {
	var b strings.Builder
	if a.Stack != "" {
		fmt.Fprintf(&b, "`infrastructure/%s`: %s.\n\n", a.Stack, a.Summary)
	} else {
		fmt.Fprintf(&b, "`monitor/%s` watches `deployment/%s`: %s.\n\n", a.Monitor, a.Deployment, a.Summary)
	}
	fmt.Fprintf(&b, "| | |\n|---|---|\n| since | %s |\n", a.Since.UTC().Format(time.RFC3339))
	if !a.Again.IsZero() {
		fmt.Fprintf(&b, "| again | %s |\n", a.Again.UTC().Format(time.RFC3339))
	}
	if !a.Over.IsZero() {
		fmt.Fprintf(&b, "| over | %s |\n", a.Over.UTC().Format(time.RFC3339))
	}
	if a.Model != "" {
		fmt.Fprintf(&b, "| model | `%s` |\n", a.Model)
	}
	if len(a.Columns) > 0 {
		fmt.Fprintf(&b, "| columns | `%s` |\n", strings.Join(a.Columns, "`, `"))
	}
	if len(a.Resources) > 0 {
		fmt.Fprintf(&b, "| resources | `%s` |\n", strings.Join(a.Resources, "`, `"))
	}
	if a.Pull > 0 {
		fmt.Fprintf(&b, "| proposal | #%d |\n", a.Pull)
	}
	fmt.Fprintf(&b, "| ledger | entry %d |\n\n", a.Entry)
	switch {
	case a.Stack != "" && a.Over.IsZero() && !a.Again.IsZero():
		b.WriteString("It was over, and the stack has drifted again. `vishwa plan` shows what is left to do, and what holds it. This issue is closed when a look a day later finds the stack as declared.\n")
	case a.Stack != "" && a.Over.IsZero():
		b.WriteString("`vishwa plan` shows what is left to do, and what holds it. This issue is closed when a look finds the stack as declared.\n")
	case a.Stack != "":
		b.WriteString("A look found the stack as declared, or it is no longer declared.\n")
	case a.Over.IsZero():
		fmt.Fprintf(&b, "`vishwa monitor show monitor/%s` shows all that was found. This issue is closed when a window is well again.\n", a.Monitor)
	default:
		b.WriteString("A window was well again, or nothing is measured any more.\n")
	}
	return b.String()
}
