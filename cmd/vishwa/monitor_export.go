// vishwa monitor export: what a monitor found, in the shapes of other programs.

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) monitorExport() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Write what a monitor found in the format of another program", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		a.exportsEvidence("evidently REF", "Write it as snapshot.json() of Evidently 0.7", templates.EvidentlyJSON),
		a.exportsEvidence("whylogs REF", "Write it as calculate_drift_scores of whylogs 1", templates.WhylogsJSON),
	)
	return cmd
}

func (a *cli) exportsEvidence(use, short string, as func(watch.Evidence) ([]byte, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		refs, err := parseRefs(cmd, args)
		if err != nil {
			return err
		}
		s, err := a.open(cmd.Context(), reading)
		if err != nil {
			return err
		}
		defer s.close()
		facts, err := s.Ledger.Facts(cmd.Context())
		if err != nil {
			return err
		}
		e, err := lastEvidence(cmd.Context(), s, facts, refs[0])
		if err != nil {
			return err
		}
		raw, err := as(e)
		if err != nil {
			return fault.New(fault.Internal, "write the evidence: %w", err)
		}
		_, err = fmt.Fprintf(a.out, "%s\n", raw)
		return err
	}}
}
