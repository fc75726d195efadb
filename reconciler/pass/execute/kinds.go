// Who carries out the steps of which kind.

package execute

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// executor carries out the steps of one kind.
type executor struct {
	// make does a step, and records it.
	make func(*execution, context.Context, *job) error
	// retire takes away what is no longer declared, and completes its entry. A kind of
	// which nothing stands in the world has none.
	retire func(a *execution, ctx context.Context, j *job, change *port.Change, e *ledger.Entry) error
	// stands is the entry of what a step need not do after all, as its key is known
	// now; nil where the kind is looked up by key, and where there is no such case.
	stands func(*execution, plan.Step) *ledger.Entry
}

// executors has one row a kind of which something is made.
var executors = map[schemas.Kind]executor{
	schemas.KindDataset:        {make: (*execution).pin},
	schemas.KindTransform:      {make: (*execution).run},
	schemas.KindTraining:       {make: (*execution).run},
	schemas.KindModel:          {make: (*execution).choose},
	schemas.KindInfrastructure: {make: (*execution).provision, retire: (*execution).destroy},
	schemas.KindPackage:        {make: (*execution).pack, retire: (*execution).leave, stands: (*execution).whole},
	schemas.KindDeployment:     {make: of((*execution).deploy), retire: (*execution).stop, stands: (*execution).served},
}

// of is a maker that needs the spec of its kind.
func of[S schemas.Spec](do func(*execution, context.Context, *job, S) error) func(*execution, context.Context, *job) error {
	return func(a *execution, ctx context.Context, j *job) error { return do(a, ctx, j, j.node.Decl.Spec.(S)) }
}

// done is the action of the entry that says that j was done.
func done(j *job) ledger.Action { return ledger.Action(j.Ref.Kind.Traits().Action) }

func (a *execution) make(ctx context.Context, j *job) error {
	a.sendEvent(j.Ref, Began, j.Why)
	do := executors[j.Ref.Kind].make
	if do == nil {
		return fault.New(fault.Internal, "%s: no way to make a %s", j.Ref, j.Ref.Kind)
	}
	return do(a, ctx, j)
}

// retire takes away what is no longer declared.
func (a *execution) retire(ctx context.Context, j *job) error {
	var m Material
	if change, ok := a.Changes[j.Ref]; ok {
		m.Change = &change
	}
	if err := a.judge(ctx, j, m); err != nil {
		return err
	}
	last := a.latest(j.Ref)
	e := a.base(ledger.Retire, j)
	e.Model, e.Release = last.Model, last.Release
	if do := executors[j.Ref.Kind].retire; do != nil {
		if err := do(a, ctx, j, m.Change, &e); err != nil {
			return err
		}
	}
	got, err := a.Append(context.WithoutCancel(ctx), e)
	if err != nil {
		return err
	}
	j.seq = got.Seq
	return nil
}

// standing is the entry under s's key, where nothing is left to do for it. Nil is none.
func (a *execution) standing(s plan.Step) *ledger.Entry {
	if looksUp(s.Ref) {
		return a.entry(s.Key)
	}
	if stands := executors[s.Ref.Kind].stands; stands != nil {
		return stands(a, s)
	}
	return nil
}

// looksUp tells whether a ref of this kind is looked up by its key: the others
// are things in the world, which are observed.
func looksUp(ref schemas.Ref) bool { return !ref.Kind.Traits().Observed }
