// The verbs of rules: check, test and list them.

package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) policyVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check, test and list the rules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.policyCheckVerb(), a.policyTestVerb(), a.policyListVerb())
	return cmd
}

func (a *cli) policyCheckVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Judge everything that is declared, also what is up to date",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, w, err := a.openAndObserve(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			s.WorkData = nil // what data is like beside its pointers, plan and apply tell
			p, err := s.Check(cmd.Context(), w)
			if err != nil {
				return err
			}
			denied, waiting := denials(p.Findings)
			unjudged := unjudged(p)
			switch format {
			case "sarif":
				titles := map[string]string{}
				rules, err := w.Policy.Rules()
				if err != nil {
					return err
				}
				for _, r := range rules {
					titles[r.ID] = r.Title
				}
				if err := a.json(templates.FindingsSARIF(versionText(), p, titles)); err != nil {
					return err
				}
			case "json":
				if err := a.json(struct {
					Policy   any              `json:"policy"`
					Findings []ledger.Finding `json:"findings"`
				}{p.Policy, append([]ledger.Finding{}, p.Findings...)}); err != nil {
					return err
				}
			default:
				a.showFindings(p.Findings)
				fmt.Fprintf(a.out, "%s judged, %s, %d of them deny. Rules %s.\n", plural.Of(len(p.Steps)-len(unjudged), "step"), plural.Of(len(p.Findings), "finding"), denied, p.Policy.Short())
			}
			if denied > 0 {
				return denying(denied, waiting)
			}
			if len(unjudged) > 0 {
				return fault.WithHint(fault.New(fault.Transient, "%s could not be asked and so not be judged", names(unjudged)), "vishwa plan says why; judge again: the reason may pass")
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json", "sarif")
	return cmd
}

// denials counts the findings that deny, and those of them that an approval would settle.
func denials(found []ledger.Finding) (denied, waiting int) {
	for _, f := range found {
		if f.Level == ledger.Denied {
			denied++
			if f.Rule == ledger.ApprovalRule {
				waiting++
			}
		}
	}
	return denied, waiting
}

// denying is the error of a check that denies, which only waits for people where approvals are all that is missing.
func denying(denied, waiting int) error {
	kind := fault.Refused
	if denied == waiting {
		kind = fault.Held
	}
	return fault.WithHint(fault.New(kind, "policy denies %s", plural.Of(denied, "time")), "each finding says what to do")
}

// unjudged are the deployments of p that could not be asked how they stand, and so were not judged.
func unjudged(p plan.Plan) (refs []schemas.Ref) {
	for s := range p.Working() {
		if s.Unanswered() {
			refs = append(refs, s.Ref)
		}
	}
	return refs
}

func (a *cli) showFindings(found []ledger.Finding) {
	for _, f := range found {
		fmt.Fprintf(a.out, "%s %s %s: %s\n", f.Level, f.Rule, f.Ref, harmless.Line(f.Message))
		if f.Hint != "" {
			fmt.Fprintf(a.out, "    %s\n", harmless.Line(f.Hint))
		}
	}
}

// rules reads the project's rules from the work tree.
func (a *cli) rules(ctx context.Context) (fs.FS, []string, error) {
	tree, err := a.tree()
	if err != nil {
		return nil, nil, err
	}
	in, err := readFrom(ctx, tree)
	if err != nil {
		return nil, nil, a.placed(tree, err)
	}
	return tree, in.Project.Policy.Paths, nil
}

func (a *cli) policyTestVerb() *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Run the tests of your rules, and show which lines they do not reach",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tree, paths, err := a.rules(cmd.Context())
			if err != nil {
				return err
			}
			report, err := policy.Test(cmd.Context(), tree, paths, all)
			if err != nil {
				return err
			}
			return a.showTests(report, format)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().BoolVar(&all, "built-in", false, "run the tests of the built-in rules as well")
	return cmd
}

func (a *cli) policyListVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules in force, the team's own before those that are built in",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tree, paths, err := a.rules(cmd.Context())
			if err != nil {
				return err
			}
			engine, err := policy.New(tree, paths, policy.Options{})
			if err != nil {
				return err
			}
			rules, err := engine.Rules()
			if err != nil {
				return err
			}
			slices.SortStableFunc(rules, func(a, b policy.Rule) int { // the team's own come first
				return cmp.Compare(strconv.FormatBool(a.BuiltIn), strconv.FormatBool(b.BuiltIn))
			})
			if format == "json" {
				return a.json(rules)
			}
			t := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(t, "RULE\tLEVEL\tWHAT\tWHERE")
			for _, r := range rules {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.ID, r.Level, harmless.Line(r.Title), r.Source)
			}
			return t.Flush()
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

func lines(ranges []policy.Lines) string {
	var out []string
	for _, r := range ranges {
		if r.From == r.To {
			out = append(out, strconv.Itoa(r.From))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", r.From, r.To))
		}
	}
	return strings.Join(out, ", ")
}

// showTests prints the tests that did not pass, how many did, and what of the
// rules no test reached.
func (a *cli) showTests(r policy.Report, format string) error {
	if format == "json" {
		if err := a.json(r); err != nil {
			return err
		}
	}
	passed := 0
	for _, t := range r.Tests {
		if t.Outcome == policy.Pass {
			passed++
			continue
		}
		if format == "text" {
			fmt.Fprintf(a.out, "%s %s.%s %s\n", t.Outcome, t.Package, t.Name, harmless.Line(t.Message))
		}
	}
	if format == "text" {
		for _, f := range r.Files {
			if len(f.NotCovered) > 0 {
				fmt.Fprintf(a.out, "not reached: %s lines %s\n", f.File, lines(f.NotCovered))
			}
		}
		if len(r.Tests) == 0 {
			fmt.Fprintln(a.out, "There are no tests. Write them as rules named test_... in files named *_test.rego, next to your rules.")
			return nil
		}
		fmt.Fprintf(a.out, "%d of %d tests pass, coverage %.1f%%.\n", passed, len(r.Tests), r.Coverage)
	}
	if !r.OK() {
		return fault.WithHint(fault.New(fault.Invalid, "not all tests of rules pass"), "correct the rules or their tests")
	}
	return nil
}
