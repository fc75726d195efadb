// vishwa status: what is served, what stands, and what is due.

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
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
	// Isolation is what keeps the served process apart from this machine; nil: none runs.
	Isolation *port.Isolation `json:"isolation,omitempty"`
	Log       *port.Logging   `json:"log,omitempty"` // how its log of predictions is doing
	Want      plan.Do         `json:"want"`          // what apply would do about it
	Why       string          `json:"why"`
	Held      string          `json:"held,omitempty"`
	Suspended string          `json:"suspended,omitempty"` // by whom and why
	Failed    string          `json:"failed,omitempty"`    // when and why the last try of what is due failed
	Runs      []runUnderWay   `json:"runs,omitempty"`      // that this machine began and that have not ended
}

func (a *cli) statusVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is served, what is made, and what is due",
		Long: `Show what is served, what is made, and what is due. For a run that this machine began
and that has not ended, it shows where it runs, since when, how far it is and what it
waits for, if its runner knows.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, w, err := a.openAndObserve(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			s.WorkData = nil // what data is like beside its pointers, plan and apply tell
			p, err := s.Plan(cmd.Context(), w, pass.ApplyOptions{})
			if err != nil {
				return err
			}
			all, err := s.withRuns(cmd.Context(), w, p, standings(w, p))
			if err != nil {
				return err
			}
			if format == "json" {
				return a.json(withMonitors(all, w))
			}
			fmt.Fprintln(a.out, about(w)+s.where())
			if err := a.showStatus(all); err != nil {
				return err
			}
			a.tellBeside(s, w.Facts)
			if seen := watchings(w.Intent, w.Facts); len(seen) > 0 {
				fmt.Fprintln(a.out)
				if err := a.showMonitors(seen); err != nil {
					return err
				}
			}
			return a.trackersLine(s, w.Facts.Count)
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

// withMonitors adds a line a monitor: its state is the last verdict.
func withMonitors(all []standing, w *pass.Snapshot) []standing {
	for _, m := range watchings(w.Intent, w.Facts) {
		one := standing{Ref: m.Ref, State: string(m.Verdict), Since: m.At, Want: plan.Keep, Why: m.Text}
		if one.State == "" {
			one.State = "never measured"
		}
		all = append(all, one)
	}
	return all
}

func standings(w *pass.Snapshot, p plan.Plan) []standing {
	all := []standing{}
	for _, st := range p.Steps {
		out := standing{Ref: st.Ref, Want: st.Do, Why: st.Why, Held: st.Held, State: "made"}
		serves := st.Ref.Kind.Traits().Serves
		switch {
		case serves:
			live := w.Live[st.Ref]
			out.State, out.URL, out.Model, out.Since = string(live.Health), live.URL, live.Model, live.Since
			out.Restarts, out.Message, out.Isolation, out.Log = live.Restarts, live.Message, live.Isolation, live.Log
			if why, silent := w.Unobservable[st.Ref]; silent {
				out.State, out.Message = "not known", plan.NotAsked+why
			} else if live.Key == "" {
				out.State = "not served"
			}
		case st.Ref.Kind.Traits().Packs:
			if e := w.Facts.Latest[st.Ref]; e != nil && e.Package != nil && e.Action == ledger.Pack {
				out.URL, out.Model, out.Since = e.Package.Reference(), e.Model.Artifact.Digest, e.Time
			}
			if st.Do != plan.Keep {
				out.State, out.Message = "due", w.Unobservable[st.Ref]
			}
		case st.Do == plan.Keep:
		case st.Pending:
			out.State = "waits"
		default:
			out.State = "due"
		}
		if st.Held != "" && !serves {
			out.State = "held"
		}
		if e := w.Facts.Suspension(st.Ref); e != nil {
			out.Suspended = ledger.Suspended(e)
			if !serves {
				out.State = "suspended"
			}
		}
		out.Failed = lastFailure(w.Facts, st)
		all = append(all, out)
	}
	return all
}

// lastFailure says when and why what st is about failed the last time; "" where it did not, or
// where the plan says so already.
func lastFailure(f *ledger.Facts, st plan.Step) string {
	if st.Do == plan.Keep {
		return ""
	}
	last := f.Failed[st.Key].Last
	for _, e := range f.Stuck {
		if key := ledger.KeyOf(*e); e.Ref == st.Ref && e.PullRequest == nil && (key == st.Key || key == "") && (last == nil || e.Seq > last.Seq) {
			last = e
		}
	}
	if last == nil || last.Failure == nil {
		return ""
	}
	why, _, _ := strings.Cut(strings.TrimSpace(last.Failure.Message), "\n")
	if strings.Contains(st.Why+st.Held, why) {
		return ""
	}
	return fmt.Sprintf("the last try failed at %s (entry %d): %s", last.Time.UTC().Format(time.RFC3339), last.Seq, why)
}

func (a *cli) showStatus(all []standing) error {
	t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "REF\tSTATE\tMODEL\tADDRESS\tSINCE\tISOLATED\tNEXT")
	for _, s := range all {
		since, apart := "", ""
		if s.Isolation != nil {
			apart = s.Isolation.Rung()
		}
		if !s.Since.IsZero() {
			since = s.Since.UTC().Format(time.RFC3339)
		}
		next := string(s.Want)
		if s.Want != plan.Keep {
			next += ": " + s.Why
		}
		if s.Failed != "" {
			next += "; " + s.Failed
		}
		for _, r := range s.Runs {
			next += "; " + r.String()
		}
		if s.Held != "" {
			next = "held: " + s.Held
		} else if s.Suspended != "" {
			next += "; " + s.Suspended
		}
		if s.Restarts > 0 {
			next += fmt.Sprintf(" (%d restarts)", s.Restarts)
		}
		if s.Message != "" && s.State != string(port.Ready) && !strings.Contains(next, s.Message) {
			next += " (" + s.Message + ")"
		}
		if l := s.Log; l != nil && (l.Dropped > 0 || l.Lost > 0 || l.Error != "") {
			next += fmt.Sprintf("; predictions: %d written, %d dropped", l.Rows, l.Dropped+l.Lost)
			if l.Error != "" {
				next += ": " + l.Error
			}
		}
		line, _, _ := strings.Cut(next, "\n")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Ref, s.State, s.Model.Short(), s.URL, since, apart, harmless.Line(line))
	}
	return t.Flush()
}
