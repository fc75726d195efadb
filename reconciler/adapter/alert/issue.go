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
	_, err := i.forge.ReportIssue(ctx, port.Issue{Marker: marker, Title: title, Body: marker + "\n" + issueText(a), Labels: i.labels, Since: a.Since, Over: !a.Over.IsZero()})
	return err
}

func issueText(a port.Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`monitor/%s` watches `deployment/%s`: %s.\n\n", a.Monitor, a.Deployment, a.Summary)
	fmt.Fprintf(&b, "| | |\n|---|---|\n| since | %s |\n", a.Since.UTC().Format(time.RFC3339))
	if !a.Over.IsZero() {
		fmt.Fprintf(&b, "| over | %s |\n", a.Over.UTC().Format(time.RFC3339))
	}
	if a.Model != "" {
		fmt.Fprintf(&b, "| model | `%s` |\n", a.Model)
	}
	if len(a.Columns) > 0 {
		fmt.Fprintf(&b, "| columns | `%s` |\n", strings.Join(a.Columns, "`, `"))
	}
	if a.Pull > 0 {
		fmt.Fprintf(&b, "| proposal | #%d |\n", a.Pull)
	}
	fmt.Fprintf(&b, "| ledger | entry %d |\n\n", a.Entry)
	if a.Over.IsZero() {
		fmt.Fprintf(&b, "`vishwa monitor show monitor/%s` shows all that was found. This issue is closed when a window is well again.\n", a.Monitor)
	} else {
		b.WriteString("A window was well again, or nothing is measured any more.\n")
	}
	return b.String()
}
