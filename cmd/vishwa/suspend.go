// vishwa suspend and vishwa resume: to hold what would be done about something, for
// everybody, and to let it go on. vishwa down is about this machine alone.

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) suspendVerb() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "suspend REF --reason TEXT",
		Short: "Do nothing about a ref until it is resumed",
		Long: `Record on the ledger that nothing is to be done about REF until vishwa resume REF. Every
apply, controller and pipeline of the repository holds its steps, and what needs them.
What is served goes on, and a run that is under way is not stopped.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, args, func(s *station, in *pass.Intent, o asked) error {
				if !o.known(in) {
					return undeclared(o.ref, in)
				}
				e, err := s.Suspend(cmd.Context(), o.rev, o.ref, reason)
				if err == nil {
					fmt.Fprintf(a.out, "%s is suspended (entry %d). To resume it: vishwa resume %s\n", o.ref, e.Seq, o.ref)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "the reason, which status and the log show: `TEXT`")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // it was defined just now
	}
	return cmd
}

// asked is what a person asks for: about one ref, at the tracked revision.
type asked struct {
	ref   schemas.Ref
	rev   port.Revision
	facts *ledger.Facts
}

// known tells whether the ref is declared, or stands although it is no longer declared.
func (o asked) known(in *pass.Intent) bool {
	same := func(ref schemas.Ref) bool { return ref == o.ref || ref.Whole() == o.ref }
	if slices.ContainsFunc(in.Graph.Nodes, func(n graph.Node) bool { return same(n.Ref) }) {
		return true
	}
	for ref, e := range o.facts.Latest {
		if same(ref) && e.Action != ledger.Retire {
			return true
		}
	}
	return false
}

// ask opens the repository to record something about the one ref in args.
func (a *cli) ask(cmd *cobra.Command, args []string, do func(*station, *pass.Intent, asked) error) error {
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
	o := asked{ref: refs[0]}
	var in *pass.Intent
	if o.rev, in, err = s.Head(ctx); err != nil {
		return err
	}
	if o.facts, err = s.Ledger.Facts(ctx); err != nil {
		return err
	}
	return do(s, in, o)
}

func (a *cli) resumeVerb() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "resume REF",
		Short: "Resume what was suspended",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, args, func(s *station, _ *pass.Intent, o asked) error {
				e, err := s.Resume(cmd.Context(), o.rev, o.ref, reason)
				if err == nil {
					fmt.Fprintf(a.out, "%s is resumed (entry %d). What is due of it, vishwa apply does, unless a controller does.\n", o.ref, e.Seq)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger: `TEXT`")
	return cmd
}

// downVerb stops this machine's serving, for maintenance; nothing is retired.
func (a *cli) downVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop serving on this machine until the next apply",
		Long: `Stop serving on this machine until the next apply, for maintenance. Nothing is recorded,
and nothing changes elsewhere. It is refused where a controller looks after what is
served here. To hold a deployment everywhere, see vishwa suspend.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			if served, err := s.Paths.Controlled(); err != nil {
				return err
			} else if served {
				return fault.WithHint(fault.New(fault.Conflict, "a controller looks after what is served here: it would bring it back at once"),
					"end the controller first; or, to have nothing changed about a deployment for now, vishwa suspend deployment/NAME --reason TEXT")
			}
			was, err := server.Down(cmd.Context(), s.Paths.Serving(), s.Paths.Seal())
			if err != nil {
				return err
			}
			if was {
				fmt.Fprintln(a.out, "Stopped serving; vishwa apply brings it back.")
			} else {
				fmt.Fprintln(a.out, "Nothing was served.")
				if facts, err := s.Ledger.Facts(cmd.Context()); err == nil {
					a.tellBeside(s, facts)
				}
			}
			return nil
		},
	}
}

// shellWord is a path as a shell reads it back.
func shellWord(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// tellBeside says which deployments another folder of this machine deployed, as this one neither
// sees nor stops them.
func (a *cli) tellBeside(s *station, facts *ledger.Facts) {
	var refs []schemas.Ref
	for ref, e := range facts.Latest {
		if ref.Kind.Traits().Serves && e.Stands() && e.Machine != s.Machine {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, schemas.Ref.Compare)
	for _, ref := range refs {
		f, found := s.Paths.Beside(facts.Latest[ref].Machine)
		if !found {
			continue
		}
		fmt.Fprintf(a.err, "Note: %s was deployed from %s. It may still be served from there: this folder neither sees it nor stops it.\n", ref, f)
		switch {
		case f.Gone:
			fmt.Fprintf(a.err, "  If this folder was moved from there, move it back: mv %s %s\n", shellWord(s.Repo.Dir()), shellWord(f.Dir))
		case f.Dir != "":
			fmt.Fprintf(a.err, "  To stop it: vishwa -C %s down\n", shellWord(f.Dir))
		}
	}
}
