// vishwa data refresh: what changed at its source becomes a changed pin.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *app) dataRefresh() *cobra.Command {
	var format string
	var allow []string
	cmd := &cobra.Command{
		Use: "refresh [REF...]", Short: "Look at sources that can change, and pin what has moved",
		Long: `Looks at the sources of datasets that can change, or of those that are named. Where
the data is another than its pin says, it is taken in and the pin written: commit it, and
what depends on the data is planned anew. Private addresses are not read over HTTP but
where --allow names them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(0)
			if err != nil {
				return err
			}
			env, err := a.env()
			if err != nil {
				return err
			}
			o := adapter.RefreshOptions{Env: env, Allow: allow, Tell: func(line string) { fmt.Fprintln(a.err, line) }}
			for _, arg := range args {
				ref, err := schemas.ParseRef(arg)
				if err != nil {
					return usage(cmd, err)
				}
				o.Refs = append(o.Refs, ref)
			}
			all, err := adapter.Refresh(cmd.Context(), w, os.DirFS(w.Root()), o)
			if format != "json" {
				for _, r := range all {
					if !r.Moved {
						fmt.Fprintf(a.out, "%s: has not moved\n", r.Ref)
						continue
					}
					fmt.Fprintf(a.out, "%s: %d files, %s, pinned by %s\n", r.Ref, r.Files, bytesOf(r.Size), r.Pin)
					fmt.Fprintln(a.out, "  Next: vishwa data push, and commit the pin.")
				}
				return err
			}
			if err != nil {
				return err
			}
			return a.json(all)
		},
	}
	cmd.Flags().StringSliceVar(&allow, "allow", nil, "read from this private `HOST` or network over HTTP")
	formats(cmd, &format, "text", "json")
	return cmd
}
