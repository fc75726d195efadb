// What is reverted since a release was rolled back, as it is told in its commit and its pull request: the same entry gives the same bytes.

package templates

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// RevertText is what is reverted, and why.
type RevertText struct {
	Deployment schemas.Ref
	Entry      int64 // that records that it was rolled back
	Why        string
	Release    digest.Digest // that was rolled back
	Serves     int64         // the entry of what serves
	Canary     port.Asked
	Baseline   port.Asked
	Pairs      *port.Pairs      // of requests that both were sent; nil: none were
	Commits    []RevertedCommit // newest first
	Beside     []string         // what goes back with them that the release is not made of
	Theirs     bool             // people have put commits on the branch: what it holds is not what is proposed here
}

// mostBeside is how much of that a pull request lists.
const mostBeside = 30

// RevertedCommit is a commit that is taken back.
type RevertedCommit struct{ SHA, Subject string }

// Subject is the first line of the commit, and the title of the pull request.
func (r RevertText) Subject() string {
	return "Revert what " + r.Deployment.String() + " was rolled back from"
}

// asked says what was seen of both releases; "" where nothing was.
func (r RevertText) asked() string {
	pairs := ""
	if p := r.Pairs; p != nil && p.Pairs > 0 {
		pairs = fmt.Sprintf("Of %s requests that were sent to both, the new release failed %s alone and the old one %s, and of %s pairs of answers %s differ.",
			grouped(p.Pairs), grouped(p.Failed), grouped(p.OldFailed), grouped(p.Compared), grouped(p.Differ))
	}
	if r.Canary.Requests == 0 && r.Baseline.Requests == 0 {
		return pairs
	}
	if pairs != "" {
		pairs += " "
	}
	return pairs + fmt.Sprintf("Of %s requests to the new release %s failed, and of %s to the old one next to it %s.",
		grouped(r.Canary.Requests), grouped(r.Canary.Failed), grouped(r.Baseline.Requests), grouped(r.Baseline.Failed))
}

// Message is the commit's.
func (r RevertText) Message() string {
	plain := func(s string) string { return cut(strings.TrimSpace(harmless.Line(s)), 300) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nRelease %s was rolled back: %s\n", r.Subject(), r.Release.Short(), plain(r.Why))
	if seen := r.asked(); seen != "" {
		fmt.Fprintf(&b, "%s\n", seen)
	}
	b.WriteString("\n")
	for _, c := range r.Commits {
		fmt.Fprintf(&b, "This reverts commit %s.\n", c.SHA)
	}
	fmt.Fprintf(&b, "\nVishwa-Rollout: %d\n", r.Entry)
	return b.String()
}

// Body is the pull request's, as Markdown.
func (r RevertText) Body() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Release %s of %s was rolled back, and the branch declares it still. This declares again what serves (entry %d): nothing is trained for it, and nothing changes for those who ask it.\n\n", code(r.Release.Short(), 100), r.Deployment, r.Serves)
	if r.Theirs {
		b.WriteString(theirs + "\n")
	}
	fmt.Fprintf(&b, "- Why: %s\n", prose(r.Why, 500))
	if seen := r.asked(); seen != "" {
		fmt.Fprintf(&b, "- %s\n", seen)
	}
	b.WriteString("\nIt takes back:\n\n")
	takenBack(&b, r.Commits, r.Beside)
	fmt.Fprintf(&b, "\nEntry %d records it. To try the release once more instead: %s. Closing this without merging it is an answer: it is not proposed again.\n", r.Entry, code("vishwa retry "+r.Deployment.String(), 200))
	return b.String()
}
