// What a registry of others was told to serve, as it is told in a commit and its pull request: the same release gives the same bytes. Nothing that
// the registry says is in it but numbers of versions: who writes there may write anything.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

// PromoteText is what is proposed to serve.
type PromoteText struct {
	Deployment  schemas.Ref
	Model       schemas.Ref
	Environment string
	Tracker     string // its name: mlflow
	From, To    int    // its numbers of versions
	Release     int64  // the entry that released what is to serve
	Digest      digest.Digest
	Commits     []RevertedCommit // newest first
	Beside      []string         // what goes back with them that the release is not made of
	Theirs      bool             // people have put commits on the branch: what it holds is not what is proposed here
}

// Subject is the first line of the commit, and the title of the pull request.
func (p PromoteText) Subject() string {
	return fmt.Sprintf("Serve the release of entry %d with %s", p.Release, p.Deployment)
}

// Message is the commit's.
func (p PromoteText) Message() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nIn %s, %s of %s was moved from version %d to version %d, which is this release: model %s.\n\n",
		p.Subject(), p.Tracker, harmless.Line(p.Environment), p.Model, p.From, p.To, p.Digest.Short())
	for _, c := range p.Commits {
		fmt.Fprintf(&b, "This reverts commit %s.\n", c.SHA)
	}
	return b.String()
}

// Body is the pull request's, as Markdown.
func (p PromoteText) Body() string {
	var b strings.Builder
	fmt.Fprintf(&b, "In %s, the alias %s of %s was moved from version %d to version %d by somebody whom it does not name. Version %d is the release of entry %d, model %s. This declares that release again for %s: nothing is trained for it. What guards the environment guards this as well.\n\n",
		p.Tracker, code(p.Environment, 100), p.Model, p.From, p.To, p.To, p.Release, code(p.Digest.Short(), 100), p.Deployment)
	if p.Theirs {
		b.WriteString(theirs + "\n")
	}
	b.WriteString("It takes back:\n\n")
	takenBack(&b, p.Commits, p.Beside)
	b.WriteString("\nClosing this without merging it is an answer: the alias is put back where it was.\n")
	return b.String()
}

// PromotedElsewhere says below a pull request why it was withdrawn.
func PromotedElsewhere(pull int) string {
	return fmt.Sprintf("The alias that this was proposed for was moved again. Pull request #%d proposes what it says now, and this one is closed. It is opened again if the alias is moved back.", pull)
}

// PromotedBack says the same of one whose alias says what the branch declares.
func PromotedBack() string {
	return "The alias that this was proposed for is where the branch declares it again, so nobody asks for this release any more, and this one is closed. It is opened again if the alias is moved there again. Whoever wants it all the same opens it again: it then stays open."
}

// takenBack lists commits, and what goes back with them.
func takenBack(b *strings.Builder, commits []RevertedCommit, beside []string) {
	for _, c := range commits {
		fmt.Fprintf(b, "- %s %s\n", code(c.SHA[:min(len(c.SHA), 12)], 100), prose(c.Subject, 200))
	}
	if n := len(beside); n > 0 {
		b.WriteString("\nThese commits changed more than the release is made of. Look at each, as it goes back, too:\n\n")
		for _, what := range beside[:min(n, mostBeside)] {
			fmt.Fprintf(b, "- %s\n", code(what, 200))
		}
		if n > mostBeside {
			fmt.Fprintf(b, "- and %d more\n", n-mostBeside)
		}
	}
}
