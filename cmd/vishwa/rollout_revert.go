// vishwa rollout revert: the commits that made a release which was rolled back are taken back, on a branch of their own.

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) rolloutRevert() *cobra.Command {
	r := &refreshing{cli: a}
	cmd := &cobra.Command{
		Use:   "revert REF",
		Short: "Propose to revert the commits of a release that was rolled back",
		Long: `Revert, in one commit on the branch vishwa/revert/BRANCH/NAME, the commits of the tracked
branch that made a release which was rolled back. The commit must declare what serves
now, else it is not made. The work tree stays as it is. A rollout is reverted once.

A controller does this by itself, as spec.rollout.revert of the deployment says.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			out, err := r.revert(cmd.Context(), refs[0])
			if err != nil {
				return err
			}
			if r.push {
				fmt.Fprintf(a.out, "Pushed to %s as %.7s.\n", out.Branch, out.SHA)
				return nil
			}
			fmt.Fprintf(a.out, "Committed to %s as %.7s. Next: git push %s %s, and open a pull request.\n", out.Branch, out.SHA, r.remote(), out.Branch)
			return nil
		},
	}
	cmd.Flags().BoolVar(&r.push, "push", false, "push the commit to the remote of this clone")
	return cmd
}

// revert proposes the revert of what ref was rolled back from.
func (r *refreshing) revert(ctx context.Context, ref schemas.Ref) (out app.Proposed, err error) {
	if r.s, err = r.cli.open(ctx, reading); err != nil {
		return out, err
	}
	defer r.s.close()
	r.root = r.s.Repo.Dir()
	if err = r.pushable(ctx); err != nil {
		return out, err
	}
	rev, in, err := r.s.Reconciler.Head(ctx)
	if err != nil {
		return out, err
	}
	was, err := r.s.WasRolledBack(ctx, in, rev, ref)
	if err != nil {
		return out, err
	}
	if !was {
		return out, fault.WithHint(fault.New(fault.Invalid, "the release of %s that is declared was not rolled back: there is nothing to revert", ref), "vishwa rollout status %s shows the last rollout; vishwa rollback %s serves an earlier release again", ref, ref)
	}
	facts, err := r.s.Ledger.Facts(ctx)
	if err != nil {
		return out, err
	}
	p := &app.Proposer{Repo: r.s.Repo, Base: rev.Branch, Head: rev.SHA, Tip: r.tip, Move: r.move, Facts: facts, Releases: r.s.Releases}
	out, err = p.Revert(ctx, ref, false, nil)
	if none := (app.Unreverted{}); errors.As(err, &none) {
		err = fault.WithHint(fault.New(fault.Conflict, "%w", err), "declare something else, or vishwa retry %s to try it once more", ref)
	}
	return out, err
}
