// vishwa validate, schema and policy: what is checked before anything is planned.

package main

import (
	"context"
	"errors"
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
	"github.com/vishwaops/vishwa/reconciler/format/requirements"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) validateVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the declarations of the work tree, all problems at once",
		Long: `Check the declarations of the work tree, all problems at once: with them the lock
files of Python packages, and of Terraform modules what shows without a plan
(syntax, names, variables, local modules).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tree, err := a.tree()
			if err != nil {
				return err
			}
			in, err := readFrom(cmd.Context(), tree)
			var problems pass.Problems
			if err != nil && !errors.As(err, &problems) {
				return err
			}
			if err == nil {
				locks, stacks := lockProblems(tree, in), pass.StackProblems(cmd.Context(), in)
				switch problems = append(locks, stacks...); {
				case len(stacks) > 0:
					err = fault.WithHint(fault.New(fault.Invalid, "%w", problems), "correct the modules and what they are given; each problem says what to do")
				case len(locks) > 0:
					err = fault.WithHint(fault.New(fault.Invalid, "%w", problems), "make the lock files with hashes: uv pip compile --generate-hashes")
				}
			}
			if err == nil {
				if problems = a.metricProblems(cmd.Context(), in); len(problems) > 0 {
					err = fault.WithHint(fault.New(fault.Invalid, "%w", problems), "correct the metric, or have the training write it to the file at VISHWA_METRICS")
				}
			}
			if format == "json" {
				if err := a.json(struct {
					Problems pass.Problems `json:"problems"`
				}{slices.Concat(pass.Problems{}, problems)}); err != nil {
					return err
				}
			}
			if format == "sarif" {
				if err := a.json(templates.ProblemsSARIF(versionText(), problems)); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			if format == "text" {
				are := "are"
				if len(in.Decls) == 1 {
					are = "is"
				}
				fmt.Fprintf(a.out, "%s %s valid.\n", plural.Of(len(in.Decls), "declaration"), are)
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json", "sarif")
	return cmd
}

// metricProblems are the metrics by which a model is selected or gated and that its training,
// which ran as it is declared, does not report. What ran is read from this clone's ledger; where
// there is none, nothing is known of it.
func (a *cli) metricProblems(ctx context.Context, in *pass.Intent) (out pass.Problems) {
	here := *a
	here.offline = true
	s, err := here.open(ctx, reading)
	if err != nil {
		return nil // no repository, no ledger: plan says what is wrong with them
	}
	defer s.close()
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return nil
	}
	steps := plan.Compute(in.Graph, plan.Observed{Facts: facts}).Steps
	for _, d := range in.Decls {
		model, is := d.Spec.(schemas.Selects)
		if !is {
			continue
		}
		contest := model.Selects()
		reported, known := reportedBy(facts, steps, contest.From)
		if !known {
			continue
		}
		check := func(field, metric string) {
			if !slices.Contains(reported, metric) {
				out = append(out, schemas.Problem{Pos: d.Fields(field), Field: field,
					Message: fmt.Sprintf("no candidate of %s reports %s; they report %s", contest.From, metric, strings.Join(reported, ", "))})
			}
		}
		check("spec.select.metric", contest.By.Metric)
		for i, o := range contest.By.Objectives {
			check(fmt.Sprintf("spec.select.objectives.%d.metric", i), o.Metric)
		}
		for i, g := range contest.Gates {
			check(fmt.Sprintf("spec.gates.%d.metric", i), g.Metric)
		}
	}
	return out
}

// reportedBy are the metrics that the candidates of a training report; not known unless all
// of them ran as they are declared.
func reportedBy(facts *ledger.Facts, steps []plan.Step, training schemas.Ref) (out []string, known bool) {
	for _, s := range steps {
		if s.Ref.Whole() != training {
			continue
		}
		made := facts.ByKey[s.Key]
		if s.Key == "" || made == nil {
			return nil, false
		}
		for name := range made.Metrics {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out, len(out) > 0
}

// lockProblems are the lock files that runs of in would refuse.
func lockProblems(tree fs.FS, in *pass.Intent) (out pass.Problems) {
	seen := map[string]bool{}
	for i := range in.Graph.Nodes {
		name := in.Graph.Nodes[i].Lock
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		raw, err := fs.ReadFile(tree, name)
		line := 0
		if err == nil {
			line, err = requirements.Check(raw)
		}
		if err != nil {
			out = append(out, schemas.Problem{Pos: schemas.Position{File: name, Line: line}, Message: strings.TrimPrefix(err.Error(), fmt.Sprintf("read lock file: line %d: ", line))})
		}
	}
	return out
}

func (a *cli) schemaVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "schema KIND",
		Short: "Print the JSON Schema of a kind, of trust.yaml or of a controller's file",
		Long: `Print the JSON Schema of a kind (project, dataset, ...), of a file that holds any
kinds (vishwa), of trust.yaml (trust), or of a controller's file (controller). Editors
complete and check files by it.`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: schemas.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := schemas.Schema(args[0])
			if err != nil {
				return usage(cmd, err)
			}
			_, err = a.out.Write(raw)
			return err
		},
	}
}

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
		Short: "Judge everything that is declared, what is up to date too",
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
			denied := 0
			for _, f := range p.Findings {
				if f.Level == ledger.Denied {
					denied++
				}
			}
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
				}{p.Policy, slices.Concat([]ledger.Finding{}, p.Findings)}); err != nil {
					return err
				}
			default:
				a.showFindings(p.Findings)
				fmt.Fprintf(a.out, "%s judged, %s, %d of them deny. Rules %s.\n", plural.Of(len(p.Steps), "step"), plural.Of(len(p.Findings), "finding"), denied, p.Policy.Short())
			}
			if denied > 0 {
				return fault.WithHint(fault.New(fault.Refused, "policy denies %s", plural.Of(denied, "time")), "each finding says what to do")
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json", "sarif")
	return cmd
}

func (a *cli) showFindings(found []ledger.Finding) {
	for _, f := range found {
		fmt.Fprintf(a.out, "%s %s %s: %s\n", f.Level, f.Rule, f.Ref, harmless.Line(f.Message))
		if f.Hint != "" {
			fmt.Fprintf(a.out, "    %s\n", harmless.Line(f.Hint))
		}
	}
}

// readFrom reads what a tree declares, and waits for it no longer than ctx lasts: a
// command that only reads ends at once when it is told to, whatever it is at.
func readFrom(ctx context.Context, tree fs.FS) (*pass.Intent, error) {
	type result struct {
		in  *pass.Intent
		err error
	}
	done := make(chan result, 1)
	go func() {
		in, err := pass.ReadAndCheck(ctx, tree)
		done <- result{in, err}
	}()
	select {
	case r := <-done:
		return r.in, r.err
	case <-ctx.Done():
		return nil, fault.WithHint(fault.New(fault.Cancelled, "read the declarations: %w", context.Cause(ctx)), "run the command again")
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
		return nil, nil, err
	}
	return tree, in.Project.Policy.Paths, nil
}

func (a *cli) policyTestVerb() *cobra.Command {
	var format string
	var all bool
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Run the tests of your rules, and show what they do not reach",
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
		Short: "List the rules in force",
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
