// vishwa models: which models were released, and what was served when, by the ledger alone.

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) modelsVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "models", Short: "List models, show what was served when and who approved it, and download models", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.modelsListVerb(), a.modelsHistoryVerb(), a.modelsPullVerb())
	return cmd
}

// modelEvent is a release, a deployment or its end.
type modelEvent struct {
	Seq      int64         `json:"entry"`
	Time     time.Time     `json:"time"`
	What     string        `json:"what"` // released, deployed, rolled back, retired
	Ref      schemas.Ref   `json:"ref"`
	Place    string        `json:"environment,omitempty"`
	Model    digest.Digest `json:"model,omitempty"`
	From     string        `json:"from,omitempty"` // the candidate
	Approved []string      `json:"approvedBy,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Revision string        `json:"revision,omitempty"`
	of       schemas.Ref   // the model's
}

// modelEvents are those of all models, oldest first.
func (s *station) modelEvents(ctx context.Context) (out []modelEvent, err error) {
	if _, err := s.GitLedger.Facts(ctx); err != nil { // fetched, and verified as far as it is new
		return nil, err
	}
	released := map[digest.Digest]schemas.Ref{} // which model selected by this key, and which these bytes last
	serves := map[schemas.Ref]modelEvent{}
	for e, err := range s.Entries(ctx) {
		if err != nil {
			return nil, err
		}
		ev := modelEvent{Seq: e.Seq, Time: e.Time.UTC(), Ref: e.Ref, Approved: e.Approved, Reason: e.Reason, Revision: e.Revision}
		if e.Model != nil {
			ev.Model, ev.From = e.Model.Artifact.Digest, e.Model.Candidate.String()
		}
		switch {
		case e.Duplicate:
			continue
		case e.Action == ledger.Select && e.Model != nil:
			ev.What, ev.of = "released", e.Ref
			released[e.Key], released[ev.Model] = e.Ref, e.Ref
		case e.Action == ledger.Deploy && e.Model != nil && e.Release != nil:
			ev.What, ev.Place = "deployed", e.Release.Environment
			if e.Rollback() {
				ev.What = "rolled back"
			}
			var by bool
			if ev.of, by = released[e.Release.Selected]; !by { // recorded before that was
				ev.of = released[ev.Model]
			}
			serves[e.Ref] = ev
		case e.Action == ledger.Retire && serves[e.Ref].Model != "":
			was := serves[e.Ref]
			ev.What, ev.Place, ev.Model, ev.of = "retired", was.Place, was.Model, was.of
			delete(serves, e.Ref)
		default:
			continue
		}
		out = append(out, ev)
	}
	return out, nil
}

func (a *cli) modelsListVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List models with their newest release, and where they are served",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			events, err := s.modelEvents(cmd.Context())
			if err != nil {
				return err
			}
			return a.listModels(events, format)
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

// listedModel is a model as it stands.
type listedModel struct {
	Ref      schemas.Ref   `json:"ref"`
	Model    digest.Digest `json:"model"`
	Seq      int64         `json:"entry"`
	Time     time.Time     `json:"time"`
	Releases int           `json:"releases"`
	Served   []modelEvent  `json:"served,omitempty"`
}

func (a *cli) listModels(events []modelEvent, format string) error {
	out := []*listedModel{}
	at := map[schemas.Ref]*listedModel{}
	served := map[schemas.Ref]modelEvent{}
	var order []schemas.Ref
	for _, e := range events {
		switch e.What {
		case "released":
			m := at[e.of]
			if m == nil {
				m = &listedModel{Ref: e.of}
				at[e.of] = m
				out = append(out, m)
			}
			m.Model, m.Seq, m.Time = e.Model, e.Seq, e.Time
			m.Releases++
		case "retired":
			delete(served, e.Ref)
		default:
			served[e.Ref] = e
			order = append(order, e.Ref)
		}
	}
	for _, ref := range order {
		if e, ok := served[ref]; ok && at[e.of] != nil {
			at[e.of].Served = append(at[e.of].Served, e)
			delete(served, ref)
		}
	}
	if format == "json" {
		return a.json(out)
	}
	if len(out) == 0 {
		fmt.Fprintln(a.err, "No model was released.")
		return nil
	}
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "MODEL\tNEWEST\tENTRY\tTIME\tRELEASES\tSERVED")
	for _, m := range out {
		var where []string
		for _, e := range m.Served {
			where = append(where, harmless.Line(e.Place)+" "+e.Model.Short())
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\n", m.Ref, m.Model.Short(), m.Seq, m.Time.Format(time.RFC3339), m.Releases, strings.Join(where, ", "))
	}
	return t.Flush()
}

func (a *cli) modelsHistoryVerb() *cobra.Command {
	var format, at string
	cmd := &cobra.Command{
		Use:   "history {model/NAME|deployment/NAME}",
		Short: "Show what was released and served when, why, and who approved it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			if k := refs[0].Kind.Traits(); !k.Releases && !k.Serves {
				return usage(cmd, fmt.Errorf("%s is neither a model nor a deployment", refs[0]))
			}
			until, err := a.moment(cmd, at)
			if err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			events, err := s.modelEvents(cmd.Context())
			if err != nil {
				return err
			}
			out := []modelEvent{}
			for _, e := range events {
				if (e.of == refs[0] || e.Ref == refs[0]) && (until.IsZero() || !e.Time.After(until)) {
					out = append(out, e)
				}
			}
			if at != "" {
				out = stood(out)
			}
			if format == "json" {
				return a.json(out)
			}
			if format == "html" {
				return a.historyPage(refs[0], out)
			}
			if len(out) == 0 {
				a.noHistory(refs[0], events, until)
				return nil
			}
			return a.showHistory(out)
		},
	}
	formats(cmd, &format, "text", "json", "html")
	cmd.Flags().StringVar(&at, "at", "", "only what was there at `TIME`: RFC 3339, a date (its 00:00 UTC), or a span ago such as 36h or 2w")
	return cmd
}

// historyPage prints a page for a browser.
func (a *cli) historyPage(ref schemas.Ref, all []modelEvent) error {
	var rows []templates.Happened
	for _, e := range all {
		rows = append(rows, templates.Happened{Entry: e.Seq, Time: e.Time, What: e.What, Of: e.Ref.String(), Environment: e.Place, Model: e.Model, Approved: e.Approved, Why: e.Reason})
	}
	_, err := io.WriteString(a.out, templates.HistoryPage("History of "+ref.String(), rows))
	return err
}

// stood is the newest event of each ref, but for what was retired.
func stood(events []modelEvent) []modelEvent {
	last := map[schemas.Ref]int64{}
	for _, e := range events {
		last[e.Ref] = e.Seq
	}
	out := []modelEvent{}
	for _, e := range events {
		if last[e.Ref] == e.Seq && e.What != "retired" {
			out = append(out, e)
		}
	}
	return out
}

// noHistory says of ref that nothing is told of it, and what is.
func (a *cli) noHistory(ref schemas.Ref, events []modelEvent, at time.Time) {
	for _, e := range events {
		if e.of == ref || e.Ref == ref {
			fmt.Fprintf(a.err, "At %s nothing of %s was released or served; its first entry is %d, of %s.\n", at.UTC().Format(time.RFC3339), ref, e.Seq, e.Time.Format(time.RFC3339))
			return
		}
	}
	fmt.Fprintf(a.err, "Nothing of %s is recorded. vishwa models list shows the models, and where they are served.\n", ref)
}

func (a *cli) showHistory(all []modelEvent) error {
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tENTRY\tWHAT\tMODEL\tWHERE\tAPPROVED BY\tWHY")
	for _, e := range all {
		where := e.Ref.String()
		if e.Place != "" {
			where = e.Place + " (" + where + ")"
		}
		by := strings.Join(e.Approved, ", ")
		if by == "" {
			by = "-"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", e.Time.Format(time.RFC3339), e.Seq, e.What, e.Model.Short(), harmless.Line(where), harmless.Line(by), harmless.Line(e.Reason))
	}
	return t.Flush()
}
