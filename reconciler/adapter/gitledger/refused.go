// Pushes that the remote does not take: why, in the remote's own words, who has to
// allow what, and when it is no use to try again.

package gitledger

import (
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// lost is a try that came to nothing: a push that the remote did not take, or
// somebody else's turn.
type lost struct {
	pushed bool          // it was sent, and refused
	at     plumbing.Hash // where the branch was then
	wait   time.Duration // before the next try
	cause  error
}

// refusal says why no more tries are made: the remote has nothing against the
// entry as long as the branch keeps moving.
func (p *lost) refusal(branch string, still bool) error {
	if !still {
		return fault.WithHint(fault.New(fault.Conflict, "others kept writing to %s for %s", branch, patience), "try again")
	}
	kind := fault.Of(p.cause)
	switch {
	case kind == fault.Transient:
		return fault.WithHint(fault.New(kind, "the remote broke off each push to %s: %w", branch, p.cause), "try again when it answers: nothing was recorded, and nothing is done twice")
	case kind == fault.Conflict && fault.HintOf(p.cause) != "":
		return fault.New(kind, "push to %s: %w", branch, p.cause)
	case kind == fault.Internal:
		kind = fault.Denied
	}
	return fault.WithHint(fault.New(kind, "the remote does not take new entries on %s: %w", branch, p.cause), "%s", allow(branch, p.cause.Error()))
}

// allow says who has to allow what. GitHub numbers what refuses: GH006 is the
// protection of a branch, GH013 a rule set
// (https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository).
func allow(branch, said string) string {
	switch {
	case strings.Contains(said, "GH006"):
		return "whoever administers the repository must change the protection of branches that matches " + branch +
			" (Settings, Branches): let the controller's account push to " + branch + " without what is named above, and nobody else; no force is needed"
	case strings.Contains(said, "GH013"):
		return "whoever administers the repository must change the rule set that matches " + branch +
			" (Settings, Rules): let the controller's account push to " + branch + " by naming it in the bypass list, or exclude the branch; no force is needed"
	}
	return "whoever administers the repository must let the controller's account push to " + branch + ", without force"
}
