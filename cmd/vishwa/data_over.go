// vishwa data push, fetch and pull: what goes over to a remote, and comes from it.

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// crossing is what the flags of push, fetch and pull say.
type crossing struct {
	history
	jobs   int
	remote string
}

func (c *crossing) flags(cmd *cobra.Command, direction string) {
	jobsFlag(cmd, &c.jobs)
	c.history.flags(cmd, "with the data of")
	cmd.Flags().StringVarP(&c.remote, "remote", "r", "", direction+" `NAME` instead of the default remote")
	recursiveFlag(cmd)
}

// recursiveFlag is there for fingers that know DVC: a folder always means what is in it.
func recursiveFlag(cmd *cobra.Command) {
	cmd.Flags().BoolP("recursive", "R", false, "a folder means all data below it; it does so anyway")
}

// revisions are those that are meant beside the work tree.
func (c *crossing) revisions(ctx context.Context, w *data.Workspace) (out []data.Revisions) {
	if c.some() {
		out = append(out, trees(ctx, w, &c.history))
	}
	return out
}

// mostApart is how many outputs that were left out are named.
const mostApart = 10

func (a *cli) moved(did string, m transfer.Moved) {
	a.teller.end()
	for i, left := range m.Apart {
		if i == mostApart {
			fmt.Fprintf(a.out, "and %s more\n", plural.Of(len(m.Apart)-i, "output"))
			break
		}
		fmt.Fprintf(a.out, "left out, as its file names another remote: %s\n", left)
	}
	if m.Objects == 0 {
		fmt.Fprintln(a.out, "Everything is up to date.")
		return
	}
	fmt.Fprintf(a.out, "%s %s, %s; %d were there\n", plural.Of(m.Objects, "object"), did, bytesOf(m.Bytes), m.Present)
}

func (a *cli) dataPush() *cobra.Command {
	var c crossing
	cmd := &cobra.Command{
		Use: "push [TARGET...]", Short: "Send the data that a remote lacks",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(c.jobs)
			if err != nil {
				return err
			}
			m, err := w.Push(cmd.Context(), c.remote, a.paths(args), c.revisions(cmd.Context(), w)...)
			if err == nil || m.Objects > 0 {
				a.moved("pushed", m)
			}
			return err
		},
	}
	c.flags(cmd, "to")
	return cmd
}

func (a *cli) dataFetch() *cobra.Command {
	var c crossing
	cmd := &cobra.Command{
		Use: "fetch [TARGET...]", Short: "Fetch from a remote the data that the cache lacks",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(c.jobs)
			if err != nil {
				return err
			}
			m, err := w.Fetch(cmd.Context(), c.remote, a.paths(args), c.revisions(cmd.Context(), w)...)
			if err == nil || m.Objects > 0 {
				a.moved("fetched", m)
			}
			return err
		},
	}
	c.flags(cmd, "from")
	return cmd
}

func (a *cli) dataPull() *cobra.Command {
	var c crossing
	var force bool
	cmd := &cobra.Command{
		Use: "pull [TARGET...]", Short: "Fetch, and check out",
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.workspace(c.jobs)
			if err != nil {
				return err
			}
			m, err := w.Fetch(cmd.Context(), c.remote, a.paths(args), c.revisions(cmd.Context(), w)...)
			var lacking *transfer.MissingError
			var alone *data.Versioned
			if err != nil && !errors.As(err, &lacking) && !errors.As(err, &alone) {
				return err
			}
			a.moved("fetched", m)
			stay, out := data.Untold(a.checkOut(cmd.Context(), w, args, force), err) // what has come, whatever did not
			for _, path := range stay {
				fmt.Fprintf(a.out, "%s: stays as it was\n", path)
			}
			return errors.Join(err, out)
		},
	}
	c.flags(cmd, "from")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "overwrite and remove files that are saved nowhere")
	return cmd
}
