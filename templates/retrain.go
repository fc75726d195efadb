// A retraining that is proposed, as it is told in the message of its commit and in the first
// words of its pull request: the same finding gives the same bytes.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

// RetrainText is what is proposed, and why.
type RetrainText struct {
	Training schemas.Ref
	Evidence watch.Evidence
	Name     digest.Digest // of the evidence
	Entry    int64         // that records it
	Cause    digest.Digest
	Round    *schemas.Round // nil: data has moved
	Pins     []PinText      // of the data that has
	Theirs   bool           // people have put commits on the branch: what it holds is not what is proposed here
}

// theirs says whose commits a proposal's branch holds.
const theirs = "**The branch holds commits of others, and is left as it is: none of its changes is proposed by a program.** To have one proposed, delete the branch.\n"

// Subject is the first line of the commit, and the title of the pull request.
func (r RetrainText) Subject() string { return "Retrain " + r.Training.String() }

// Message is the commit's.
func (r RetrainText) Message() string {
	plain := func(s string) string { return cut(strings.TrimSpace(harmless.Line(s)), 300) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Subject())
	for _, why := range r.Evidence.Why[:min(len(r.Evidence.Why), mostChanges)] {
		fmt.Fprintf(&b, "- %s\n", plain(why))
	}
	fmt.Fprintf(&b, "\nFound by %s in entry %d.\n\nVishwa-Evidence: %s\nVishwa-Cause: %s\n", r.Evidence.Monitor, r.Entry, r.Name, r.Cause)
	return b.String()
}

// Body is the pull request's, as Markdown.
func (r RetrainText) Body() string {
	e := r.Evidence
	safe := func(s string) string { return strings.ReplaceAll(prose(s, 200), "|", "\\|") }
	var b strings.Builder
	fmt.Fprintf(&b, "%s has found that what %s is asked has changed. This is a reason to train again, and does not say that the new model is better: compare both below.\n\n", e.Monitor, e.Deployment)
	if r.Theirs {
		b.WriteString(theirs + "\n")
	}
	for _, why := range e.Why[:min(len(e.Why), mostChanges)] {
		fmt.Fprintf(&b, "- %s\n", safe(why))
	}
	fmt.Fprintf(&b, "\n%s rows of %s are compared with %s rows of %s.\n\n", grouped(e.Window.Rows), safe(e.Window.From), grouped(e.Reference.Rows), safe(e.Reference.From))
	b.WriteString("| column | method | score | limit | adjusted p | effect | reference | window | verdict |\n|---|---|---|---|---|---|---|---|---|\n")
	told := 0
	for _, verdict := range []drift.Verdict{drift.Fault, drift.Drift, drift.Stable, drift.Insufficient} {
		for _, c := range e.Columns {
			if c.Verdict != verdict || told == mostChanges {
				continue
			}
			told++
			row := monitorRow(c)
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", safe(c.Name), row[2], row[3], row[4], row[5], row[6], row[8], row[9], safe(string(c.Verdict)))
		}
	}
	if n := len(e.Columns) - told; n > 0 {
		fmt.Fprintf(&b, "\nand %d more.\n", n)
	}
	for _, line := range monitorFoot(e) {
		fmt.Fprintf(&b, "\n%s\n", safe(line))
	}
	if r.Round != nil {
		fmt.Fprintf(&b, "\nNo data has moved, so that the training's round goes to %d.\n", r.Round.Number)
	}
	for _, p := range r.Pins {
		fmt.Fprintf(&b, "\n%s moves:\n\n%s", p.Ref, p.Body())
	}
	fmt.Fprintf(&b, "\nEntry %d records this; its evidence is %s. Closing this without merging it silences it until something else is found.\n", r.Entry, code(string(r.Name), 100))
	return b.String()
}
