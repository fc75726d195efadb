// vishwa runs: what was run, by the ledger alone: parameters, metrics and what was logged.

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) runsVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "runs", Short: "List, show and compare runs, by the ledger", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.runsListVerb(), a.runsShowVerb(), a.runsCompareVerb())
	return cmd
}

// shownRun is a run as it is told, and as --format json has it.
type shownRun struct {
	Seq      int64              `json:"entry"`
	Ref      schemas.Ref        `json:"ref"`
	Key      string             `json:"key"`
	Time     time.Time          `json:"time"`
	Revision string             `json:"revision,omitempty"`
	For      string             `json:"for,omitempty"` // a pull request
	Took     float64            `json:"seconds"`
	Params   map[string]any     `json:"params,omitempty"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
	Stopped  string             `json:"stopped,omitempty"` // early, and why
	Logged   *tracking.Document `json:"logged,omitempty"`
	of       *ledger.Entry
	kept     *port.Artifact // what it logged, with images and tables
	lost     bool           // which the store of this machine does not have
}

func runOf(e *ledger.Entry) shownRun {
	r := shownRun{of: e, Seq: e.Seq, Ref: e.Ref, Key: string(e.Key), Time: e.Time.UTC(), Revision: e.Revision, For: e.PullRequest.String(), Metrics: e.Metrics}
	if made := e.Recipe(); made != nil {
		r.Params = made.Params
	}
	if s := e.Stopped(); s != nil {
		r.Stopped = s.String()
	}
	if e.Run != nil {
		r.Took = e.Run.Finished.Sub(e.Run.Started).Seconds()
	}
	return r
}

// runs are the entries of runs that made something, oldest first.
func (s *station) runs(ctx context.Context, keep func(*ledger.Entry) bool) (out []*ledger.Entry, err error) {
	if _, err := s.GitLedger.Facts(ctx); err != nil { // fetched, and verified as far as it is new
		return nil, err
	}
	for e, err := range s.Entries(ctx) {
		if err != nil {
			return nil, err
		}
		if e.Ran() && keep(&e) {
			out = append(out, &e)
		}
	}
	return out, nil
}

func (a *cli) runsListVerb() *cobra.Command {
	var format string
	var limit int
	cmd := &cobra.Command{
		Use:   "list [REF...]",
		Short: "List runs, the newest first",
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
			f := filter{refs: refs}
			all, err := s.runs(cmd.Context(), func(e *ledger.Entry) bool { return f.shows(*e) })
			if err != nil {
				return err
			}
			slices.Reverse(all)
			if limit > 0 && len(all) > limit {
				all = all[:limit]
			}
			out := make([]shownRun, len(all))
			for i, e := range all {
				out[i] = runOf(e)
			}
			if format == "json" {
				return a.json(out)
			}
			if len(out) == 0 && len(refs) > 0 {
				fmt.Fprintf(a.err, "No run of %s is recorded. vishwa runs list shows all.\n", names(refs))
				return nil
			}
			return a.listRuns(out)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().IntVarP(&limit, "limit", "n", 0, "at most `N` runs")
	return cmd
}

// mostShown is how many metrics of a run a list shows.
const mostShown = 4

func (a *cli) listRuns(all []shownRun) error {
	if len(all) == 0 {
		fmt.Fprintln(a.err, "No runs.")
		return nil
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ENTRY\tRUN\tTIME\tTOOK\tMETRICS")
	for _, r := range all {
		var metrics []string
		if r.Stopped != "" {
			metrics = []string{harmless.Line(r.Stopped)}
		}
		for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
			if len(metrics) == mostShown {
				metrics = append(metrics, fmt.Sprintf("%d more", len(r.Metrics)-mostShown))
				break
			}
			metrics = append(metrics, harmless.Line(name)+" "+templates.Number(r.Metrics[name]))
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%.1f s\t%s\n", r.Seq, r.Ref, r.Time.Format(time.RFC3339), r.Took, strings.Join(metrics, ", "))
	}
	return t.Flush()
}

func (a *cli) runsShowVerb() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "show {ENTRY|REF}",
		Short: "Show a run and what it logged, by the number of its entry, or the newest run of a ref",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			all, err := s.named(cmd, args)
			if err != nil {
				return err
			}
			if out != "" {
				if err := s.layLogged(cmd.Context(), all[0], out); err != nil {
					return err
				}
			}
			if format == "json" {
				return a.json(all[0])
			}
			a.showRun(all[0])
			if out != "" {
				fmt.Fprintf(a.out, "Wrote %s to %s.\n", plural.Of(len(all[0].kept.Files), "file"), out)
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringVar(&out, "out", "", "write what it logged, with images and tables, to `DIR`, a new folder")
	return cmd
}

// layLogged lays out what a run logged: a document with parameters and courses, and below media its images and tables.
func (s *station) layLogged(ctx context.Context, r shownRun, to string) error {
	if r.kept == nil {
		return fault.WithHint(fault.New(fault.Missing, "entry %d logged nothing by the tools of others", r.Seq), "vishwa runs show %d shows what it has", r.Seq)
	}
	to = filepath.Clean(to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return artifact.Disk(err, filepath.Dir(to))
	}
	return s.absent(r.of, "what it logged", artifact.Checkout(ctx, s.Store, *r.kept, to))
}

func (a *cli) namedRuns(cmd *cobra.Command, args []string) ([]shownRun, error) {
	s, err := a.open(cmd.Context(), reading)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.named(cmd, args)
}

// named are the runs that arguments name, with what they logged.
func (s *station) named(cmd *cobra.Command, args []string) ([]shownRun, error) {
	every, err := s.runs(cmd.Context(), func(*ledger.Entry) bool { return true })
	if err != nil {
		return nil, err
	}
	var out []shownRun
	for _, arg := range args {
		var found *ledger.Entry
		if seq, err := strconv.ParseInt(arg, 10, 64); err == nil {
			if i := slices.IndexFunc(every, func(e *ledger.Entry) bool { return e.Seq == seq }); i >= 0 {
				found = every[i]
			}
		} else {
			refs, err := parseRefs(cmd, []string{arg})
			if err != nil {
				return nil, err
			}
			for _, e := range every {
				if e.Ref == refs[0] || e.Ref.Whole() == refs[0] {
					found = e
				}
			}
		}
		if found == nil {
			return nil, fault.WithHint(fault.New(fault.Missing, "no run is recorded as %s", arg), "vishwa runs list shows all")
		}
		r := runOf(found)
		if r.Logged, err = pass.Logged(cmd.Context(), s.Store, found.Run); err != nil {
			return nil, err
		}
		if found.Run != nil && found.Run.Tracking != nil {
			r.kept, r.lost = found.Run.Tracking, r.Logged == nil
		}
		out = append(out, r)
	}
	return out, nil
}

func (a *cli) showRun(r shownRun) {
	fmt.Fprintf(a.out, "entry %d  %s\n", r.Seq, r.Ref)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.out, "  %-9s %s\n", name+":", harmless.Line(value))
		}
	}
	line("Date", r.Time.Format(time.RFC3339))
	line("Took", fmt.Sprintf("%.1f s", r.Took))
	line("Key", r.Key)
	line("Revision", r.Revision)
	line("For", r.For)
	line("Stopped", r.Stopped)
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		line("Param", fmt.Sprintf("%s %v", name, r.Params[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		line("Metric", name+" "+templates.Number(r.Metrics[name]))
	}
	if r.lost {
		line("Logged", "parameters and courses, which the store of this machine does not have")
	}
	if r.Logged == nil {
		return
	}
	for _, text := range templates.LoggedBy(*r.Logged, r.kept.Files).Lines() {
		line("Logged", text)
	}
	for _, n := range r.Logged.Notes {
		line("Note", n)
	}
}

func (a *cli) runsCompareVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "compare {ENTRY|REF} {ENTRY|REF}...",
		Short: "Compare runs: the parameters that differ, and the metrics",
		Long: `Compares runs: the parameters that differ, and the metrics. With --format html, a page for
a browser, with the course of each metric that they logged and a line a run through its
parameters and metrics; it has no script and loads nothing.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := a.namedRuns(cmd, args)
			if err != nil {
				return err
			}
			for _, r := range all {
				if r.lost {
					fmt.Fprintf(a.err, "The store of this machine does not have what entry %d logged: its parameters and courses are missing here.\n", r.Seq)
				}
			}
			switch format {
			case "json":
				return a.json(all)
			case "html":
				_, err := io.WriteString(a.out, templates.ComparedPage("Runs compared", compared(all)))
				return err
			}
			return a.compareRuns(all)
		},
	}
	formats(cmd, &format, "text", "json", "html")
	return cmd
}

// compared are runs as a page shows them.
func compared(all []shownRun) (out []templates.Compared) {
	for _, r := range all {
		c := templates.Compared{Name: fmt.Sprintf("%s, entry %d", r.Ref, r.Seq), Note: r.Stopped, Params: map[string]string{}, Metrics: r.Metrics}
		if r.Logged != nil {
			maps.Copy(c.Params, r.Logged.Params)
			c.Series = r.Logged.Series
		}
		for name, v := range r.Params { // what the declaration gives before what the run says of it
			c.Params[name] = fmt.Sprint(v)
		}
		out = append(out, c)
	}
	return out
}

// compareRuns prints a column a run.
func (a *cli) compareRuns(all []shownRun) error {
	params, metrics := map[string][]string{}, map[string][]string{}
	set := func(in map[string][]string, name string, i int, value string) {
		if in[name] == nil {
			in[name] = slices.Repeat([]string{"-"}, len(all))
		}
		in[name][i] = harmless.Line(value)
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprint(t, "RUN")
	for i, r := range all {
		fmt.Fprintf(t, "\t%s, entry %d", r.Ref, r.Seq)
		if r.Logged != nil {
			for name, v := range r.Logged.Params {
				set(params, name, i, v)
			}
		}
		for name, v := range r.Params { // what the declaration gives before what the run says of it
			set(params, name, i, fmt.Sprint(v))
		}
		for name, v := range r.Metrics {
			set(metrics, name, i, templates.Number(v))
		}
	}
	fmt.Fprintln(t)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if row := params[name]; slices.ContainsFunc(row, func(v string) bool { return v != row[0] }) {
			fmt.Fprintf(t, "param %s\t%s\n", harmless.Line(name), strings.Join(row, "\t"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		fmt.Fprintf(t, "metric %s\t%s\n", harmless.Line(name), strings.Join(metrics[name], "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range all {
		if r.Stopped != "" {
			fmt.Fprintf(a.out, "%s, entry %d: %s\n", r.Ref, r.Seq, harmless.Line(r.Stopped))
		}
	}
	return nil
}
