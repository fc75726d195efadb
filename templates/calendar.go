// A retraining that a calendar asks for, as it is told in its commit and its pull request: the same
// time gives the same bytes.

package templates

import (
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

// CalendarText is what is proposed, and when it was due.
type CalendarText struct {
	Training schemas.Ref
	Due      time.Time
	Trained  time.Time // last
	Round    *schemas.Round
	Pins     []PinText
	Theirs   bool // people have put commits on the branch: what it holds is not what is proposed here
}

// Reason is why, as the round says it.
func (c CalendarText) Reason() string { return "schedule of " + c.Due.UTC().Format("2006-01-02 15:04") }

// Subject is the first line of the commit, and the title of the pull request.
func (c CalendarText) Subject() string { return "Retrain " + c.Training.String() + " on schedule" }

// Message is the commit's.
func (c CalendarText) Message() string {
	return fmt.Sprintf("%s\n\nIt was due at %s.\n", c.Subject(), c.Due.UTC().Format(time.RFC3339))
}

// Body is the pull request's, as Markdown.
func (c CalendarText) Body() string {
	var b strings.Builder
	fmt.Fprintf(&b, "By its schedule %s was due to be trained again at %s; it was trained last at %s. This does not say that the new model is better: compare both below.\n",
		c.Training, c.Due.UTC().Format(time.RFC3339), c.Trained.UTC().Format(time.RFC3339))
	if c.Theirs {
		b.WriteString("\n" + theirs)
	}
	if c.Round != nil {
		fmt.Fprintf(&b, "\nNo data has moved, so that the training's round goes to %d.\n", c.Round.Number)
	}
	for _, p := range c.Pins {
		fmt.Fprintf(&b, "\n%s moves:\n\n%s", p.Ref, p.Body())
	}
	b.WriteString("\nClosing this proposes nothing until the schedule's next time.\n")
	return b.String()
}
