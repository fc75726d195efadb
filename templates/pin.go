// A pin that moves, as it is told where it is proposed: in the message of its commit,
// and in the first words of its pull request.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

// PinText is a dataset's new pin beside its old one.
type PinText struct {
	Ref              schemas.Ref
	Pin              string // the .dvc file
	From             string // where the data is from, without secrets
	Files            int64
	WasBytes, Bytes  int64 // -1: not known
	WasRows, Rows    int64 // -1: not known, or of no table
	WasColumns, Cols int   // 0: likewise
	Changes          []table.Change
	Warnings         []string
}

// mostChanges is how many changes of the profile are told before the rest is counted.
const mostChanges = 20

// Subject is the first line of the commit, and the title of the pull request.
func (p PinText) Subject() string { return "Refresh " + p.Ref.String() }

// Message is the commit's.
func (p PinText) Message() string {
	return p.Subject() + "\n\n" + p.text(func(s string) string { return cut(strings.TrimSpace(harmless.Line(s)), 300) })
}

// Body is the pull request's, as Markdown.
func (p PinText) Body() string {
	return p.text(func(s string) string { return prose(s, 300) })
}

// text says it all; foreign has what comes from the data written so that it is read as
// nothing else.
func (p PinText) text(foreign func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The data at %s has moved. Its pin %s names it as it is now:\n\n", foreign(p.From), foreign(p.Pin))
	fmt.Fprintf(&b, "- size: %s", moved(p.WasBytes, p.Bytes, inBytes))
	if p.Files > 1 {
		fmt.Fprintf(&b, ", %s files", grouped(p.Files))
	}
	b.WriteString("\n")
	if p.Rows >= 0 {
		fmt.Fprintf(&b, "- rows: %s\n", moved(p.WasRows, p.Rows, grouped))
	}
	if p.Cols > 0 {
		was := int64(p.WasColumns)
		if was == 0 {
			was = -1
		}
		fmt.Fprintf(&b, "- columns: %s\n", moved(was, int64(p.Cols), grouped))
	}
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s:\n\n", title)
		for i, l := range lines {
			if i == mostChanges {
				fmt.Fprintf(&b, "- and %d more\n", len(lines)-i)
				break
			}
			fmt.Fprintf(&b, "- %s\n", foreign(l))
		}
	}
	var changes []string
	for _, c := range p.Changes {
		if c.Column != "" { // rows are told above
			changes = append(changes, changed(c))
		}
	}
	list("What else changed", changes)
	list("Constraints that it violates, which only warn", p.Warnings)
	return b.String()
}

// changed is one difference of two profiles.
func changed(c table.Change) string {
	switch {
	case c.Old == "" && c.New == "":
		return fmt.Sprintf("%s: %s", c.Column, c.What)
	case c.Old == "":
		return fmt.Sprintf("%s: %s (%s)", c.Column, c.What, c.New)
	case c.New == "":
		return fmt.Sprintf("%s: %s (was %s)", c.Column, c.What, c.Old)
	}
	return fmt.Sprintf("%s: %s %s, was %s", c.Column, c.What, c.New, c.Old)
}
