// vishwa trackers: how what the ledger records stands in the trackers of others.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

// trackerTime bounds how long apply stays to show what it did.
const trackerTime = 2 * time.Minute

func (a *cli) trackersVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "trackers", Short: "Have the declared trackers show what the ledger records, and see what others changed there", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.trackersDo("status", "Ask each tracker what it lacks and what others changed there; write nothing", true),
		a.trackersDo("sync", "Have each tracker show what the ledger records", false))
	return cmd
}

func (a *cli) trackersDo(use, short string, dry bool) *cobra.Command {
	var format string
	var here bool
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Long: short + `.

The declarations of the commit count, not those of the work tree: they say where a
credential goes. If the checked-out branch is not the remote's default one, or if the
remote does not have the revision, a yes is needed: at a terminal, or by --here.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			revision, err := s.Committed(cmd.Context())
			if err != nil {
				return err
			}
			aside, err := a.asides(cmd.Context(), s, revision)
			if err != nil {
				return err
			}
			if _, err := a.agree(aside, assent{here, "asking trackers", "--here", "Ask them all the same?"}); err != nil {
				return err
			}
			all, err := s.Track(cmd.Context(), dry)
			if err != nil {
				return err
			}
			if len(all) == 0 && len(s.Trackers) == 0 {
				return fault.WithHint(fault.New(fault.Missing, "no tracker is declared"), "declare one below spec.trackers of vishwa.yaml")
			}
			if format == "json" {
				if err := a.json(all); err != nil {
					return err
				}
			} else {
				for _, t := range all {
					a.showTracker(t, dry)
				}
			}
			var failed []error
			for _, t := range all {
				failed = append(failed, t.Err())
			}
			return errors.Join(failed...)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().BoolVar(&here, "here", false, "also from a branch that is not the remote's own, or a revision that the remote does not have")
	return cmd
}

// lacks counts what a tracker does not show, or did not: runs, and whatever else is written to it.
func lacks(t app.TrackerState) string {
	if t.Runs > 0 {
		return plural.Of(t.Runs, "run") + " (" + plural.Of(t.Writes, "change") + ")"
	}
	return plural.Of(t.Writes, "change")
}

func (a *cli) showTracker(t app.TrackerState, dry bool) {
	switch {
	case t.Err() != nil:
		fmt.Fprintf(a.out, "%s: failed\n", t.Tracker)
	case dry && t.Writes > 0:
		fmt.Fprintf(a.out, "%s: lacks %s\n", t.Tracker, lacks(t))
	case t.Writes > 0:
		fmt.Fprintf(a.out, "%s: shows %s more\n", t.Tracker, lacks(t))
	default:
		fmt.Fprintf(a.out, "%s: up to date\n", t.Tracker)
	}
	if t.Folder != "" {
		fmt.Fprintf(a.out, "  folder: %s\n", t.Folder)
	}
	for _, d := range t.Drift {
		fmt.Fprintf(a.out, "  drift: %s\n", harmless.Line(d))
	}
	for _, n := range t.Notes {
		fmt.Fprintf(a.out, "  note: %s\n", harmless.Line(n))
	}
}

// showInTrackers shows what was done. What was done stands, whether a tracker shows it or not.
func (a *cli) showInTrackers(ctx context.Context, s *station) {
	if len(s.Trackers) == 0 || a.offline {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, trackerTime)
	defer cancel()
	all, err := s.Track(ctx, false)
	if err != nil {
		fmt.Fprintf(a.err, "Trackers were not shown this: %s. Next: vishwa trackers sync.\n", harmless.Line(err.Error()))
		return
	}
	for _, t := range all {
		if t.Err() != nil {
			fmt.Fprintf(a.err, "%s does not show this: %s. Next: %s; then vishwa trackers sync.\n", t.Tracker, harmless.Line(t.Error), cmp.Or(t.Hint, "vishwa trackers status"))
		} else if t.Writes > 0 {
			fmt.Fprintf(a.err, "%s shows this: %s.\n", t.Tracker, lacks(t))
		}
		for _, d := range t.Drift {
			fmt.Fprintf(a.err, "%s was changed by others: %s.\n", t.Tracker, harmless.Line(d))
		}
	}
}

// trackersLine says how trackers stood when this machine showed them something last; entries are those
// of the ledger now.
func (a *cli) trackersLine(s *station, entries int64) error {
	if len(s.Trackers) == 0 {
		return nil
	}
	all, err := s.TrackerStates()
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	for _, t := range s.Trackers {
		text := "this machine has shown it nothing yet"
		for _, st := range all {
			if st.Tracker != t.Name {
				continue
			}
			text = fmt.Sprintf("shows %d of %s, as of %s", st.Entries, plural.Of(int(entries), "entry"), st.Time.Format(time.RFC3339))
			if st.Error != "" {
				text += fmt.Sprintf("; failed %s: %s", plural.Of(st.Tries, "time"), harmless.Line(st.Error))
			}
			for _, d := range st.Drift {
				text += "; " + harmless.Line(d)
			}
		}
		fmt.Fprintf(a.out, "Tracker %s: %s.\n", t.Name, text)
	}
	return nil
}

// trackerDrift says what others changed in trackers, as this machine found it last, and what was done about it. None is asked: what is
// previewed may name any address, and a credential would go there.
func (a *cli) trackerDrift(s *station) {
	all, err := s.TrackerStates()
	if err != nil {
		return // doctor says that it cannot be read
	}
	for _, t := range s.Trackers {
		for _, st := range all {
			if st.Tracker != t.Name || len(st.Drift) == 0 {
				continue
			}
			then := "is left as it is"
			switch {
			case t.Takes:
				then = "a controller proposes where it is an alias on another release, and was changed back elsewhere"
			case t.Heals:
				then = "was changed back"
			}
			fmt.Fprintf(a.out, "\nTracker %s, as of %s, was changed by others, which %s:\n", t.Name, st.Time.Format(time.RFC3339), then)
			for _, d := range st.Drift {
				fmt.Fprintf(a.out, "  %s\n", harmless.Line(d))
			}
		}
	}
}

// trackerChecks tell how trackers stood when this machine showed them something last. They are not
// asked: what is checked out may name any address, and a credential would go there.
func trackerChecks(s *station) (out []check) {
	all, err := s.TrackerStates()
	for _, t := range s.Trackers {
		c := check{"tracker " + t.Name, note, "this machine has shown it nothing yet", "vishwa trackers status asks it"}
		for _, st := range all {
			switch {
			case st.Tracker != t.Name:
			case st.Error != "":
				c = check{c.What, wrong, st.Error, st.Hint}
			default:
				c = check{c.What, fine, "it showed " + plural.Of(int(st.Entries), "entry") + " at " + st.Time.Format(time.RFC3339), ""}
			}
		}
		if err != nil {
			c = checked(c.What, "", err)
		}
		out = append(out, c)
	}
	return out
}
