// vishwa data import: data that another repository keeps.

package main

import (
	"fmt"
	"path"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

func (a *cli) dataImport() *cobra.Command {
	var out, rev string
	var allow []string
	cmd := &cobra.Command{
		Use: "import REPO PATH", Short: "Import data that another repository keeps", Args: cobra.ExactArgs(2),
		Long: `Brings a file or folder that the Git repository REPO keeps at PATH, with DVC or in Git
itself, and writes a .dvc file that says where it is from and at which commit, as DVC
does: dvc update and the same command again bring what is there by then.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			if out == "" {
				out = path.Base(path.Clean(args[1]))
			}
			rel, err := w.Below(a.path(out))
			if err != nil {
				return fault.WithHint(err, "name a path in the repository with -o")
			}
			o := app.RefreshOptions{Env: env, Allow: allow, Heard: a.teller.showProgress}
			added, err := o.Import(cmd.Context(), w, app.Import{Repo: args[0], Path: args[1], Rev: rev, Pin: rel + ".dvc"})
			a.teller.end()
			if err != nil {
				return fmt.Errorf("import %s: %w", args[1], err)
			}
			fmt.Fprintf(a.out, "%s: %s, %s, imported; %s written\n", added.Path, plural.Of(added.Files, "file"), bytesOf(added.Size), added.File)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "put it at `PATH`; without it, in this folder under its own name")
	cmd.Flags().StringVar(&rev, "rev", "", "of the branch, tag or commit `REV`; without it, the default branch")
	cmd.Flags().StringSliceVar(&allow, "allow", nil, "reach a remote at this private `HOST`")
	return cmd
}
