// Package pass is the pass: look, plan, judge, act, record. It knows ports and
// pure packages, and no tool by name.
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
	"slices"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Intent is what a tree declares, read and checked.
type Intent struct {
	Tree    fs.FS
	Decls   []schemas.Declaration
	Project *schemas.Project
	Graph   graph.Graph
	Policy  *policy.Engine
	Trust   *trust.Trust // nil: the tree has no trust file
	// Base is what a pull request would change; nil: the tree is not one's.
	Base *Intent
	// Branch is where the tree stands; "" where that is not known.
	Branch string
}

// Problems is an error made of everything that is wrong with the declarations.
type Problems []schemas.Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Read loads and checks what tree declares. What is wrong with it is a Problems
// of the kind Invalid. It stops where ctx ends.
func Read(ctx context.Context, tree fs.FS) (*Intent, error) {
	in := &Intent{Tree: tree}
	if err := in.read(ctx, readAhead(ctx, tree)); err != nil {
		return nil, err
	}
	return in, nil
}

// read reads all but the rules, which come from elsewhere; nil: they are left out.
func (in *Intent) read(ctx context.Context, rules <-chan prepared) error {
	tree := endingTree(ctx, in.Tree)
	decls, problems := schemas.Load(ctx, tree)
	if err := stopped(ctx); err != nil || len(problems) > 0 {
		return either(err, problems)
	}
	in.Decls = decls
	for i := range decls {
		if p, ok := decls[i].Spec.(*schemas.Project); ok {
			in.Project = p
		}
	}
	pins, problems := graph.Survey(tree, decls)
	if err := stopped(ctx); err != nil || len(problems) > 0 {
		return either(err, problems)
	}
	if in.Graph, problems = graph.Build(decls, pins); len(problems) > 0 {
		return invalid(problems)
	}
	if rules != nil {
		if err := in.rules(ctx, rules); err != nil {
			return err
		}
	}
	var err error
	in.Trust, err = readTrust(tree, in.Project)
	return cmp.Or(stopped(ctx), err)
}

func either(err error, problems []schemas.Problem) error {
	if err != nil {
		return err
	}
	return invalid(problems)
}

// stopped is the error of a reading that was told to stop.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fault.New(fault.Cancelled, "read the declarations: %w", context.Cause(ctx))
}

// prepared is rules that were made ready while the declarations were read.
type prepared struct {
	paths  []string
	engine *policy.Engine
	err    error
}

// readAhead prepares the rules that the project asks for beside whatever else is done;
// the project is read again, and checked, with the declarations.
func readAhead(ctx context.Context, tree fs.FS) <-chan prepared {
	done := make(chan prepared, 1)
	tree = endingTree(ctx, tree)
	go func() {
		var p prepared
		if project, _, err := Settings(tree); err == nil {
			p.paths = project.Policy.Paths
		}
		p.engine, p.err = policy.New(tree, p.paths, policy.Options{})
		done <- p
	}()
	return done
}

// rules takes the policies.
func (in *Intent) rules(ctx context.Context, early <-chan prepared) error {
	var p prepared
	select {
	case p = <-early:
	case <-ctx.Done():
		return stopped(ctx)
	}
	if !slices.Equal(p.paths, in.Project.Policy.Paths) {
		p.engine, p.err = policy.New(in.Tree, in.Project.Policy.Paths, policy.Options{})
	}
	if p.err != nil {
		return p.err
	}
	in.Policy = p.engine
	return nil
}

func invalid(p []schemas.Problem) error {
	return fault.WithHint(fault.New(fault.Invalid, "%w", Problems(p)), "correct the declarations; vishwa validate checks them")
}

// Snapshot is what the pass sees: what is wanted and what there is.
type Snapshot struct {
	*Intent
	Revision port.Revision
	Dirty    bool // the tree is not the revision's
	plan.Observed
	trees func(ctx context.Context, sha string) (fs.FS, error)

	// What was asked once of revisions, by one goroutine: who had a hand in a change, what
	// guarded there, and whether something is declared for a place.
	hands    map[string][]port.Hand
	stood    map[string]guard.Settings
	declared map[string]bool
	between  map[string][]guard.Settings // what guarded since a revision
}

// Observers are the ports that looking needs.
type Observers struct {
	Repo        port.Repo
	Ledger      Ledger
	Provisioner port.Provisioner
	Server      port.Server
}

// Ledger is the ledger on its branch.
type Ledger interface {
	// Facts is the ledger as it is now, folded.
	Facts(ctx context.Context) (*ledger.Facts, error)
	// Append records an entry; its number, chain and time are filled in. Where an
	// entry under the same key came first, what is recorded says so.
	Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error)
}

// Observe folds the ledger, observes deployments and diffs infrastructure.
func Observe(ctx context.Context, in *Intent, rev port.Revision, eyes Observers) (*Snapshot, error) {
	return observe(ctx, in, rev, eyes, func() (*ledger.Facts, error) { return eyes.Ledger.Facts(ctx) })
}

func observe(ctx context.Context, in *Intent, rev port.Revision, eyes Observers, recall func() (*ledger.Facts, error)) (*Snapshot, error) {
	facts, err := recall()
	if err != nil {
		return nil, err
	}
	w := &Snapshot{Intent: in, Revision: rev, trees: eyes.Repo.Open}
	w.Observed = plan.Observed{Facts: facts, Before: entriesBefore(in.Base, facts), Live: map[schemas.Ref]port.Live{}, Stacks: map[schemas.Ref]port.Change{}, Unobservable: map[schemas.Ref]string{}, Unplanned: map[schemas.Ref]string{}}
	return w, w.observe(ctx, eyes)
}

// entriesBefore is what stands under the keys that base asks for.
func entriesBefore(base *Intent, facts *ledger.Facts) map[schemas.Ref]*ledger.Entry {
	if base == nil {
		return nil
	}
	out := map[schemas.Ref]*ledger.Entry{}
	for _, s := range plan.Compute(base.Graph, plan.Observed{Facts: facts}).Steps {
		if e := facts.ByKey[s.Key]; e != nil {
			out[s.Ref] = e
		}
	}
	return out
}

// observe asks every server and every stack, side by side.
func (w *Snapshot) observe(ctx context.Context, eyes Observers) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var errs []error
	slots := make(chan struct{}, 4)
	look := func(ref schemas.Ref, at func() error) {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := at(); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("observe %s: %w", ref, err))
				mu.Unlock()
			}
		})
	}
	for _, ref := range w.watched() {
		switch ref.Kind {
		case "deployment":
			look(ref, func() error {
				live, err := eyes.Server.Observe(ctx, ref.Name)
				mu.Lock()
				defer mu.Unlock()
				w.Live[ref] = live
				return err
			})
		case "infrastructure":
			look(ref, func() error {
				change, err := w.diff(ctx, eyes.Provisioner, ref)
				mu.Lock()
				defer mu.Unlock()
				var none port.Unplanned
				if errors.As(err, &none) {
					w.Unplanned[ref] = none.Error()
					return nil
				}
				if err != nil {
					// One stack that cannot be looked at does not blind the pass to the rest.
					w.Unobservable[ref] = err.Error()
					return ctx.Err()
				}
				w.Stacks[ref] = change
				return nil
			})
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// watched is what lives in the world: declared now, or recorded and not retired.
func (w *Snapshot) watched() (refs []schemas.Ref) {
	for i := range w.Graph.Nodes {
		if k := w.Graph.Nodes[i].Ref.Kind; k == "deployment" || k == "infrastructure" {
			refs = append(refs, w.Graph.Nodes[i].Ref)
		}
	}
	for ref, e := range w.Facts.Latest {
		if w.Graph.Node(ref) == nil && (e.Action == ledger.Deploy || e.Action == ledger.Provision) {
			refs = append(refs, ref)
		}
	}
	return refs
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
func (w *Snapshot) asBase(ref schemas.Ref, s port.Stack) (port.Stack, error) {
	const none = "no plan in a pull request: "
	branch := cmp.Or(w.Base.Branch, "the base branch")
	n := w.Base.Graph.Node(ref)
	if n == nil {
		return s, port.Unplanned(none + fmt.Sprintf("%s is not declared on %s", ref, branch))
	}
	base := n.Decl.Spec.(*schemas.Infrastructure)
	if base.PlanPass == nil {
		return s, port.Unplanned(none + fmt.Sprintf("%s declares no planPass on %s", ref, branch))
	}
	if s.State.Path != base.State.Path || !maps.Equal(s.State.Backend, base.State.Backend) {
		return s, port.Unplanned(none + fmt.Sprintf("it moves the state of %s, which is planned after the merge", ref))
	}
	s.Pass, s.Network = base.PlanPass, base.Network.Hosts()
	return s, nil
}

// stack is the stack of ref: as declared, or, where it is declared no more, as it
// was when it was last provisioned, to be destroyed.
func (w *Snapshot) stack(ctx context.Context, ref schemas.Ref) (port.Stack, error) {
	if n := w.Graph.Node(ref); n != nil {
		spec := n.Decl.Spec.(*schemas.Infrastructure)
		module, err := fs.Sub(w.Tree, path.Clean(spec.Module))
		return port.Stack{Name: ref.Name, Module: module, Vars: spec.Vars, State: spec.State, Pass: spec.Pass}, err
	}
	last := w.Facts.Latest[ref]
	if last == nil || last.Recipe == nil {
		return port.Stack{}, fault.New(fault.Missing, "%s: the ledger does not say how it was provisioned", ref)
	}
	var spec schemas.Infrastructure
	if err := json.Unmarshal(last.Recipe.Spec, &spec); err != nil {
		return port.Stack{}, fault.New(fault.Corrupt, "%s: read its recorded spec: %w", ref, err)
	}
	tree, err := w.trees(ctx, last.Revision)
	if err != nil {
		return port.Stack{}, fault.WithHint(fmt.Errorf("%s: open revision %s, which provisioned it: %w", ref, last.Revision, err), "fetch the full history of the tracked branch")
	}
	module, err := fs.Sub(tree, path.Clean(spec.Module))
	return port.Stack{Name: ref.Name, Module: module, Vars: spec.Vars, State: spec.State, Pass: spec.Pass, Destroy: true}, err
}

// holdDestroy holds the retirement of infrastructure that nobody allowed by name
// or altogether.
func holdDestroy(p plan.Plan, allow func(schemas.Ref) bool) plan.Plan {
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Do == plan.Retire && s.Ref.Kind == "infrastructure" && (allow == nil || !allow(s.Ref)) {
			s.Held = "destroys what stands; run vishwa apply with --allow-destroy to let it"
		}
	}
	return p
}
