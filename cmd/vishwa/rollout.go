// vishwa rollout: how a release that is tried next to the one that serves stands, and what people decide about it.

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) rolloutVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Show the rollout of a new release; promote, pause or abort it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.rolloutStatus(), a.rolloutPromote(), a.rolloutPause(), a.rolloutAbort(), a.rolloutRevert())
	return cmd
}

// rolling is what vishwa rollout status prints.
type rolling struct {
	Ref      schemas.Ref   `json:"ref"`
	Phase    rollout.Phase `json:"phase,omitempty"` // empty: no release was ever tried
	Key      digest.Digest `json:"key,omitempty"`
	Step     int           `json:"step"` // that it is at, from 1; 0: none
	Weight   int           `json:"weight"`
	Since    time.Time     `json:"since,omitzero"`
	Why      string        `json:"why,omitempty"`
	Next     string        `json:"next,omitempty"`
	Steps    []string      `json:"steps"`
	Canary   *port.Asked   `json:"canary,omitempty"`
	Baseline *port.Asked   `json:"baseline,omitempty"`
	Shadow   int           `json:"shadow,omitempty"` // per cent of the requests that are sent to it as well
	Pairs    *port.Pairs   `json:"pairs,omitempty"`
	Seq      int64         `json:"entry,omitempty"`
	Approved []string      `json:"approvedBy,omitempty"`
	Live     port.Health   `json:"health,omitempty"` // of what is tried
	model    digest.Digest
}

func (a *cli) rolloutStatus() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status REF",
		Short: "Show where a rollout is among its steps, and what was seen of both releases",
		Args:  cobra.ExactArgs(1),
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
			if n := w.Graph.Node(refs[0]); n == nil || !refs[0].Kind.Traits().Serves {
				return undeclared(refs[0], w.Intent)
			}
			s.WorkData = nil
			p, err := s.Plan(cmd.Context(), w, pass.ApplyOptions{})
			if err != nil {
				return err
			}
			out := rollingOf(refs[0], w, p)
			if format == "json" {
				return a.json(out)
			}
			a.showRollout(out)
			return nil
		},
	}
	formats(cmd, &format, "text", "json")
	a.allows(cmd)
	return cmd
}

// allows has cmd ask gauges of a rollout at private hosts that the user names.
func (a *cli) allows(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&a.allow, "allow", nil, "ask gauges of a rollout at this private `HOST` or network")
}

func rollingOf(ref schemas.Ref, w *pass.Snapshot, p plan.Plan) rolling {
	state := w.Facts.RolloutOf(ref)
	out := rolling{Ref: ref, Phase: state.Phase, Key: state.Key, Weight: state.Weight, Since: state.Since, Why: state.Why, Steps: []string{}}
	if e := w.Facts.Rollouts[ref]; e != nil {
		out.Seq, out.Approved = e.Seq, e.Approved
		out.Canary, out.Baseline, out.Pairs = counted(e.Rollout.Canary), counted(e.Rollout.Baseline), e.Rollout.Pairs
	}
	if canary, declared, tries := plan.CanaryOf(w.Graph.Node(ref)); tries {
		for _, s := range canary.Steps {
			out.Steps = append(out.Steps, stepText(s))
		}
		if state.Phase.UnderWay() && state.Declared == declared {
			out.Step = min(state.Step+1, len(canary.Steps))
		}
	}
	if b := w.Live[ref].Beside; b != nil && b.Key == state.Key {
		out.Canary, out.Baseline, out.Live, out.model = &b.Canary, &b.Baseline, b.Health, b.Model
		out.Shadow, out.Pairs = b.Shadow, b.Pairs
	}
	for _, s := range p.Steps {
		if s.Ref == ref && s.Do != plan.Keep {
			out.Next = s.Why
			if s.Held != "" {
				out.Next = "held: " + s.Held
			}
		}
	}
	return out
}

func counted(a port.Asked) *port.Asked {
	if a == (port.Asked{}) {
		return nil
	}
	return &a
}

// stepText is a step of a canary, as it is declared.
func stepText(s rollout.Step) string {
	switch {
	case s.Shadow > 0:
		return fmt.Sprintf("send it %d %% as a shadow", s.Shadow)
	case s.Weight != nil:
		return fmt.Sprintf("set weight %d %%", *s.Weight)
	case s.Pause != nil && *s.Pause == 0:
		return "pause until it is promoted"
	case s.Pause != nil:
		return "pause for " + s.Pause.String()
	default:
		return "analysis " + strings.Join(s.Analyses, ", ")
	}
}

func (a *cli) showRollout(r rolling) {
	if r.Phase == "" {
		fmt.Fprintf(a.out, "%s: no release is tried, and none was.\n", r.Ref)
	} else {
		fmt.Fprintf(a.out, "%s: %s, %d %% of the requests (entry %d)\n", r.Ref, r.Phase, r.Weight, r.Seq)
		fmt.Fprintf(a.out, "  release   %s since %s\n", r.Key.Short(), r.Since.UTC().Format("2006-01-02 15:04:05 MST"))
		fmt.Fprintf(a.out, "  why       %s\n", harmless.Line(r.Why))
	}
	if r.Live != "" {
		fmt.Fprintf(a.out, "  health    %s, model %s\n", r.Live, r.model.Short())
	}
	for _, arm := range []struct {
		name string
		of   *port.Asked
	}{{"canary", r.Canary}, {"baseline", r.Baseline}} {
		if arm.of != nil {
			fmt.Fprintf(a.out, "  %-9s %s, %d failed\n", arm.name, plural.Of(arm.of.Requests, "request"), arm.of.Failed)
		}
	}
	a.showPairs(r.Pairs)
	for i, text := range r.Steps {
		mark := " "
		if i+1 == r.Step {
			mark = ">"
		}
		fmt.Fprintf(a.out, "%s %d. %s\n", mark, i+1, text)
	}
	if r.Next != "" {
		fmt.Fprintf(a.out, "  next      %s\n", harmless.Line(r.Next))
	}
}

// showPairs prints what came of requests that were sent to both releases.
func (a *cli) showPairs(p *port.Pairs) {
	if p == nil {
		return
	}
	fmt.Fprintf(a.out, "  shadow    %s sent twice; %d failed by the new release alone, %d by the old one alone\n", plural.Of(p.Pairs, "request"), p.Failed, p.OldFailed)
	if n := p.Pairs - p.Taken; n > 0 {
		fmt.Fprintf(a.out, "  of these  %d were not taken by the old one, and show nothing of the new one\n", n)
	}
	if p.Compared > 0 {
		fmt.Fprintf(a.out, "  answers   %d of %d agree", p.Compared-p.Differ, p.Compared)
		if p.Numbers > 0 {
			fmt.Fprintf(a.out, "; numbers differ by %.4g on average, and by %.4g at most", p.Distance/float64(p.Numbers), p.Farthest)
		}
		fmt.Fprintln(a.out)
	}
	if p.Answered > 0 {
		mean := func(sum time.Duration) time.Duration {
			return (sum / time.Duration(p.Answered)).Round(10 * time.Microsecond)
		}
		fmt.Fprintf(a.out, "  latency   %s on average, and %s of the old one; %d slower\n", mean(p.Took), mean(p.OldTook), p.Slower)
	}
	if p.Unread > 0 {
		fmt.Fprintf(a.out, "  not read  %d, as the answer of the old one is longer than 1 MiB, or compressed by something else than gzip\n", p.Unread)
	}
	if p.Dropped+p.Unfit > 0 {
		fmt.Fprintf(a.out, "  not sent  %d, as too many were under way; %d too large, or of a length that nobody said\n", p.Dropped, p.Unfit)
	}
}

// order opens the repository for what a person decides about a rollout.
func (a *cli) order(cmd *cobra.Command, args []string, o *pass.RolloutOrder, do func(*station, *pass.Intent, port.Revision) (ledger.Entry, string, error)) error {
	return a.ask(cmd, args, func(s *station, in *pass.Intent, q asked) error {
		if !q.known(in) {
			return undeclared(q.ref, in)
		}
		if !q.ref.Kind.Traits().Serves {
			return fault.WithHint(fault.New(fault.Invalid, "%s is not a deployment: nothing of it is rolled out", q.ref), "vishwa status lists the deployments")
		}
		o.Ref = q.ref
		e, text, err := do(s, in, q.rev)
		if err == nil {
			fmt.Fprintf(a.out, "%s %s (entry %d)%s\n", o.Ref, e.Reason, e.Seq, text)
		}
		return err
	})
}

func (a *cli) rolloutPromote() *cobra.Command {
	var o pass.RolloutOrder
	cmd := &cobra.Command{
		Use:   "promote REF",
		Short: "Let a rollout go on that is paused, held or waiting",
		Long: `Let a rollout go on. If somebody paused it, its step goes on; if it waits in a pause of
its own, the next step begins. With --full, all remaining steps are skipped, and the new
release serves all requests.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.order(cmd, args, &o, func(s *station, in *pass.Intent, rev port.Revision) (ledger.Entry, string, error) {
				e, err := s.PromoteRollout(cmd.Context(), in, rev, o)
				return e, "; run vishwa apply, where no controller does.", err
			})
		},
	}
	cmd.Flags().StringVar(&o.Reason, "reason", "", "why, for the ledger: `TEXT`")
	cmd.Flags().BoolVar(&o.Full, "full", false, "skip all steps that are left")
	return cmd
}

func (a *cli) rolloutPause() *cobra.Command {
	var o pass.RolloutOrder
	cmd := &cobra.Command{
		Use:   "pause REF --reason TEXT",
		Short: "Keep a rollout where it is until it is promoted or aborted",
		Long: `Record on the ledger that a rollout stays at its step and its weight until somebody promotes
or aborts it. A new release that fails, or is found worse, goes back all the same.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.order(cmd, args, &o, func(s *station, _ *pass.Intent, rev port.Revision) (ledger.Entry, string, error) {
				e, err := s.PauseRollout(cmd.Context(), rev, o)
				return e, fmt.Sprintf("; vishwa rollout promote %s lets it go on.", o.Ref), err
			})
		},
	}
	cmd.Flags().StringVar(&o.Reason, "reason", "", "the reason, which status and the log show: `TEXT`")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // it was defined just now
	}
	return cmd
}

func (a *cli) rolloutAbort() *cobra.Command {
	var o pass.RolloutOrder
	cmd := &cobra.Command{
		Use:   "abort REF --reason TEXT",
		Short: "Give all requests back to the release that serves, at once",
		Long: `Give all requests back to the release that serves, and record that the new one is rolled
back. It is not tried again until something else is declared, or vishwa retry REF.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.order(cmd, args, &o, func(s *station, _ *pass.Intent, rev port.Revision) (ledger.Entry, string, error) {
				e, err := s.AbortRollout(cmd.Context(), rev, o)
				return e, fmt.Sprintf("; vishwa rollout revert %s takes back on a branch of its own what made it.", o.Ref), err
			})
		},
	}
	cmd.Flags().StringVar(&o.Reason, "reason", "", "the reason, which status and the log show: `TEXT`")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // it was defined just now
	}
	return cmd
}
