// vishwa rollback: to serve an earlier release again, at once, as the ledger recorded it.

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) rollbackVerb() *cobra.Command {
	var o pass.Rollback
	var to int64
	var yes bool
	cmd := &cobra.Command{
		Use:   "rollback REF --reason TEXT",
		Short: "Serve an earlier release of a deployment again",
		Long: `Serve the release that was there before, or the one of --to ENTRY, exactly as the ledger
recorded it: its code, its settings and its signed model. Nothing is trained, and no new
approval is needed; today's rules judge it. The deployment is suspended first, so that no
apply undoes the rollback, even if it is interrupted. Afterwards correct the branch, then
run vishwa resume REF. If you run it twice, it still goes back one release; --to goes further.

It needs the model in the store, the history of the branch, and the same environment
as then.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rollback(cmd, args, o, to, yes)
		},
	}
	cmd.Flags().StringVar(&o.Reason, "reason", "", "the reason, which status and the log show: `TEXT`")
	cmd.Flags().Int64Var(&to, "to", 0, "serve the release of this `ENTRY` of the ledger: vishwa log --action deploy lists them")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // it was defined just now
	}
	return cmd
}

func (a *cli) rollback(cmd *cobra.Command, args []string, o pass.Rollback, to int64, yes bool) error {
	refs, err := parseRefs(cmd, args)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := a.open(ctx, acting)
	if err != nil {
		return err
	}
	defer s.close()
	if o.To, err = s.release(ctx, refs[0], to); err != nil {
		return err
	}
	bar := &progress{w: a.err, now: a.now, bar: a.terminal, logs: true}
	s.Tell = bar.showEvent
	defer bar.stop()
	o.Confirm = func(p plan.Plan) error {
		fmt.Fprintf(a.out, "Roll back %s to the release of entry %d, of %s%s. %s\n", o.To.Ref, o.To.Seq, o.To.Time.UTC().Format("2006-01-02 15:04 UTC"), ofModel(o.To), s.where())
		if now := s.newestRelease(ctx, o.To.Ref); now != nil {
			fmt.Fprintf(a.out, "Until now the release of entry %d serves, of %s%s.\n", now.Seq, now.Time.UTC().Format("2006-01-02 15:04 UTC"), ofModel(now))
		}
		return a.confirm(p, yes, "rollback", "give --yes")
	}
	result, err := s.Rollback(ctx, o)
	bar.stop()
	if err != nil {
		return err
	}
	if len(result.Outcomes) == 0 {
		fmt.Fprintf(a.out, "Nothing to do: the release of entry %d is what is served.\n", o.To.Seq)
		if to == 0 {
			fmt.Fprintf(a.out, "It was rolled back to that. To go further back: vishwa rollback %s --to ENTRY; vishwa log %[1]s --action deploy lists its releases.\n", o.To.Ref)
		}
		return nil
	}
	if err := bar.briefly(result); err != nil {
		return err
	}
	if err := a.showServed(ctx, s, result); err != nil {
		return err
	}
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	if facts.Suspension(o.To.Ref) == nil {
		fmt.Fprintf(a.out, "Somebody resumed %s meanwhile: the next apply deploys what the branch declares. To prevent that: vishwa suspend %[1]s --reason TEXT\n", o.To.Ref)
		return nil
	}
	fmt.Fprintf(a.out, "%s is suspended, so that no apply undoes this. Correct the branch, then: vishwa resume %[1]s\n", o.To.Ref)
	return nil
}

// ofModel names the model of a release.
func ofModel(e *ledger.Entry) string {
	if e.Model == nil {
		return ""
	}
	return ", model " + e.Model.Artifact.Digest.Short()
}

// newestRelease is what the ledger says that ref serves; nil where it does not say.
func (s *station) newestRelease(ctx context.Context, ref schemas.Ref) *ledger.Entry {
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return nil // what is done next asks it again, and says so
	}
	if e := facts.On(s.Machine, ref); e != nil && e.Action == ledger.Deploy {
		return e
	}
	return nil
}

// release is the deploy entry of ref that to names; 0: of the release before the one that is served.
func (s *station) release(ctx context.Context, ref schemas.Ref, to int64) (*ledger.Entry, error) {
	all, err := s.Releases(ctx, ref)
	if err != nil {
		return nil, err
	}
	way := fmt.Sprintf("vishwa log %s --action deploy lists its releases", ref)
	if !ref.Kind.Traits().Serves {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is not a deployment, and only those are rolled back", ref), "vishwa status lists the deployments")
	}
	if len(all) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s was never deployed: there is nothing to roll back", ref), "vishwa status lists the deployments")
	}
	if to == 0 {
		facts, err := s.Ledger.Facts(ctx)
		if err != nil {
			return nil, err
		}
		if e := ledger.RollsBackTo(all, facts.Suspension(ref)); e != nil {
			return e, nil
		}
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s has no release before the one that is served", ref), "%s", way)
	}
	if e := ledger.ReleaseOf(all, to); e != nil {
		return e, nil
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "entry %d is not a release of %s", to, ref), "%s", way)
}
