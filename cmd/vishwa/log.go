// vishwa log and vishwa ledger: the record, read and verified.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// filter says which entries vishwa log shows.
type filter struct {
	refs         []schemas.Ref
	actions      []string
	since, until time.Time
	limit        int
}

func (f filter) shows(e ledger.Entry) bool {
	if len(f.refs) > 0 && !slices.ContainsFunc(f.refs, func(r schemas.Ref) bool { return r == e.Ref || r == e.Ref.Whole() }) {
		return false
	}
	if len(f.actions) > 0 && !slices.Contains(f.actions, string(e.Action)) {
		return false
	}
	return (f.since.IsZero() || !e.Time.Before(f.since)) && (f.until.IsZero() || e.Time.Before(f.until))
}

func (a *cli) logVerb() *cobra.Command {
	var format, since, until string
	var f filter
	cmd := &cobra.Command{
		Use:   "log [REF...]",
		Short: "Show the ledger, newest entry first",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.refs, err = parseRefs(cmd, args); err != nil {
				return err
			}
			for _, action := range f.actions {
				if err := oneOf(cmd, "action", action, ledger.Actions()...); err != nil {
					return err
				}
			}
			if f.since, err = a.moment(cmd, since); err != nil {
				return err
			}
			if f.until, err = a.moment(cmd, until); err != nil {
				return err
			}
			return a.log(cmd, f, format)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringArrayVar(&f.actions, "action", nil, "only entries of this `ACTION`; may be given again")
	cmd.Flags().StringVar(&since, "since", "", "only entries from `TIME` on: RFC 3339, a date, or a span ago such as 36h or 2w")
	cmd.Flags().StringVar(&until, "until", "", "only entries before `TIME`")
	cmd.Flags().IntVarP(&f.limit, "limit", "n", 0, "at most `N` entries")
	return cmd
}

// moment reads a time or a span before now.
func (a *cli) moment(cmd *cobra.Command, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if span, err := schemas.ParseDuration(s); err == nil {
		return a.now().Add(-span), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage(cmd, fmt.Errorf("%q is not a time: want a date such as 2026-01-31, a time such as 2026-01-31T15:04:05Z, or how long ago, such as 36h or 2w", s))
}

func (a *cli) log(cmd *cobra.Command, f filter, format string) error {
	s, err := a.open(cmd.Context(), reading)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.GitLedger.Facts(cmd.Context()); err != nil { // fetched, and verified as far as it is new
		return err
	}
	var shown []ledger.Entry
	for e, err := range s.Entries(cmd.Context()) {
		if err != nil {
			return err
		}
		if f.shows(e) {
			shown = append(shown, e)
		}
	}
	slices.Reverse(shown)
	if f.limit > 0 && len(shown) > f.limit {
		shown = shown[:f.limit]
	}
	for _, e := range shown {
		if format == "json" {
			if err := json.NewEncoder(terminal.JSON(a.out)).Encode(e); err != nil {
				return fault.New(fault.Internal, "print entry %d: %w", e.Seq, err)
			}
			continue
		}
		showEntry(a.out, e)
	}
	if len(shown) == 0 && format == "text" {
		return a.noEntries(cmd.Context(), s, f)
	}
	return nil
}

func showEntry(w io.Writer, e ledger.Entry) {
	title := string(e.Action)
	if e.Ref.Kind != "" {
		title += " " + e.Ref.String()
	}
	fmt.Fprintf(w, "entry %d  %s\n", e.Seq, title)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-9s %s\n", name+":", harmless.Line(value))
		}
	}
	line("Date", e.Time.UTC().Format(time.RFC3339))
	line("Actor", e.Actor)
	switch {
	case e.Revision == "":
	case e.Author == "": // nobody's change: something was observed at it
		line("Revision", short7(e.Revision))
	default:
		line("Revision", short7(e.Revision)+" by "+e.Author)
	}
	if b := e.PullRequest; b != nil {
		line("For", fmt.Sprintf("pull request %d at %.7s, asked by %s", b.Pull, b.Head, b.By))
	}
	line("Trigger", e.Trigger)
	line("Plan", e.Plan.Short())
	line("Key", e.Key.Short())
	line("Approved", strings.Join(e.Approved, ", "))
	line("Why", e.Reason)
	if s := e.Stopped(); s != nil {
		line("Stopped", s.String())
	}
	if e.Model != nil {
		line("Model", string(e.Model.Artifact.Digest)+" from "+e.Model.Candidate.String())
	}
	for _, text := range templates.Scores(e.Scores) {
		line("Scored", text)
	}
	if e.Action == ledger.Evaluate {
		for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
			line("Metric", name+" "+templates.Number(e.Metrics[name]))
		}
	}
	if e.Run != nil && !e.Run.On().Plain() {
		line("Ran on", e.Run.On().Words())
	}
	if e.Run != nil && e.Run.External {
		line("External", "work of the team's, begun in place of a command")
	}
	if e.Run != nil && e.Run.Tracking != nil {
		line("Logged", string(e.Run.Tracking.Digest)+", see vishwa runs show "+fmt.Sprint(e.Seq))
	}
	if e.Run != nil && e.Run.Isolation != nil {
		line("Isolated", e.Run.Isolation.String())
	}
	if e.Release != nil && e.Action != ledger.Suspend {
		line("Serves", e.Release.Environment+" at "+e.Release.URL)
		if e.Rollback() {
			line("Again", fmt.Sprintf("the release of entry %d", e.Release.Restores))
		}
		if e.Release.Isolation != nil {
			line("Isolated", e.Release.Isolation.String())
		}
	}
	if e.Stack != nil {
		for _, d := range e.Stack.Done {
			line(d.Action, d.Address)
		}
	}
	if e.Failure != nil {
		line("Failure", e.Failure.Cause+": "+strings.ReplaceAll(plan.FailureText(*e.Failure, false), "\n", " "))
		if e.Failure.Times > 1 {
			line("Failed", plural.Of(e.Failure.Times, "time")+" since the entry before that says so")
		}
	}
	for _, f := range e.PlainFindings() {
		line(string(f.Level), f.Rule+": "+f.Message)
		line("Hint", f.Hint)
	}
	if e.Duplicate {
		line("Note", "work done twice; an earlier entry is the fact")
	}
	fmt.Fprintln(w)
}

func (a *cli) ledgerVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "Verify the ledger", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.ledgerVerifyVerb())
	return cmd
}

func (a *cli) ledgerVerifyVerb() *cobra.Command {
	var format, trustFile, expect, noted string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Replay the ledger: numbers, hashes, signatures, raw bytes",
		Long: `Replay the ledger from its first entry, over the raw bytes of its commits and entries:
numbers without gaps, each entry's hash in the next, trailers that match the entry, and
signatures by keys of the trust file in the role that the action needs. It names the
first entry that does not hold, and each entry that a controller signed after it was
revoked. A cut end, another chain or a missing branch is found by comparing with the
newest checkpoint of the places that keep them: the machine's state, a shared store, and
what spec.ledger.checkpoints names. Offline, give a checkpoint that you kept elsewhere:
--expect COUNT:DIGEST, or a signed one in a file (--expect-checkpoint FILE).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			point, err := checkpoint(cmd, expect)
			if err != nil {
				return err
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			if trustFile != "" {
				raw, err := os.ReadFile(trustFile)
				if err != nil {
					return fault.WithHint(fault.New(fault.Missing, "read the trust file: %w", err), "name a trust file that you may read with --trust")
				}
				t, problems := trust.Load(raw, trustFile)
				if len(problems) > 0 {
					return fault.WithHint(fault.New(fault.Invalid, "%w", problems[0]), "correct %s, or name another one with --trust", trustFile)
				}
				s.Trust = t
			}
			if noted != "" {
				if point, err = a.notedPoint(s, noted); err != nil {
					return err
				}
			}
			// What Facts finds wrong with new entries is found again below, in place.
			_, stale := s.GitLedger.Facts(cmd.Context())
			if stale != nil && fault.Of(stale) != fault.Corrupt {
				return stale
			}
			return a.verifyLedger(cmd.Context(), s, point, stale, format)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringVar(&trustFile, "trust", "", "trust `FILE` in place of the repository's")
	cmd.Flags().StringVar(&expect, "expect", "", "fail unless the ledger goes through `COUNT:DIGEST`")
	cmd.Flags().StringVar(&noted, "expect-checkpoint", "", "fail unless the ledger goes through the signed checkpoint in `FILE`")
	cmd.MarkFlagsMutuallyExclusive("expect", "expect-checkpoint")
	return cmd
}

// notedPoint is the checkpoint in a file, signed by a controller of the trust file.
func (a *cli) notedPoint(s *station, file string) (*ledger.Checkpoint, error) {
	f, err := os.Open(a.path(file))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "read checkpoint: %w", err), "name a file that holds one")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read checkpoint: %w", err), "name a file that this user may read")
	}
	n, err := s.Notice(raw)
	if err != nil {
		return nil, fault.WithHint(err, "have it from a place that keeps this ledger's checkpoints, as docs/provenance.md says")
	}
	return &n.Checkpoint, nil
}

func checkpoint(cmd *cobra.Command, s string) (*ledger.Checkpoint, error) {
	if s == "" {
		return nil, nil
	}
	var point ledger.Checkpoint
	count, name, ok := strings.Cut(s, ":")
	if _, err := fmt.Sscanf(count, "%d", &point.Count); err != nil || !ok {
		return nil, usage(cmd, fmt.Errorf("%q is not a checkpoint: want COUNT:DIGEST, as ledger verify prints it", s))
	}
	var err error
	if point.Head, err = digest.Parse(name); err != nil {
		return nil, usage(cmd, err)
	}
	return &point, nil
}

// verified is what ledger verify tells programs.
type verified struct {
	ledger.Report
	Checkpoints []pointSeen `json:"checkpoints"`
	Unsaid      []string    `json:"unsaid"` // places that told none, and why
}

type pointSeen struct {
	ledger.Checkpoint
	Where string `json:"where"`
	By    string `json:"by,omitempty"` // the controller that signed it; none: this machine noted it
}

func seen(held []gitledger.Claim) []pointSeen {
	out := []pointSeen{}
	for _, c := range held {
		out = append(out, pointSeen{c.Checkpoint, c.Where, c.By})
	}
	return out
}

func (a *cli) verifyLedger(ctx context.Context, s *station, point *ledger.Checkpoint, stale error, format string) error {
	whose, err := s.LedgerTrust(ctx)
	if err != nil {
		return err
	}
	report, err := ledger.Verify(s.GitLedger.Entries(ctx, 0), whose, point)
	if err != nil {
		return err
	}
	if stale != nil { // what is here holds, and what was to be taken in does not
		return stale
	}
	held, unsaid := s.GitLedger.Claims()
	unsaid = append([]string{}, unsaid...)
	if err := s.GitLedger.Hold(report.Facts); err != nil && !a.offline {
		return err
	} else if err != nil {
		unsaid = append(unsaid, err.Error())
	}
	if format == "json" {
		return a.json(verified{report, seen(held), unsaid})
	}
	if report.Entries == 0 {
		fmt.Fprintln(a.out, "The ledger is empty: vishwa apply begins it.")
		return nil
	}
	fmt.Fprintf(a.out, "The ledger holds: %s in order, unbroken; %s of entries, %d of commits and %s by trusted keys.\n",
		plural.Of(report.Entries, "entry"), plural.Of(report.Signatures, "signature"), report.Commits, plural.Of(report.Approvals, "approval"))
	if report.Vouched > 0 {
		fmt.Fprintf(a.out, "By controllers that are trusted no more: %s. A trusted one has taken them up since.\n", plural.Of(report.Vouched, "entry"))
	}
	for _, c := range held {
		if c.Count <= report.Entries {
			fmt.Fprintf(a.out, "It goes through the checkpoint of %s in %s.\n", plural.Of(c.Count, "entry"), c.Where)
		}
	}
	for _, why := range unsaid {
		fmt.Fprintf(a.err, "Not checked against %s\n", why)
	}
	if report.Entries > 0 {
		fmt.Fprintf(a.out, "Checkpoint %d:%s\n", report.Entries, report.Head)
	}
	return nil
}
