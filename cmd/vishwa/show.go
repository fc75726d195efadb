// vishwa status, metrics and explain: how things stand and where they come from.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/explain"
	"github.com/vishwaops/vishwa/reconciler/ledger"
	"github.com/vishwaops/vishwa/reconciler/loop"
	"github.com/vishwaops/vishwa/reconciler/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// standing is one line of vishwa status.
type standing struct {
	Ref      schemas.Ref   `json:"ref"`
	State    string        `json:"state"`
	URL      string        `json:"url,omitempty"`
	Model    digest.Digest `json:"model,omitempty"`
	Since    time.Time     `json:"since,omitzero"`
	Restarts int           `json:"restarts,omitempty"`
	Message  string        `json:"message,omitempty"`
	Want     plan.Do       `json:"want"` // what apply would do about it
	Why      string        `json:"why"`
	Held     string        `json:"held,omitempty"`
}

func (a *app) statusVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is served, what stands, and what is due",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf(cmd, "format", format, "text", "json"); err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			w, err := s.Preview(cmd.Context())
			if err != nil {
				return err
			}
			p, _, err := s.Plan(cmd.Context(), w, loop.Orders{})
			if err != nil {
				return err
			}
			all := standings(w, p)
			if format == "json" {
				return a.json(all)
			}
			fmt.Fprintln(a.out, about(w)+s.where())
			return a.showStatus(all)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func standings(w *loop.World, p plan.Plan) []standing {
	all := []standing{}
	for _, st := range p.Steps {
		out := standing{Ref: st.Ref, Want: st.Do, Why: st.Why, Held: st.Held, State: "made"}
		switch {
		case st.Ref.Kind == "deployment":
			live := w.Live[st.Ref]
			out.State, out.URL, out.Model, out.Since = string(live.Health), live.URL, live.Model, live.Since
			out.Restarts, out.Message = live.Restarts, live.Message
			if live.Key == "" {
				out.State = "not served"
			}
		case st.Do == plan.Keep:
		case st.Pending:
			out.State = "waits"
		default:
			out.State = "due"
		}
		if st.Held != "" && st.Ref.Kind != "deployment" {
			out.State = "held"
		}
		all = append(all, out)
	}
	return all
}

func (a *app) showStatus(all []standing) error {
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "REF\tSTATE\tMODEL\tADDRESS\tSINCE\tNEXT")
	for _, s := range all {
		since := ""
		if !s.Since.IsZero() {
			since = s.Since.UTC().Format(time.RFC3339)
		}
		next := string(s.Want)
		if s.Want != plan.Keep {
			next += ": " + s.Why
		}
		if s.Held != "" {
			next = "held: " + s.Held
		}
		if s.Restarts > 0 {
			next += fmt.Sprintf(" (%d restarts)", s.Restarts)
		}
		if s.Message != "" && s.State != string(port.Ready) && !strings.Contains(next, s.Message) {
			next += " (" + s.Message + ")"
		}
		line, _, _ := strings.Cut(next, "\n")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Ref, s.State, s.Model.Short(), s.URL, since, printable(line))
	}
	return t.Flush()
}

func (a *app) metricsVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "metrics [model/NAME]",
		Short: "Compare candidates with each other and with the live model",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf(cmd, "format", format, "text", "json"); err != nil {
				return err
			}
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			w, err := s.Preview(cmd.Context())
			if err != nil {
				return err
			}
			boards := loop.Boards(w)
			if len(refs) == 1 {
				boards = slices.DeleteFunc(boards, func(b loop.Board) bool { return b.Model != refs[0] })
				if len(boards) == 0 {
					return notDeclared(refs[0], w)
				}
			}
			if format == "json" {
				return a.json(boards)
			}
			for _, b := range boards {
				if err := a.showBoard(b); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// showBoard prints a table with the selecting metric first.
func (a *app) showBoard(b loop.Board) error {
	fmt.Fprintf(a.out, "%s: %s %s", b.Model, b.Goal, b.Metric)
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
	delete(names, b.Metric)
	columns := append([]string{b.Metric}, slices.Sorted(maps.Keys(names))...)
	table := [][]string{slices.Concat([]string{"CANDIDATE"}, columns, []string{"NOTE"})}
	for _, r := range b.Rows {
		row := []string{r.Ref.Output}
		for _, c := range columns {
			row = append(row, cell(r, c))
		}
		table = append(table, append(row, strings.Join(notes(r), ", ")))
	}
	if len(columns) > len(b.Rows) {
		table = turned(table)
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	for _, row := range table {
		fmt.Fprintf(t, "  %s\n", strings.Join(row, "\t"))
	}
	return t.Flush()
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

func cell(r loop.Row, metric string) string {
	v, ok := r.Metrics[metric]
	if !ok {
		return "-"
	}
	text := fmt.Sprintf("%.4f", v)
	if v == float64(int64(v)) {
		text = fmt.Sprintf("%d", int64(v))
	}
	if d, ok := r.Delta[metric]; ok && d != 0 {
		text += fmt.Sprintf(" (%+.4f)", d)
	}
	return text
}

func notes(r loop.Row) (out []string) {
	if r.Selected {
		out = append(out, "selected")
	}
	if r.Live {
		out = append(out, "live")
	}
	switch {
	case r.Metrics == nil:
		out = append(out, "not trained")
	case !r.Made:
		out = append(out, "trained before the last change")
	}
	return out
}

func (a *app) explainVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "explain REF|DIGEST",
		Short: "Show where something comes from: deployment, model, run, params, data, author",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf(cmd, "format", format, "text", "json"); err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			n, err := explained(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return a.json(n)
			}
			tree(a.out, n, "", "")
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// explained is the tree under a ref or a digest. A ref means what is in force for
// what is declared now; where that was not made, or cannot be told because the
// declarations are broken, its newest entry.
func explained(ctx context.Context, s *station, name string) (explain.Node, error) {
	ref, notRef := schemas.ParseRef(name)
	facts, err := s.Book.Facts(ctx)
	if err != nil {
		return explain.Node{}, err
	}
	if notRef != nil {
		return explain.Digest(facts, name)
	}
	if e := inForce(ctx, s, facts, ref); e != nil {
		return explain.Entry(facts, e), nil
	}
	return explain.Ref(facts, ref)
}

// inForce is the entry that stands under ref for what the work tree declares; nil
// where there is none. After a revert it is not the newest one.
func inForce(ctx context.Context, s *station, facts *ledger.Facts, ref schemas.Ref) *ledger.Entry {
	if ref.Kind == "deployment" || ref.Kind == "infrastructure" {
		return facts.Latest[ref]
	}
	in, err := s.Intent(ctx)
	if err != nil {
		return nil
	}
	for _, st := range plan.Compute(in.Graph, plan.Seen{Facts: facts}).Steps {
		if st.Ref == ref && st.Do == plan.Keep {
			return facts.ByKey[st.Key]
		}
	}
	return nil
}

// tree draws n and what it came from.
func tree(w io.Writer, n explain.Node, head, rest string) {
	line := n.What
	if n.Name != "" && n.Name != n.What {
		line += " " + n.Name
	}
	if n.Digest != "" {
		line += " " + string(n.Digest)
	}
	if n.Entry != nil {
		line += fmt.Sprintf(" (entry %d)", *n.Entry)
	}
	fmt.Fprintln(w, head+printable(line))
	bar := "   "
	if len(n.From) > 0 {
		bar = "│  "
	}
	for _, f := range n.Facts {
		fmt.Fprintf(w, "%s%s%s: %s\n", rest, bar, f.Name, printable(f.Value))
	}
	for i, from := range n.From {
		if i == len(n.From)-1 {
			tree(w, from, rest+"└─ ", rest+"   ")
		} else {
			tree(w, from, rest+"├─ ", rest+"│  ")
		}
	}
}
