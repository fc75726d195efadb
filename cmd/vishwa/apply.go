// vishwa apply: making it happen.

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) applyVerb() *cobra.Command {
	var format string
	var targets, destroy []string
	var sure consent
	cmd := &cobra.Command{
		Use:   "apply [PLAN]",
		Short: "Make the world match the tracked revision",
		Long: `Make the world match the tracked revision. Without PLAN, plan, show and ask; with a
PLAN that vishwa plan --out wrote, do exactly that, or refuse and say what moved.

If the checked-out branch is not the remote's default one, or if the remote does not
have the revision, apply says so and needs a yes: at a terminal, or by --here.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, targets)
			if err != nil {
				return err
			}
			o := pass.ApplyOptions{Targets: refs}
			if o.AllowDestroy, err = destroyable(cmd, destroy); err != nil {
				return err
			}
			if len(args) == 1 {
				p, err := readPlan(args[0])
				if err != nil {
					return err
				}
				o.Agreed = &p
			}
			return a.apply(cmd, o, format, sure)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringArrayVar(&targets, "target", nil, "only `REF` and what it needs; may be given again")
	cmd.Flags().BoolVarP(&sure.yes, "yes", "y", false, "do not ask")
	a.allows(cmd)
	hereFlag(cmd, &sure.here)
	cmd.Flags().StringArrayVar(&destroy, "allow-destroy", nil, "let infrastructure that is no longer declared, or that Terraform would replace, be destroyed; may name one `REF` (--allow-destroy=infrastructure/x)")
	cmd.Flags().Lookup("allow-destroy").NoOptDefVal = everything
	return cmd
}

// consent is what was said yes to beforehand.
type consent struct{ yes, here bool }

const everything = "*"

// destroyable is the leave to destroy: everything, or what is named.
func destroyable(cmd *cobra.Command, named []string) (func(schemas.Ref) bool, error) {
	if slices.Contains(named, everything) {
		return func(schemas.Ref) bool { return true }, nil
	}
	refs, err := parseRefs(cmd, named)
	return func(ref schemas.Ref) bool { return slices.Contains(refs, ref) }, err
}

func (a *cli) apply(cmd *cobra.Command, o pass.ApplyOptions, format string, sure consent) error {
	s, err := a.open(cmd.Context(), acting)
	if err != nil {
		return err
	}
	defer s.close()
	bar := &progress{w: a.err, now: a.now, bar: a.terminal, logs: true}
	s.Tell = bar.showEvent
	s.Hear(bar.fetching)
	defer bar.stop()
	o.Confirm = func(p plan.Plan) error {
		if format == "text" {
			fmt.Fprintln(a.out, "Revision "+short7(p.Revision)+". "+s.where())
			if err := a.showPlan(p, format, false); err != nil {
				return err
			}
			bar.said(p)
		}
		all, err := a.asides(cmd.Context(), s, p.Revision)
		if err != nil {
			return err
		}
		asked, err := a.agree(all, applies(sure.here))
		if err != nil {
			return err
		}
		if err := a.confirm(p, asked || sure.yes || o.Agreed != nil, "apply", "give --yes, or apply a plan file"); err != nil {
			return err
		}
		if len(p.Work()) > 0 { // what cannot be recorded is not begun: a training may take hours
			if err := s.Keys.Usable(cmd.Context(), signsRuns(p)...); err != nil {
				return err
			}
		}
		bar.start(len(p.Work()))
		a.openAhead(cmd.Context(), s, p)
		return nil
	}
	result, err := s.Apply(cmd.Context(), o)
	bar.stop()
	if err != nil {
		return err
	}
	defer a.showInTrackers(cmd.Context(), s)
	if format == "json" {
		if result.Outcomes == nil {
			result.Outcomes = []execute.Outcome{} // a list for programs, even where nothing was to do
		}
		if err := a.json(result); err != nil {
			return err
		}
		return bar.briefly(result)
	}
	return a.showApplied(cmd.Context(), s, result, bar.briefly(result))
}

// showApplied says what was done, what answers where, and what to do about what failed.
func (a *cli) showApplied(ctx context.Context, s *station, result pass.Result, end error) error {
	if len(result.Plan.Work()) == 0 {
		fmt.Fprintln(a.out, "Nothing to do: everything is up to date.")
		return nil
	}
	done := 0
	for _, out := range result.Outcomes {
		if out.Error == nil && (out.End == "done" || out.End == "kept") {
			done++
		}
	}
	fmt.Fprintf(a.out, "Applied: %d of %s.\n", done, plural.Of(len(result.Outcomes), "step"))
	a.showFailed(result)
	if err := a.showServed(ctx, s, result); err != nil {
		return errors.Join(end, err)
	}
	return end
}

// showFailed says what to do about steps that failed after the first, which the command itself ends with.
func (a *cli) showFailed(r pass.Result) {
	first := true
	for _, o := range r.Outcomes {
		if o.End == execute.Failed && !first {
			fmt.Fprintf(a.err, "%s failed too. Next: %s.\n", o.Ref, harmless.Line(fault.WayOut(o.Error)))
		}
		first = first && o.End != execute.Failed
	}
}

// showServed tells where what was deployed answers, and what of it only came back.
func (a *cli) showServed(ctx context.Context, s *station, r pass.Result) error {
	restored := map[schemas.Ref]bool{}
	for _, st := range r.Plan.Steps {
		restored[st.Ref] = st.Restores
	}
	var facts *ledger.Facts
	for _, o := range r.Outcomes {
		if !o.Ref.Kind.Traits().Serves || o.End != execute.Ended {
			continue
		}
		if facts == nil {
			var err error
			if facts, err = s.Ledger.Facts(ctx); err != nil {
				return err
			}
		}
		if facts.RolloutOf(o.Ref).Phase.UnderWay() {
			fmt.Fprintf(a.out, "Tries %s: %s\n", o.Ref, harmless.Line(strings.TrimPrefix(o.Text, plan.InCanary)))
			continue
		}
		e := facts.Latest[o.Ref]
		if e == nil || e.Action != ledger.Deploy || e.Release == nil || e.Release.URL == "" {
			continue
		}
		what := "Serves"
		if restored[o.Ref] {
			what = "Brought back"
		}
		fmt.Fprintf(a.out, "%s %s at %s\n", what, o.Ref, e.Release.URL)
	}
	return nil
}

// openAhead opens the keys that p will need while its first steps are under way: each
// takes a third of a second. It is left where a person would be asked for the password.
func (a *cli) openAhead(ctx context.Context, s *station, p plan.Plan) {
	if _, set := a.lookup("VISHWA_KEY_PASSWORD"); !set {
		return
	}
	roles := []port.Role{port.Build}
	if slices.ContainsFunc(p.Work(), func(s plan.Step) bool { return s.Ref.Kind.Traits().Observed }) {
		roles = append(roles, port.Deploy)
	}
	go s.Keys.Ahead(ctx, roles...)
}

// signsRuns is the key that what comes out of p's runs is signed with, where there are any: a file of it that is damaged is found
// before they begin.
func signsRuns(p plan.Plan) []port.Role {
	if slices.ContainsFunc(p.Work(), func(s plan.Step) bool { return s.Ref.Kind.Traits().Runs }) {
		return []port.Role{port.Build}
	}
	return nil
}

// confirm asks a person, where there is one.
func (a *cli) confirm(p plan.Plan, yes bool, verb, hint string) error {
	open := 0
	for _, s := range p.Work() {
		if s.Held == "" {
			open++
		}
	}
	if yes || open == 0 {
		return nil
	}
	if !a.terminal {
		return fault.WithHint(fault.New(fault.Held, "%s needs a yes, and nobody is at a terminal to give it", verb), "%s", hint)
	}
	return a.yes("Do this?")
}
