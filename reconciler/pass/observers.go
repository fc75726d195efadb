// Looking at the world: what stands there is observed by its kind, side by side.

package pass

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// observers look at what stands in the world, one a kind of it; each gives what was found
// back to be noted, one after another.
var observers = map[schemas.Kind]func(context.Context, *Snapshot, Observers, schemas.Ref) (note func(), err error){
	schemas.KindInfrastructure: observeStack,
	schemas.KindDeployment:     observeServer,
	schemas.KindPackage:        observePackage,
}

// observeAll asks every server and every stack, side by side.
func (w *Snapshot) observeAll(ctx context.Context, eyes Observers) error {
	var mu sync.Mutex
	var all routine.Set
	var errs []error
	slots := make(chan struct{}, 4)
	eyes.survey = wrap.Survey(eyes.Server)
	for _, ref := range w.watched() {
		observe := observers[ref.Kind]
		if observe == nil {
			continue
		}
		all.Start(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			var note func()
			err := fault.Guard(func() (err error) { note, err = observe(ctx, w, eyes, ref); return err })
			mu.Lock()
			defer mu.Unlock()
			if note != nil {
				note()
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("observe %s: %w", ref, err))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// watched is what lives in the world: declared now, or recorded and not retired.
func (w *Snapshot) watched() (refs []schemas.Ref) {
	for i := range w.Graph.Nodes {
		if ref := w.Graph.Nodes[i].Ref; ref.Kind.Traits().Observed {
			refs = append(refs, ref)
		}
	}
	for ref := range w.Facts.Latest {
		if w.Graph.Node(ref) == nil && w.Facts.On(w.Machine, ref).Stands() {
			refs = append(refs, ref)
		}
	}
	return refs
}

func observeServer(ctx context.Context, w *Snapshot, eyes Observers, ref schemas.Ref) (func(), error) {
	live, err := eyes.survey.Observe(ctx, ref.Name)
	logged := eyes.logged(ctx, w.Graph, ref, live)
	return func() { w.Live[ref], w.Logged[ref] = live, logged }, err
}
