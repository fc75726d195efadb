// vishwa logs: what a run or a served process printed.

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) logsVerb() *cobra.Command {
	var show shownLog
	cmd := &cobra.Command{
		Use:   "logs REF",
		Short: "Show what a run or a served process printed",
		Long: `Show what the newest run of a transform or a training printed, or what the processes
of a deployment printed. The output so far of a run that is under way on this machine
is shown; that of a run that ended comes from the store. Of a training with several
candidates, you can name one: training/x:candidate. Of a deployment, the lines of health
checks that it answered are left out and counted; --all shows them.`,
		Args: cobra.ExactArgs(1),
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
			if err := a.logs(cmd.Context(), s, refs[0], show); err != nil {
				return err
			}
			if cmd.Context().Err() != nil { // all was said: who follows a log ends it so
				return exitCode(exitInterrupted)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&show.follow, "follow", "f", false, "show new output as it comes, until the run ends or, for a deployment, until you interrupt")
	cmd.Flags().BoolVar(&show.all, "all", false, "of a deployment, show the health checks that it answered as well")
	return cmd
}

// shownLog is what of a log is shown.
type shownLog struct {
	follow bool
	all    bool // health checks too
}

func (a *cli) logs(ctx context.Context, s *station, ref schemas.Ref, show shownLog) error {
	switch is := ref.Kind.Traits(); {
	case is.Serves:
		return a.servedLog(ctx, s, ref, show)
	case is.Runs, is.Releases: // of a model, what scored it printed
	default:
		return fault.WithHint(fault.New(fault.Invalid, "%s prints nothing: a log is of a transform, a training, the scoring of a model, or a deployment", ref), "vishwa log %s shows what is recorded of it", ref)
	}
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	all := append(recordedLogs(facts, ref, s.Machine), s.ranHere(ctx, facts, ref)...)
	if len(all) == 0 && ref.Kind.Traits().Releases {
		return fault.WithHint(fault.New(fault.Missing, "nothing has scored %s: only the command of its spec.evaluate prints something", ref), "see what its training printed: vishwa logs training/NAME")
	}
	if len(all) == 0 {
		return fault.WithHint(fault.New(fault.Missing, "no run of %s is known", ref), "vishwa plan says whether it is to run; vishwa apply runs it")
	}
	newest := slices.MaxFunc(all, func(a, b output) int { return a.at.Compare(b.at) })
	fmt.Fprintf(a.err, "%s\n", newest)
	if others := besides(all, newest.ref); len(others) > 0 {
		fmt.Fprintf(a.err, "Not shown here: %s. To see one: vishwa logs %s\n", strings.Join(others, ", "), others[0])
	}
	if newest.log != "" {
		return a.storedLog(ctx, s, newest)
	}
	return a.runLog(ctx, s, newest, show.follow)
}

// besides are those of which there is a log as well, but for ref, whose log is shown.
func besides(all []output, ref schemas.Ref) (names []string) {
	for _, o := range all {
		if name := o.ref.String(); o.ref != ref && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// output is what one run printed.
type output struct {
	ref  schemas.Ref
	key  digest.Digest
	at   time.Time     // when it was recorded or ended; of one that goes on, a time that is still to come
	log  digest.Digest // in the store; none: with the runner
	what string
	by   string // the machine that recorded it; "": not known
	news string // of one that goes on, beside its log
}

func (o output) String() string { return fmt.Sprintf("%s, run %s: %s", o.ref, o.key.Short(), o.what) }

// recordedLogs are the logs of the newest runs of ref that the ledger tells of, and of those
// that a machine has run again for itself.
func recordedLogs(facts *ledger.Facts, ref schemas.Ref, machine string) (all []output) {
	take := func(e *ledger.Entry) {
		if e == nil || e.Ref != ref && e.Ref.Whole() != ref {
			return
		}
		o := output{ref: e.Ref, key: ledger.KeyOf(*e), at: e.Time, by: e.Machine, what: fmt.Sprintf("entry %d, %s", e.Seq, e.Action)}
		if e.PullRequest != nil {
			o.what += fmt.Sprintf(", for pull request %d", e.PullRequest.Pull)
		}
		switch {
		case e.Failure != nil:
			o.log = e.Failure.Log
		case e.Run != nil:
			o.log = e.Run.Log
		}
		if o.log != "" {
			all = append(all, o)
		}
	}
	for _, e := range facts.Latest {
		take(e)
		for _, own := range facts.Others[e.Key] {
			if own.Machine == machine {
				take(own)
			}
		}
	}
	for e := range facts.Made() {
		if e.Action == ledger.Evaluate {
			take(e)
		}
	}
	for _, t := range facts.Failed {
		take(t.Last)
	}
	for _, e := range facts.Stuck {
		take(e)
	}
	return all
}

// ranHere are the runs of ref that this machine has of what is declared: at the tracked
// revision, and in the work tree.
func (s *station) ranHere(ctx context.Context, facts *ledger.Facts, ref schemas.Ref) (all []output) {
	var declared []*pass.Intent
	if _, in, err := s.Head(ctx); err == nil {
		declared = append(declared, in)
	}
	if in, err := s.Intent(ctx); err == nil { // what is broken is no reason to hide a log
		declared = append(declared, in)
	}
	seen := map[digest.Digest]bool{}
	for _, in := range declared {
		here := facts
		if counts, err := s.Here(ctx, facts, in.Graph); err == nil {
			here = counts
		}
		for _, st := range plan.Compute(in.Graph, plan.Observed{Facts: here}).Steps {
			if st.Ref != ref && st.Ref.Whole() != ref {
				continue
			}
			for _, key := range st.Keys() {
				if seen[key] {
					continue
				}
				seen[key] = true
				run, err := s.Runner.Poll(ctx, key)
				if err != nil {
					continue // this machine has no such run
				}
				o := output{ref: st.Ref, key: key}
				if run.State == port.Done {
					o.at, o.what = run.Result.Finished, "it ended at "+run.Result.Finished.UTC().Format(time.RFC3339)
				} else {
					o.at, o.what = s.Now().Add(time.Hour), underWay(run)
					o.news = run.News()
				}
				all = append(all, o)
			}
		}
	}
	return all
}

// underWay says how a run stands that has not ended: it may wait, and have printed nothing.
func underWay(run port.Run) string {
	text := "under way"
	if run.Runner != "" {
		text += " on " + run.Runner
	}
	if !run.Started.IsZero() {
		text += " since " + run.Started.UTC().Format(time.RFC3339)
	}
	if news := run.News(); news != "" {
		text += "; " + harmless.Line(news)
	}
	return text
}

// storedLog prints a log of the store.
func (a *cli) storedLog(ctx context.Context, s *station, o output) error {
	r, err := s.Store.Get(ctx, o.log)
	if fault.Of(err) == fault.Missing {
		if where, way := s.Beside(o.by); where != "" && o.by != s.Machine {
			return fault.WithHint(fault.New(fault.Missing, "the log of this run is in %s, and not in this folder's store", where), "%s", way)
		}
		return fault.WithHint(fault.New(fault.Missing, "the log of this run is not in this machine's store: it ran on another machine"),
			"look on the machine that ran it, or share the store: set spec.store in vishwa.yaml")
	}
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(a.out, r)
	return err
}

// runLog prints a log that the runner has, with follow until the run ends.
func (a *cli) runLog(ctx context.Context, s *station, o output, follow bool) error {
	var offset int64
	for told := o.news; ; {
		run, err := s.Runner.Poll(ctx, o.key) // before its log is read: nothing comes once it is done
		if err != nil {
			return unlessEnded(ctx, err)
		}
		if news := run.News(); follow && news != told {
			if told = news; news != "" {
				fmt.Fprintln(a.err, harmless.Line(news))
			}
		}
		for {
			piece, err := s.Runner.Logs(ctx, o.key, offset)
			if err != nil {
				return unlessEnded(ctx, err)
			}
			if len(piece) == 0 {
				break
			}
			if _, err := a.out.Write(piece); err != nil {
				return err
			}
			offset += int64(len(piece))
		}
		if !follow || run.State == port.Done {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unlessEnded is err, but where the person who looks on has ended it.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
