// vishwa plan and vishwa apply: what will happen, and making it happen.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/act"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/loop"
	"github.com/vishwaops/vishwa/reconciler/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/review"
	"github.com/vishwaops/vishwa/reconciler/terminal"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// planFile is a plan as it is written to a file and printed as JSON.
type planFile struct {
	Digest digest.Digest `json:"digest"`
	plan.Plan
}

func (a *app) planVerb() *cobra.Command {
	var format, out string
	var targets []string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do, and why",
		Long: `Show what apply would do, and why. The work tree is previewed as it is, committed or
not; the plan says which. Nothing is changed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			refs, err := parseRefs(cmd, targets)
			if err != nil {
				return err
			}
			s, w, err := a.look(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			p, _, err := s.Plan(cmd.Context(), w, loop.Orders{Targets: refs})
			if err != nil {
				return err
			}
			if out != "" {
				if err := writePlan(out, p); err != nil {
					return err
				}
			}
			if format == "text" {
				fmt.Fprintln(a.out, about(w)+s.where())
			}
			if err := a.showPlan(p, format, false); err != nil || format != "text" {
				return err
			}
			moved, err := review.Data(cmd.Context(), s.Store, w, nil)
			if err != nil {
				return err
			}
			moved = slices.DeleteFunc(moved, func(d templates.DataChange) bool {
				return !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Ref == d.Ref })
			})
			return templates.DataText(a.out, moved)
		},
	}
	formats(cmd, &format, "text", "json", "markdown")
	cmd.Flags().StringVar(&out, "out", "", "also write the plan to `FILE`, for vishwa approve and vishwa apply")
	cmd.Flags().StringArrayVar(&targets, "target", nil, "only `REF` and what it needs; may be given again")
	return cmd
}

func about(w *loop.World) string {
	if w.Dirty {
		return fmt.Sprintf("Preview of the work tree, which differs from revision %.7s. ", w.Revision.SHA)
	}
	return fmt.Sprintf("Revision %.7s (%s). ", w.Revision.SHA, harmless.Line(w.Revision.Subject))
}

func (a *app) showPlan(p plan.Plan, format string, whole bool) error {
	switch format {
	case "json":
		return a.json(planFile{p.Digest(), p})
	case "markdown":
		return templates.Markdown(a.out, p, p.Digest())
	default:
		return templates.Text(a.out, p, p.Digest(), templates.Style{Color: a.color, Kept: whole || a.verbose})
	}
}

func writePlan(path string, p plan.Plan) error {
	raw, err := json.MarshalIndent(planFile{p.Digest(), p}, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, "encode plan: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".plan-*")
	if err != nil {
		return fault.Hint(fault.New(fault.Invalid, "write plan: %w", err), "name a file in a folder that you may write to")
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(raw, '\n'))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fault.Hint(fault.New(fault.Invalid, "write plan: %w", err), "name a file, in a folder with room for it")
	}
	return nil
}

// readPlan reads a plan file and checks that it says what its digest names.
func readPlan(path string) (plan.Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return plan.Plan{}, fault.Hint(fault.New(fault.Missing, "read plan: %w", err), "make one with vishwa plan --out %s", path)
	}
	var f planFile
	if err := json.Unmarshal(raw, &f); err != nil || f.Schema != plan.Schema {
		return plan.Plan{}, fault.Hint(fault.New(fault.Invalid, "%s is no plan of this version of vishwa", path), "make one with vishwa plan --out %s", path)
	}
	if f.Digest != f.Plan.Digest() {
		return plan.Plan{}, fault.Hint(fault.New(fault.Corrupt, "%s was changed after it was made: its digest does not hold", path), "make it again with vishwa plan --out %s", path)
	}
	return f.Plan, nil
}

func (a *app) applyVerb() *cobra.Command {
	var format string
	var targets, destroy []string
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply [PLAN]",
		Short: "Make the world match the tracked revision",
		Long: `Make the world match the tracked revision. Without PLAN, plan, show and ask; with a
PLAN that vishwa plan --out wrote, do exactly that, or refuse and say what moved.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, targets)
			if err != nil {
				return err
			}
			o := loop.Orders{Targets: refs}
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
			return a.apply(cmd, o, format, yes)
		},
	}
	formats(cmd, &format, "text", "json")
	cmd.Flags().StringArrayVar(&targets, "target", nil, "only `REF` and what it needs; may be given again")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringArrayVar(&destroy, "allow-destroy", nil, "let infrastructure that is declared no more, or that Terraform would replace, be destroyed; may name one `REF` (--allow-destroy=infrastructure/x)")
	cmd.Flags().Lookup("allow-destroy").NoOptDefVal = everything
	return cmd
}

const everything = "*"

// destroyable is the leave to destroy: everything, or what is named.
func destroyable(cmd *cobra.Command, named []string) (func(schemas.Ref) bool, error) {
	if slices.Contains(named, everything) {
		return func(schemas.Ref) bool { return true }, nil
	}
	refs, err := parseRefs(cmd, named)
	return func(ref schemas.Ref) bool { return slices.Contains(refs, ref) }, err
}

func (a *app) apply(cmd *cobra.Command, o loop.Orders, format string, yes bool) error {
	s, err := a.open(cmd.Context(), acting)
	if err != nil {
		return err
	}
	defer s.close()
	bar := &progress{w: a.err, now: a.now, bar: a.terminal, logs: true}
	s.Tell = bar.tell
	defer bar.stop()
	o.Confirm = func(p plan.Plan) error {
		if format == "text" {
			fmt.Fprintln(a.out, "Revision "+short7(p.Revision)+". "+s.where())
			if err := a.showPlan(p, format, false); err != nil {
				return err
			}
		}
		if err := a.confirm(p, yes || o.Agreed != nil); err != nil {
			return err
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
	if format == "json" {
		if result.Outcomes == nil {
			result.Outcomes = []act.Outcome{} // a list for programs, even where nothing was to do
		}
		if err := a.json(result); err != nil {
			return err
		}
		return result.Err()
	}
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
	fmt.Fprintf(a.out, "Applied: %d of %d steps.\n", done, len(result.Outcomes))
	return result.Err()
}

// openAhead opens the keys that p will need while its first steps are under way: each
// takes a third of a second. It is left where a person would be asked for the password.
func (a *app) openAhead(ctx context.Context, s *station, p plan.Plan) {
	if _, set := a.lookup("VISHWA_KEY_PASSWORD"); !set {
		return
	}
	roles := []port.Role{port.Build}
	if slices.ContainsFunc(p.Work(), func(s plan.Step) bool { return s.Ref.Kind == "deployment" || s.Ref.Kind == "infrastructure" }) {
		roles = append(roles, port.Deploy)
	}
	go s.Keys.Ahead(ctx, roles...)
}

// confirm asks a person, where there is one.
func (a *app) confirm(p plan.Plan, yes bool) error {
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
		return fault.Hint(fault.New(fault.Held, "apply needs a yes, and nobody is at a terminal to give it"), "give --yes, or apply a plan file")
	}
	fmt.Fprintf(a.err, "Do this? Only \"yes\" is yes: ")
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fault.New(fault.Cancelled, "read the answer: %w", err)
	}
	if strings.TrimSpace(line) != "yes" {
		return fault.Hint(fault.New(fault.Cancelled, "not confirmed: nothing was done"), "run it again when you are sure")
	}
	return nil
}

func short7(sha string) string { return sha[:min(7, len(sha))] }

func parseRefs(cmd *cobra.Command, texts []string) (refs []schemas.Ref, err error) {
	for _, t := range texts {
		r, err := schemas.ParseRef(t)
		if err != nil {
			return nil, usage(cmd, err)
		}
		refs = append(refs, r)
	}
	return refs, nil
}

// oneOf refuses a value that is none of those allowed, and names the nearest.
func oneOf(cmd *cobra.Command, flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	err := fmt.Errorf("--%s %q is none of %s", flag, value, strings.Join(allowed, ", "))
	if near := schemas.Nearest(value, allowed); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return usage(cmd, err)
}

// formats gives cmd the flag --format, and checks it before the verb runs.
func formats(cmd *cobra.Command, format *string, allowed ...string) {
	cmd.Flags().StringVar(format, "format", allowed[0], strings.Join(allowed, ", "))
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := oneOf(cmd, "format", *format, allowed...); err != nil {
			return err
		}
		return run(cmd, args)
	}
}

// json prints v for programs.
func (a *app) json(v any) error {
	enc := json.NewEncoder(terminal.JSON(a.out))
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
