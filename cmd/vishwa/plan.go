// vishwa plan: what apply would do.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/reconciler/app/review"
	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// planFile is a plan as it is written to a file and printed as JSON.
type planFile struct {
	Digest digest.Digest `json:"digest"`
	plan.Plan
}

func (a *cli) planVerb() *cobra.Command {
	var format, out, file string
	var targets []string
	var detailed bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do, and why",
		Long: `Show what apply would do, and why. The work tree is previewed as it is, committed or
not; the plan says which. Nothing is changed.

With --detailed-exitcode the exit code tells what the plan holds: 0 nothing to do,
2 something to do, 5 something to do of which a part is held. Wrong usage is 1 then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			refs, err := parseRefs(cmd, targets)
			if err != nil {
				return err
			}
			s, w, err := a.openAndObserve(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			if file != "" {
				c, err := config.Read(a.path(file))
				if err != nil {
					return err
				}
				s.Prices = c.Table()
			}
			p, err := s.Plan(cmd.Context(), w, pass.ApplyOptions{Targets: refs, Check: true})
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
			if err := a.showPlan(p, format, false); err != nil {
				return err
			}
			if format == "text" {
				a.trackerDrift(s)
			}
			refused, err := a.showMoved(cmd.Context(), s, w, p, format == "text")
			if err != nil {
				return err
			}
			if failed := p.Failed(); len(failed) > 0 {
				return unplannable(failed)
			}
			if passing := p.Passing(); len(passing) > 0 {
				return fault.WithHint(fault.New(fault.Transient, "%s could not be planned this time", names(passing)), "plan again: the reason may pass")
			}
			if len(refused) > 0 {
				return violating(refused)
			}
			if detailed {
				return holds(p)
			}
			return nil
		},
	}
	formats(cmd, &format, "text", "json", "markdown")
	cmd.Flags().StringVar(&out, "out", "", "also write the plan to `FILE`, for vishwa approve and vishwa apply")
	cmd.Flags().StringVar(&file, "config", "", "estimate the cost of runs by the prices of a controller's `FILE`")
	cmd.Flags().StringArrayVar(&targets, "target", nil, "only `REF` and what it needs; may be given again")
	cmd.Flags().BoolVar(&detailed, detailedFlag, false, "tell by the exit code whether there is something to do: 0 no, 2 yes, 5 yes and some of it is held")
	return cmd
}

// unplannable is the error of stacks whose own plan failed, which the plan shows.
func unplannable(refs []schemas.Ref) error {
	return fault.WithHint(fault.New(fault.Invalid, "%s cannot be planned", names(refs)), "correct what the plan says of it, and plan again")
}

func names(refs []schemas.Ref) string {
	all := make([]string, len(refs))
	for i, ref := range refs {
		all[i] = ref.String()
	}
	return strings.Join(all, ", ")
}

// violating is the error of data that would not be pinned, which the plan shows.
func violating(refs []schemas.Ref) error {
	return fault.WithHint(fault.New(fault.Invalid, "%s: the data violates its declaration", names(refs)), "correct the data, or its declaration: apply would refuse this data")
}

// showMoved shows what of the rows changed in the data of p, and tells which datasets
// would not be pinned.
func (a *cli) showMoved(ctx context.Context, s *station, w *pass.Snapshot, p plan.Plan, show bool) (refused []schemas.Ref, err error) {
	acts := map[schemas.Ref]bool{}
	for _, step := range p.Steps {
		if step.Do != plan.Keep && step.Ref.Kind.Traits().Pinned {
			acts[step.Ref] = true
		}
	}
	if len(acts) == 0 {
		return nil, nil
	}
	moved, err := review.Data(ctx, review.Look{Store: s.Store, Now: a.now(), Near: s.Near}, w, nil)
	if err != nil {
		return nil, err
	}
	moved = slices.DeleteFunc(moved, func(d templates.DataChange) bool {
		return !acts[d.Ref]
	})
	for _, d := range moved {
		if d.Refused {
			refused = append(refused, d.Ref)
		}
	}
	if !show {
		return refused, nil
	}
	return refused, templates.DataText(a.out, moved)
}

func about(w *pass.Snapshot) string {
	if w.Dirty {
		return fmt.Sprintf("Preview of the work tree, which differs from revision %.7s. ", w.Revision.SHA)
	}
	return fmt.Sprintf("Revision %.7s (%s). ", w.Revision.SHA, harmless.Line(w.Revision.Subject))
}

func (a *cli) showPlan(p plan.Plan, format string, whole bool) error {
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
		return fault.WithHint(fault.New(fault.Invalid, "write plan: %w", err), "name a file in a folder that you may write to")
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(raw, '\n'))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write plan: %w", err), "name a file, in a folder with room for it")
	}
	return nil
}

// readPlan reads a plan file and checks that it says what its digest names.
func readPlan(path string) (plan.Plan, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return plan.Plan{}, fault.WithHint(fault.New(fault.Missing, "read plan: %w", err), "make one with vishwa plan --out %s", path)
	}
	var f planFile
	if err := json.Unmarshal(raw, &f); err != nil || f.Schema != plan.Schema {
		return plan.Plan{}, fault.WithHint(fault.New(fault.Invalid, "%s is not a plan of this version of vishwa", path), "make one with vishwa plan --out FILE, a new file")
	}
	if f.Digest != f.Plan.Digest() {
		return plan.Plan{}, fault.WithHint(fault.New(fault.Corrupt, "%s was changed after it was made: its digest does not hold", path), "make it again with vishwa plan --out %s", path)
	}
	return f.Plan, nil
}

func short7(sha string) string { return sha[:min(7, len(sha))] }

func parseRefs(cmd *cobra.Command, texts []string) (refs []schemas.Ref, err error) {
	for _, t := range texts {
		r, err := schemas.ParseRef(t)
		if err != nil {
			return nil, usage(cmd, err)
		}
		if near := schemas.Nearest(string(r.Kind), kinds()); r.Kind.Traits().Kind == "" && near != "" {
			meant := r
			meant.Kind = schemas.Kind(near)
			return nil, usage(cmd, fault.WithHint(fmt.Errorf("%s: there is no kind %s", r, r.Kind), "did you mean %s?", meant))
		}
		if is := r.Kind.Traits(); r.Output != "" && is.Kind != "" && is.Outputs == schemas.NoOutputs {
			return nil, usage(cmd, fault.WithHint(fmt.Errorf("%s names nothing: only a transform has outputs, and only a training has candidates", r), "did you mean %s?", r.Whole()))
		}
		refs = append(refs, r)
	}
	return refs, nil
}

// kinds are the kinds as refs have them.
func kinds() (names []string) {
	for _, k := range schemas.Kinds() {
		names = append(names, string(k.Kind))
	}
	return names
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
func (a *cli) json(v any) error {
	enc := json.NewEncoder(terminal.JSON(a.out))
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
