// Package pass is the pass: look, plan, judge, act, record. It knows ports and
// pure packages, and no tool by name.
package pass

import (
	"cmp"
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
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

// ReadAndCheck is Read where the rules have to compile as well.
func ReadAndCheck(ctx context.Context, tree fs.FS) (*Intent, error) {
	in, err := Read(ctx, tree)
	if err == nil {
		err = in.Policy.Check(ctx)
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Read loads and checks what tree declares, but for whether its rules compile: that is found before anything is judged
// by them. What is wrong is a Problems of the kind Invalid. It stops where ctx ends.
func Read(ctx context.Context, tree fs.FS) (*Intent, error) {
	in := &Intent{Tree: tree}
	if err := in.readAll(ctx, readAhead(ctx, tree)); err != nil {
		return nil, err
	}
	return in, nil
}

// readAll reads all but the rules, which come from elsewhere; nil: they are left out.
func (in *Intent) readAll(ctx context.Context, rules <-chan prepared) error {
	tree := endingTree(ctx, in.Tree)
	decls, problems := schemas.Load(ctx, tree)
	if err := stopped(ctx); err != nil || len(problems) > 0 {
		return either(err, problems)
	}
	in.Decls = decls
	in.Project = schemas.ProjectOf(decls)
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
	fault.Go(func() {
		var p prepared
		if project, _, err := Settings(tree); err == nil {
			p.paths = project.Policy.Paths
		}
		p.engine, p.err = policy.New(tree, p.paths, policy.Options{})
		done <- p
	}, func(err error) { done <- prepared{err: err} })
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
	preview  bool // the tree is the work tree
	acts     bool // what is planned for it is to be carried out
	plan.Observed
	trees func(ctx context.Context, sha string) (fs.FS, error)

	// What was asked once of revisions, by one goroutine: who had a hand in a change, what
	// guarded there, and whether something is declared for a place.
	hands    map[string][]port.Hand
	stood    map[string]guard.Settings
	declared map[string]bool
	between  map[string][]guard.Settings // what guarded since a revision

	stackHints map[schemas.Ref]string // of infrastructure whose plan failed: what to do
}

// clone is a snapshot that can be completed apart from w. What was asked of revisions once
// is known to both.
func (w *Snapshot) clone() *Snapshot {
	out := *w
	return &out
}

// Observers are the ports that looking needs.
type Observers struct {
	Repo        port.Repo
	Ledger      Ledger
	Provisioner port.Provisioner
	Server      port.Server
	Packager    port.Packager // nil: nothing is asked for where it is kept
	Store       port.Store
	// Arms reads what a deployment logged of a release that it tries, and of its baseline; nil: nobody can.
	Arms func(ctx context.Context, d *schemas.Declaration, t port.Trial) (rollout.Evidence, error)
	// Broken is told of a panic in a question about ref: it ends that question, and nothing else. Nil: nobody is told.
	Broken func(ref schemas.Ref, err error)
	// Named is a text as others may read it, without where things are on this machine; nil: as it is. What is recorded is read by many.
	Named func(text string) string
	// Machine names this installation, for the ledger: see ledger.Facts.On. Empty: none does.
	Machine string

	survey port.Observer // Server, for one look
	silent *silence      // registries that did not answer it
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
	if wrong := undeliverable(in, rev); len(wrong) > 0 {
		return nil, invalid(wrong)
	}
	facts, err := recall()
	if err != nil {
		return nil, err
	}
	declared := []graph.Graph{in.Graph}
	if in.Base != nil {
		declared = append(declared, in.Base.Graph)
	}
	if facts, err = eyes.Here(ctx, facts, declared...); err != nil {
		return nil, err
	}
	w := &Snapshot{Intent: in, Revision: rev, trees: eyes.Repo.Open, hands: map[string][]port.Hand{},
		stood: map[string]guard.Settings{}, declared: map[string]bool{}, between: map[string][]guard.Settings{}}
	w.Observed = plan.Observed{Facts: facts, Machine: eyes.Machine, Before: entriesBefore(in.Base, facts), Live: map[schemas.Ref]port.Live{}, Logged: map[schemas.Ref]rollout.Evidence{}, Packages: map[schemas.Ref]port.PackageState{}, Stacks: map[schemas.Ref]port.Change{}, Unobservable: map[schemas.Ref]string{}, Openly: map[schemas.Ref]string{}, Failed: map[schemas.Ref]bool{}, Passing: map[schemas.Ref]bool{}, Wrong: map[schemas.Ref]string{}, Unplanned: map[schemas.Ref]string{}}
	w.stackHints = map[schemas.Ref]string{}
	return w, w.observeAll(ctx, eyes)
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
