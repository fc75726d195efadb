// Infrastructure, as it is looked at: a change of its own against the world, of which a pull
// request may plan what the base lets it.

package pass

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func observeStack(ctx context.Context, w *Snapshot, eyes Observers, ref schemas.Ref) (func(), error) {
	var change port.Change
	err := eyes.ask(ctx, ref, func() (err error) { change, err = w.diff(ctx, eyes.Provisioner, ref); return err })
	var none port.Unplanned
	unplanned := errors.As(err, &none)
	wrong := ""
	if unplanned || fault.Of(err) == fault.Missing {
		wrong = told(w.stackProblems(ctx, ref, nil))
	}
	return func() {
		switch kind := fault.Of(err); {
		case err == nil:
			w.Stacks[ref] = change
		case unplanned:
			w.Unplanned[ref], w.Wrong[ref], w.stackHints[ref] = none.Error(), wrong, correct
		case wrong != "":
			w.Unobservable[ref], w.Failed[ref], w.stackHints[ref] = wrong, true, correct
		default:
			// One stack that cannot be looked at does not blind the pass to the rest.
			why, open := err.Error(), execute.WithoutPaths(err)
			if eyes.Named != nil {
				open = eyes.Named(open)
			}
			if broken(err) {
				open = openly(ctx, err)
			}
			w.stackHints[ref] = fault.HintOf(err)
			w.Failed[ref] = kind != fault.Missing // without the program, nothing was tried
			if w.Passing[ref] = kind == fault.Transient || kind == fault.Conflict || broken(err); w.Passing[ref] {
				why, open = why+passes, open+passes
			}
			if w.Unobservable[ref] = why; open != why {
				w.Openly[ref] = open
			}
		}
	}, nil
}

// passes ends the reason of a stack that may be planned the next time.
const passes = "; this may pass: plan again"

// correct is what to do about a module that is wrong.
const correct = "correct the module or what it is given; vishwa validate says all that is wrong with it"

// StackProblems is what is wrong with the modules of in's infrastructure, as far as that
// can be told without a plan; by tells which program of this machine would make one, and is asked where that matters.
func StackProblems(ctx context.Context, in *Intent, by func() terraform.Tool) (out Problems) {
	for i := range in.Graph.Nodes {
		out = append(out, in.stackProblems(ctx, in.Graph.Nodes[i].Ref, by)...)
	}
	return out
}

func (in *Intent) stackProblems(ctx context.Context, ref schemas.Ref, by func() terraform.Tool) (out Problems) {
	n := in.Graph.Node(ref)
	if n == nil {
		return nil
	}
	spec, ok := n.Decl.Spec.(schemas.Provisioned)
	if !ok {
		return nil
	}
	s := spec.Stack()
	folder := path.Clean(s.Module)
	module, err := fs.Sub(endingTree(ctx, in.Tree), folder)
	if err != nil {
		return nil // the graph could not have named its digest
	}
	found := terraform.Check(module, s.Vars, by)
	if ctx.Err() != nil {
		return nil // what could not be read to its end is not wrong
	}
	for _, p := range found {
		if p.Variable != "" {
			field := "spec.vars." + p.Variable
			pos := n.Decl.Pos
			if n.Decl.Fields != nil {
				pos = n.Decl.Fields(field)
			}
			out = append(out, schemas.Problem{Pos: pos, Field: field, Message: p.Message})
			continue
		}
		out = append(out, schemas.Problem{Pos: schemas.Position{File: path.Join(folder, p.File), Line: p.Line}, Message: ref.String() + ": " + p.Message})
	}
	return out
}

// mostProblems is how many problems of a module one reason repeats.
const mostProblems = 5

// told is problems as a reason.
func told(all Problems) string {
	var parts []string
	for i, p := range all {
		if i == mostProblems {
			parts = append(parts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		parts = append(parts, p.Error())
	}
	return strings.Join(parts, "; ")
}

func (w *Snapshot) diff(ctx context.Context, p port.Provisioner, ref schemas.Ref) (port.Change, error) {
	s, err := w.stack(ctx, ref)
	if err == nil && w.Base != nil {
		s, err = w.asBase(ref, s)
	}
	if err != nil {
		return port.Change{}, err
	}
	return p.Diff(ctx, s)
}

// asBase is s, which a pull request declares, as far as it may be planned: whether at
// all, with which variables and hosts, and against which state is what the base says.
func (w *Snapshot) asBase(ref schemas.Ref, s port.Infrastructure) (port.Infrastructure, error) {
	const none = "no plan in a pull request: "
	branch := cmp.Or(w.Base.Branch, "the base branch")
	n := w.Base.Graph.Node(ref)
	if n == nil {
		return s, port.Unplanned(none + fmt.Sprintf("%s is not declared on %s", ref, branch))
	}
	base := n.Decl.Spec.(schemas.Provisioned).Stack()
	if base.PlanPass == nil {
		return s, port.Unplanned(none + fmt.Sprintf("%s declares no planPass on %s", ref, branch))
	}
	if s.State.Path != base.State.Path || !maps.Equal(s.State.Backend, base.State.Backend) {
		return s, port.Unplanned(none + fmt.Sprintf("it moves the state of %s, which is planned after the merge", ref))
	}
	s.Pass, s.Network = base.PlanPass, base.Network.Hosts()
	return s, nil
}

// stack is the stack of ref: as declared, or, where it is no longer declared, as it
// was when it was last provisioned, to be destroyed.
func (w *Snapshot) stack(ctx context.Context, ref schemas.Ref) (port.Infrastructure, error) {
	if n := w.Graph.Node(ref); n != nil {
		spec := n.Decl.Spec.(schemas.Provisioned).Stack()
		module, err := fs.Sub(w.Tree, path.Clean(spec.Module))
		return port.Infrastructure{Name: ref.Name, Source: module, Vars: spec.Vars, State: spec.State, Pass: spec.Pass, Network: spec.Network.Hosts()}, err
	}
	last := w.Facts.Latest[ref]
	if last == nil || !last.HasRecipe() {
		return port.Infrastructure{}, fault.WithHint(fault.New(fault.Missing, "%s: the ledger does not say how it was provisioned", ref), "see vishwa log; what was made by hand is taken away by hand, with terraform destroy")
	}
	is := ref.Kind.Traits()
	if !is.Provisioned {
		return port.Infrastructure{}, fault.New(fault.Internal, "%s is nothing that is provisioned", ref)
	}
	spec := is.New()
	if err := json.Unmarshal(last.Recipe().Spec, spec); err != nil {
		return port.Infrastructure{}, fault.New(fault.Corrupt, "%s: read its recorded spec: %w", ref, err)
	}
	tree, err := w.trees(ctx, last.Revision)
	if err != nil {
		return port.Infrastructure{}, fault.WithHint(fmt.Errorf("%s: open revision %s, which provisioned it: %w", ref, last.Revision, err), "fetch the full history of the tracked branch")
	}
	was := spec.(schemas.Provisioned).Stack()
	module, err := fs.Sub(tree, path.Clean(was.Module))
	return port.Infrastructure{Name: ref.Name, Source: module, Vars: was.Vars, State: was.State, Pass: was.Pass, Remove: true}, err
}

// holdDestroy holds the retirement of infrastructure that nobody allowed by name
// or altogether.
func holdDestroy(p plan.Plan, allow func(schemas.Ref) bool) plan.Plan {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Do == plan.Retire && s.Ref.Kind.Traits().Provisioned && (allow == nil || !allow(s.Ref)) {
			s.Held = "destroys existing resources; run vishwa apply with --allow-destroy to let it"
		}
	}
	return p
}
