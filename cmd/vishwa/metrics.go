// vishwa metrics: candidates against each other and against the live model.

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) metricsVerb() *cobra.Command {
	var format string
	var limit int
	cmd := &cobra.Command{
		Use:   "metrics [model/NAME]",
		Short: "Compare candidates with each other and with the live model",
		Long: `Compares the candidates of each model with each other and with the live model, the best
first. With --format html, a page for a browser, with a line a candidate through its
parameters and metrics, and the course of each metric that the first 24 of a model logged;
it has no script and loads nothing.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			s, w, err := a.openAndObserve(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			boards := pass.Leaderboards(w)
			if len(refs) == 1 {
				boards = slices.DeleteFunc(boards, func(b pass.Leaderboard) bool { return b.Model != refs[0] })
				if len(boards) == 0 {
					return notDeclared(refs[0], w)
				}
			}
			for i, b := range boards {
				if limit > 0 {
					boards[i].Rows = b.Rows[:min(len(b.Rows), limit)]
				}
			}
			switch format {
			case "json":
				return a.json(boards)
			case "html":
				return a.boardPage(cmd.Context(), s, boards)
			}
			for _, b := range boards {
				if err := a.showBoard(b); err != nil {
					return err
				}
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json", "html")
	cmd.Flags().IntVarP(&limit, "limit", "n", 0, "at most `N` candidates of each model, the best")
	cmd.AddCommand(a.metricsDiffVerb())
	return cmd
}

// mostCourses bounds the candidates of a model whose courses a page has: its lines can be told apart no further.
const mostCourses = 24

// boardPage prints a page for a browser; of several models, one after the other's candidates.
func (a *cli) boardPage(ctx context.Context, s *station, boards []pass.Leaderboard) error {
	var all []templates.Compared
	var names []string
	lost := 0
	for _, b := range boards {
		names = append(names, b.Model.String())
		for i, r := range b.Rows {
			c := templates.Compared{Name: r.Ref.String(), Note: strings.Join(notes(r), ", "), Params: map[string]string{}, Metrics: r.Metrics}
			for name, v := range r.Params {
				c.Params[name] = fmt.Sprint(v)
			}
			if i < mostCourses && r.Run != nil && r.Run.Tracking != nil {
				d, err := pass.Logged(ctx, s.Store, r.Run)
				if err != nil {
					return err
				}
				if d == nil {
					lost++
				} else {
					c.Series = d.Series
				}
			}
			all = append(all, c)
		}
	}
	if lost > 0 {
		fmt.Fprintf(a.err, "The store of this machine does not have what %s logged: their courses are missing here.\n", plural.Of(lost, "candidate"))
	}
	_, err := io.WriteString(a.out, templates.ComparedPage("Candidates of "+strings.Join(names, ", "), all))
	return err
}

// showBoard prints a table with the selecting metric first.
func (a *cli) showBoard(b pass.Leaderboard) error {
	fmt.Fprintf(a.out, "%s: %s %s", b.Model, b.Goal, b.Metric)
	for _, o := range b.Objectives {
		fmt.Fprintf(a.out, ", %s %s", cmp.Or(o.Goal, "maximize"), o.Metric)
	}
	if b.TieBreak != "" {
		fmt.Fprintf(a.out, "; of the front, %s", templates.TieBreak(b.TieBreak))
	}
	if b.Live != "" {
		fmt.Fprintf(a.out, "; live is %s, differences in brackets", b.Live.Short())
	}
	fmt.Fprintln(a.out)
	names := map[string]bool{}
	for _, r := range b.Rows {
		for n := range r.Metrics {
			names[n] = true
		}
	}
	columns := []string{b.Metric}
	for _, o := range b.Objectives {
		columns = append(columns, o.Metric)
	}
	for _, name := range columns {
		delete(names, name)
	}
	columns = append(columns, slices.Sorted(maps.Keys(names))...)
	table := [][]string{slices.Concat([]string{"CANDIDATE"}, b.Searched, columns, []string{"NOTE"})}
	for _, r := range b.Rows {
		row := []string{r.Ref.Output}
		for _, name := range b.Searched {
			row = append(row, param(r.Params[name]))
		}
		for _, c := range columns {
			row = append(row, cell(r, c))
		}
		table = append(table, append(row, strings.Join(notes(r), ", ")))
	}
	if b.Searched == nil && len(columns) > len(b.Rows) {
		table = turned(table)
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	for _, row := range table {
		fmt.Fprintf(t, "  %s\n", strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range templates.Scores(b.Scores) {
		fmt.Fprintf(a.out, "  scored %s\n", line)
	}
	return nil
}

// turned makes rows columns, so that a table grows in the direction that has room.
func turned(table [][]string) [][]string {
	out := make([][]string, len(table[0]))
	for i := range out {
		for _, row := range table {
			out[i] = append(out[i], row[i])
		}
	}
	return out
}

// param is a parameter's value in a table.
func param(v any) string {
	raw, err := json.Marshal(v)
	switch text, isText := v.(string); {
	case v == nil || err != nil:
		return "-"
	case isText:
		raw = []byte(text)
	}
	if len(raw) > 24 {
		raw = append(bytes.ToValidUTF8(raw[:24], nil), "..."...)
	}
	return harmless.Line(string(raw))
}

func cell(r pass.Row, metric string) string {
	v, ok := r.Metrics[metric]
	if !ok {
		return "-"
	}
	text := templates.Number(v)
	if d, ok := r.Delta[metric]; ok && d != 0 {
		text += " (" + signed(d) + ")"
	}
	return text
}

// signed is a difference, with its sign.
func signed(d float64) string {
	if d > 0 {
		return "+" + templates.Number(d)
	}
	return templates.Number(d)
}

func notes(r pass.Row) (out []string) {
	if r.Selected {
		out = append(out, "selected")
	}
	if r.Front {
		out = append(out, "on the front")
	}
	if r.Live {
		out = append(out, "live")
	}
	switch {
	case r.Stopped != "":
		out = append(out, harmless.Line(r.Stopped))
	case r.Metrics == nil:
		out = append(out, "not trained")
	}
	if !r.Made && (r.Metrics != nil || r.Stopped != "") {
		out = append(out, "trained before the last change")
	}
	return out
}
