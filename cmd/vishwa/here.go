// Applying what is here alone: from another branch than the remote's own, or of a
// revision that the remote does not have. It may be meant, and so it needs a yes.

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// aside is one way in which the revision is not what the others have.
type aside struct{ what, hint string }

// asides tells how revision differs from what the remote's own branch has. Offline, and
// without a remote, nothing can be told of it.
func (a *cli) asides(ctx context.Context, s *station, revision string) ([]aside, error) {
	head, err := s.Repo.Head(ctx)
	if err != nil {
		return nil, err
	}
	at, err := s.Repo.Standing(ctx, revision, s.GitLedger.Keeping())
	if err != nil || at.Remote == "" {
		return nil, err
	}
	branch := head.Branch
	push := fmt.Sprintf("git push %s %s", at.Remote, branch)
	if branch == "" || branch == "HEAD" {
		branch, push = "", "push it on a branch"
	}
	var out []aside
	if !at.Known && !a.offline {
		out = append(out, aside{fmt.Sprintf("revision %s is not on the remote %s, and nobody else can see it", short7(revision), at.Remote), push})
	}
	switch {
	case at.Tracked == "" || at.Tip || branch == at.Tracked:
	case branch != "":
		out = append(out, aside{fmt.Sprintf("%s is checked out, and the branch of %s that is applied is %s", branch, at.Remote, at.Tracked), "merge it, and git switch " + at.Tracked})
	case !at.On && at.Known:
		out = append(out, aside{fmt.Sprintf("revision %s is not on %s, the branch of %s that is applied", short7(revision), at.Tracked, at.Remote), "git switch " + at.Tracked})
	}
	if at.On && !at.Tip { // it may be meant, as a way back, and the remote has it: it is said, and not asked
		fmt.Fprintf(a.err, "Note: revision %s is older than %s of %s: what is newer there is not applied. For the newest: git pull.\n", short7(revision), at.Tracked, at.Remote)
	}
	return out, nil
}

// assent is how somebody says yes to what differs: by a flag, or at a terminal.
type assent struct {
	given                bool // by the flag
	verb, flag, question string
}

// agree has somebody say yes to what differs. It tells whether a person was asked, and so
// has said yes to the plan as well.
func (a *cli) agree(all []aside, yes assent) (asked bool, err error) {
	if len(all) == 0 {
		return false, nil
	}
	what, hints := make([]string, len(all)), make([]string, len(all))
	for i, x := range all {
		what[i], hints[i] = x.what, x.hint
		if yes.given || a.terminal {
			fmt.Fprintf(a.err, "Note: %s.\n", x.what)
		}
	}
	if yes.given {
		return false, nil
	}
	if !a.terminal {
		return false, fault.WithHint(fault.New(fault.Held, "%s needs a yes: %s", yes.verb, strings.Join(what, "; ")),
			"first %s; or, where it is meant so, give %s", strings.Join(hints, ", "), yes.flag)
	}
	return true, a.yes(yes.question)
}

// yes asks a person at the terminal.
func (a *cli) yes(question string) error {
	fmt.Fprintf(a.err, "%s Only \"yes\" is yes: ", question)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fault.New(fault.Cancelled, "read the answer: %w", err)
	}
	if strings.TrimSpace(line) != "yes" {
		return fault.WithHint(fault.New(fault.Held, "not confirmed: nothing was done"), "run it again when you are sure")
	}
	return nil
}

// applies is the assent of apply.
func applies(here bool) assent { return assent{here, "apply", "--here", "Apply it all the same?"} }

// hereFlag is the yes of a script.
func hereFlag(cmd *cobra.Command, here *bool) {
	cmd.Flags().BoolVar(here, "here", false, "apply also from a branch that is not the remote's own, or a revision that the remote does not have")
}
