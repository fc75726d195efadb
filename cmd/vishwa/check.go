// vishwa validate and schema: what is checked before anything is planned.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/provisioner"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/requirements"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
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
		Short: "Check the declarations of the work tree, and report all problems at once",
		Long: `Check the declarations of the work tree, and report all problems at once. It also
checks the lock files of Python packages, whether commands are given the scripts that
they name and, as far as possible without a plan, Terraform modules: syntax, names,
variables, local modules, and whether they accept the version of Terraform or OpenTofu
that is here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			tree, err := a.tree()
			if err != nil {
				return err
			}
			in, err := readFrom(cmd.Context(), tree)
			var problems, warnings pass.Problems
			if err != nil && !errors.As(err, &problems) {
				return err
			}
			if err == nil {
				var way string
				if problems, way = a.problems(cmd.Context(), tree, in); len(problems) > 0 {
					err = fault.WithHint(fault.New(fault.Invalid, "%w", problems), "%s", way)
				}
				_, warnings = doubts(in)
			}
			if told := a.showProblems(format, problems, warnings); told != nil {
				return told
			}
			if err != nil {
				return a.placed(tree, err)
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

// problems are what is wrong with the files that declarations name, which are right by themselves, and the way out.
func (a *cli) problems(ctx context.Context, tree fs.FS, in *pass.Intent) (pass.Problems, string) {
	fails, _ := doubts(in)
	locks, stacks := lockProblems(tree, in), pass.StackProblems(ctx, in, a.terraformHere(ctx))
	way := ""
	switch {
	case len(stacks) > 0:
		way = "correct the modules and what they are given; each problem says what to do"
	case len(locks) > 0:
		way = "make the lock files with hashes: uv pip compile --generate-hashes"
	case len(fails) > 0:
		way = "a command finds the files that its code lists, at the same paths, and no others"
	default:
		return a.metricProblems(ctx, in), "correct the metric, or have the training write it to the file that VISHWA_METRICS names"
	}
	return slices.Concat(fails, locks, stacks), way
}

// showProblems prints what programs read, and warnings for people; problems they are told by the command's end.
func (a *cli) showProblems(format string, problems, warnings pass.Problems) error {
	switch format {
	case "json":
		return a.json(struct {
			Problems pass.Problems `json:"problems"`
			Warnings pass.Problems `json:"warnings"`
		}{append(pass.Problems{}, problems...), append(pass.Problems{}, warnings...)})
	case "sarif":
		return a.json(templates.ProblemsSARIF(versionText(), problems, warnings))
	}
	for _, w := range warnings {
		fmt.Fprintf(a.err, "warning: %s\n", harmless.Line(w.Error()))
	}
	return nil
}

// doubts are what of the declarations cannot but fail when it is carried out, and what may be meant so.
func doubts(in *pass.Intent) (fails, warnings pass.Problems) {
	for i := range in.Decls {
		for _, d := range in.Decls[i].Doubts {
			if d.Certain {
				fails = append(fails, d.Problem)
			} else {
				warnings = append(warnings, d.Problem)
			}
		}
	}
	return fails, warnings
}

// terraformHere tells which program would plan on this machine, and asks it once; none of use is the zero Tool.
func (a *cli) terraformHere(ctx context.Context) func() terraform.Tool {
	return sync.OnceValue(func() terraform.Tool {
		ctx, cancel := context.WithTimeout(ctx, lookTime)
		defer cancel()
		tool, err := provisioner.Look(ctx, a.lookup)
		if err != nil {
			return terraform.Tool{} // what is wrong with it, plan and doctor say
		}
		return tool
	})
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
