// vishwa monitor: what is served, held against what it was trained on.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) monitorVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "monitor", Short: "Compare what is served with what it was trained on", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.monitorRun(), a.monitorShow(), a.monitorDiff(), a.monitorExport(), a.monitorImport())
	return cmd
}

func (a *cli) monitorRun() *cobra.Command {
	var format string
	var detailed, propose bool
	r := refreshing{cli: a}
	cmd := &cobra.Command{
		Use: "run [REF...]", Short: "Measure, judge and record what monitors watch",
		Long: `Measures what all monitors of the tracked revision watch, or only those that are named: it compares
each column of the window with the reference, joins the outcomes that have come, and reads gauges.
It records the verdict in the ledger with its evidence, the same evidence once. It asks private
addresses only if --allow names them.

With --propose, it proposes what spec.onDrift asks for, where no controller does: as a commit on the
branch vishwa/retrain/BRANCH/TRAINING, ready for a pull request. The work tree stays as it is. With
--push, the commit goes to the remote of this clone, and its data to the data's remote.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			if r.push && !propose {
				return usage(cmd, fault.New(fault.Invalid, "--push pushes what --propose commits: give both"))
			}
			s, err := a.open(cmd.Context(), acting)
			if err != nil {
				return err
			}
			defer s.close()
			r.s = s
			all, failed := a.measured(cmd.Context(), &r, refs)
			for i := range all {
				m := &all[i]
				if err := a.showEvidence(m.Evidence, format); err != nil {
					return err
				}
				if format == "text" {
					fmt.Fprintf(a.out, "Entry %d, evidence %s.\n", m.Seq, m.Name)
				}
				if propose {
					if err := r.answer(cmd.Context(), m); err != nil {
						return err
					}
				}
			}
			if failed != nil {
				return failed
			}
			if detailed && slices.ContainsFunc(all, func(m measure.Measured) bool { return m.Watched.Verdict != ledger.Well }) {
				return exitCode(2)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 where a verdict is not well")
	cmd.Flags().BoolVar(&propose, "propose", false, "propose to train again, where spec.onDrift asks for it")
	cmd.Flags().BoolVar(&r.push, "push", false, "push what is proposed to the remote of this clone, and its data to its own")
	cmd.Flags().StringSliceVar(&r.options.Allow, "allow", nil, "ask this private `HOST` or network")
	formats(cmd, &format, "text", "json", "html")
	return cmd
}

// measured is what was found. A monitor that cannot measure keeps no other from it: why is told afterwards.
func (a *cli) measured(ctx context.Context, r *refreshing, refs []schemas.Ref) (all []measure.Measured, err error) {
	rev, in, err := r.s.Head(ctx)
	if err != nil {
		return nil, err
	}
	if len(refs) == 0 {
		if refs = monitors(in); len(refs) == 0 {
			return nil, fault.WithHint(fault.New(fault.Missing, "no monitor is declared in what is committed"), "declare one (kind: Monitor), and commit it")
		}
	}
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	r.options.Env = env
	bench := app.Bench(r.s.Repository, env, r.options.Allow)
	var failed []error
	for _, ref := range refs {
		m, err := bench.Look(ctx, in, ref)
		if err == nil {
			err = bench.Record(ctx, &m, rev.SHA)
		}
		if err != nil {
			failed = append(failed, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		all = append(all, m)
	}
	if len(failed) == 1 {
		return all, failed[0]
	}
	return all, errors.Join(failed...)
}

// monitors are the refs of those that are declared.
func monitors(in *pass.Intent) (refs []schemas.Ref) {
	for _, d := range in.Decls {
		if d.Traits().Measures {
			refs = append(refs, d.Ref())
		}
	}
	return refs
}

func (a *cli) showEvidence(e watch.Evidence, format string) error {
	switch format {
	case "json":
		return a.json(e)
	case "html":
		_, err := io.WriteString(a.out, templates.MonitorHTML(e))
		return err
	}
	_, err := io.WriteString(a.out, templates.Monitor(e))
	return err
}

func (a *cli) monitorShow() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "show [REF]", Short: "Show what a monitor found last, or the last verdict of all", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
			if len(refs) == 0 {
				return a.listMonitors(cmd.Context(), s, facts, format)
			}
			e, err := lastEvidence(cmd.Context(), s, facts, refs[0])
			if err != nil {
				return err
			}
			return a.showEvidence(e, format)
		},
	}
	formats(cmd, &format, "text", "json", "html")
	return cmd
}

// lastEvidence is what a monitor found last.
func lastEvidence(ctx context.Context, s *station, facts *ledger.Facts, ref schemas.Ref) (watch.Evidence, error) {
	last := facts.Observed[ref]
	if last == nil || last.Watched == nil {
		return watch.Evidence{}, fault.WithHint(fault.New(fault.Missing, "%s has found nothing yet", ref), "measure: vishwa monitor run %s", ref)
	}
	return evidenceOf(ctx, s, last)
}

// watching is one line of vishwa monitor show and vishwa status.
type watching struct {
	Ref     schemas.Ref     `json:"ref"`
	Verdict ledger.Standing `json:"verdict,omitempty"` // none: it never measured
	Text    string          `json:"text"`
	At      time.Time       `json:"at,omitzero"`
	Entry   int64           `json:"entry,omitempty"`
	Watched *ledger.Watched `json:"watched,omitempty"`
}

func watchings(in *pass.Intent, facts *ledger.Facts) []watching {
	out := []watching{}
	for _, ref := range monitors(in) {
		w := watching{Ref: ref, Text: "never measured"}
		if last := facts.Observed[ref]; last != nil && last.Watched != nil {
			w.Verdict, w.Text, w.At, w.Entry, w.Watched = last.Watched.Verdict, measure.Line(*last.Watched), last.Time, last.Seq, last.Watched
		}
		out = append(out, w)
	}
	return out
}

func (a *cli) listMonitors(ctx context.Context, s *station, facts *ledger.Facts, format string) error {
	in, err := s.Intent(ctx)
	if err != nil {
		return err
	}
	all := watchings(in, facts)
	if format == "json" {
		return a.json(all)
	}
	return a.showMonitors(all)
}

func (a *cli) showMonitors(all []watching) error {
	if len(all) == 0 {
		fmt.Fprintln(a.out, "No monitor is declared.")
		return nil
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "MONITOR\tVERDICT\tAT\tFOUND")
	for _, w := range all {
		at := ""
		if !w.At.IsZero() {
			at = w.At.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", w.Ref, w.Verdict, at, harmless.Line(w.Text))
	}
	return t.Flush()
}

func (a *cli) monitorDiff() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "diff REF", Short: "Show what changed since the window before", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			r, err := s.record(cmd.Context())
			if err != nil {
				return err
			}
			var found []*ledger.Entry
			for _, e := range r.Entries {
				if e.Ref == refs[0] && e.Watched != nil {
					if n := len(found); n > 0 && found[n-1].Watched.Evidence == e.Watched.Evidence {
						continue // it tells what was proposed for the same window
					}
					found = append(found, e)
				}
			}
			if len(found) < 2 {
				return fault.WithHint(fault.New(fault.Missing, "%s has %s, and a difference needs two", refs[0], plural.Of(len(found), "finding")), "measure: vishwa monitor run %s", refs[0])
			}
			was, err := evidenceOf(cmd.Context(), s, found[len(found)-2])
			if err != nil {
				return err
			}
			now, err := evidenceOf(cmd.Context(), s, found[len(found)-1])
			if err != nil {
				return err
			}
			changes := watch.Compare(was, now)
			if format == "json" {
				return a.json(changes)
			}
			_, err = io.WriteString(a.out, templates.MonitorDiff(was, now, changes))
			return err
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

// evidenceOf reads the evidence of an entry.
func evidenceOf(ctx context.Context, s *station, entry *ledger.Entry) (watch.Evidence, error) {
	e, err := app.ReadEvidence(ctx, s.Store, entry)
	if err != nil && fault.Of(err) != fault.Corrupt {
		return e, s.absent(entry, "the evidence", err)
	}
	return e, err
}
