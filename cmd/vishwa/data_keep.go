// vishwa data remove and unprotect, and what keeps Git and DVC apart.

package main

import (
	"context"
	"fmt"
	"path"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func (a *cli) dataRemove() *cobra.Command {
	var outs bool
	cmd := &cobra.Command{
		Use: "remove TARGET...", Aliases: []string{"rm"}, Short: "Stop tracking data: remove its .dvc file, and its line of .gitignore", Args: cobra.MinimumNArgs(1),
		Long: `The data itself stays in the work tree, unless --outs is given, and in the cache until
gc. A commit without the .dvc file stops tracking it for everybody.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			gone, err := w.Remove(cmd.Context(), a.paths(args), outs)
			for _, file := range gone {
				fmt.Fprintf(a.out, "%s removed\n", file)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&outs, "outs", false, "remove the data from the work tree too")
	return cmd
}

func (a *cli) dataUnprotect() *cobra.Command {
	return &cobra.Command{
		Use: "unprotect TARGET...", Short: "Replace links to the cache by copies that you can write to", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			return a.each(w.Unprotect(cmd.Context(), a.paths(args)))
		},
	}
}

// each tells what was done to each output.
func (a *cli) each(done []data.CheckedOut, err error) error {
	a.teller.end()
	for _, d := range done {
		fmt.Fprintf(a.out, "%s: %d written, %d kept\n", d.Path, d.Written, d.Kept)
	}
	return err
}

// notGits refuses to take in what Git keeps: it would go on keeping the bytes.
func (a *cli) notGits(ctx context.Context, w *data.Workspace, args []string) error {
	r, below, err := inGit(w)
	if fault.Of(err) == fault.Missing && err != nil {
		return nil // a folder without Git
	}
	if err != nil {
		return err
	}
	defer r.Close()
	for _, p := range a.paths(args) {
		rel, err := w.Below(p)
		if err != nil {
			return err
		}
		tracked, err := r.Tracked(ctx, path.Join(below, rel))
		if err != nil {
			return err
		}
		if tracked != "" {
			return fault.WithHint(fault.New(fault.Invalid, "add %s: Git keeps %s itself", rel, tracked), "have Git stop tracking it (the files stay): git rm -r --cached %s", rel)
		}
	}
	return nil
}
