// Looking at the world: what stands there is observed by its kind, side by side.

package pass

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
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

// patience is how long looks may take: one of them, and all of a sort, of which some are under way at once.
type patience struct {
	one, all time.Duration
	atOnce   int
}

// A server and a registry answer a question. A plan of a stack asks for all that the stack has.
var (
	forAnswers = patience{one: 20 * time.Second, all: time.Minute, atOnce: 16}
	forStacks  = patience{one: 15 * time.Minute, all: 30 * time.Minute, atOnce: 4}
)

// unanswered is why a look was ended: nobody gave up but the clock.
type unanswered struct{ within time.Duration }

func (u unanswered) Error() string { return "no answer within " + u.within.String() }

// places are those of the looks of a sort.
type places struct {
	patience
	slots chan struct{}
}

func (p patience) places() places { return places{p, make(chan struct{}, p.atOnce)} }

// whole is the context of all looks.
func (p patience) whole(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.all, unanswered{p.all})
}

// each has a look of ctx, which is that of all, once there is a place for it. Where there was none in time, look is called all the same: it
// says so of what it is for.
func (p places) each(ctx context.Context, look func(context.Context)) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.one, unanswered{p.one})
	defer cancel()
	look(ctx)
}

// overdue is err, or that there was no answer in time, where that is why a look of ctx failed.
func overdue(ctx context.Context, err error) error {
	var late unanswered
	if err == nil || !errors.As(context.Cause(ctx), &late) || fault.Of(err) == fault.Transient && fault.HintOf(err) != "" { // else who was asked has said it better
		return err
	}
	return fault.WithHint(fault.New(fault.Transient, "%w", late), "see that it is up and reached from here, and try again")
}

// ask puts a question about ref, which f does. A panic ends the question alone: one answer of a server that cannot be read keeps nothing else.
func (o Observers) ask(ctx context.Context, ref schemas.Ref, f func() error) error {
	err := fault.Guard(f)
	if !broken(err) {
		return overdue(ctx, err)
	}
	if o.Broken != nil {
		o.Broken(ref, err)
	}
	return err
}

// broken tells whether err is a panic.
func broken(err error) bool { return fault.Stack(err) != "" }

// observeAll asks every server, every registry and every stack, side by side. Those that do not answer hold up the others by no more than
// their patience; of what has not answered it is not known how it is, and nothing is taken for gone.
func (w *Snapshot) observeAll(ctx context.Context, eyes Observers) error {
	var mu sync.Mutex
	var all routine.Set
	var errs []error
	answers, stacks := forAnswers.places(), forStacks.places()
	answering, enough := forAnswers.whole(ctx)
	defer enough()
	planning, done := forStacks.whole(ctx)
	defer done()
	eyes.survey, eyes.silent = wrap.Survey(eyes.Server), &silence{at: map[string]error{}}
	for _, ref := range w.watched() {
		observe := observers[ref.Kind]
		if observe == nil {
			continue
		}
		at, whole := answers, answering
		if ref.Kind.Traits().Provisioned {
			at, whole = stacks, planning
		}
		all.Start(func() {
			var note func()
			var err error
			at.each(whole, func(within context.Context) {
				err = fault.Guard(func() (err error) { note, err = observe(within, w, eyes, ref); return err })
			})
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
	if err := ctx.Err(); err != nil && len(errs) == 0 {
		return err
	}
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

// observeServer asks how a deployment stands. One that does not answer, or whose answer cannot be read, does not blind the pass to the rest: its
// step is held until it does.
func observeServer(ctx context.Context, w *Snapshot, eyes Observers, ref schemas.Ref) (func(), error) {
	var live port.Live
	err := eyes.ask(ctx, ref, func() (err error) { live, err = eyes.survey.Observe(ctx, ref.Name); return err })
	if err != nil && (fault.Of(err) == fault.Transient || broken(err)) {
		why := openly(ctx, err)
		return func() {
			w.Unobservable[ref], w.Openly[ref], w.Failed[ref], w.Passing[ref] = unobserved(err), why, true, true
		}, nil
	}
	logged := eyes.logged(ctx, w.Graph, ref, live)
	return func() { w.Live[ref], w.Logged[ref] = live, logged }, err
}

// openly is why a look of ctx found nothing out but err, as anybody may read it: an error may name paths and addresses of this machine.
func openly(ctx context.Context, err error) string {
	var late unanswered
	switch {
	case broken(err):
		return "a fault of Vishwa's own ended the question"
	case errors.As(context.Cause(ctx), &late):
		return late.Error()
	case fault.Of(err) == fault.Transient:
		return "it did not answer, for a reason that may pass"
	default:
		return "it could not be asked"
	}
}

// unobserved is err as the reason of a step, with what to do about it.
func unobserved(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return err.Error() + " (" + hint + ")"
	}
	return err.Error()
}

// silence is what did not answer in time: nothing else is asked of it in the same look.
type silence struct {
	mu sync.Mutex
	at map[string]error
}

// of is why who is not asked again; nil: it may be asked.
func (s *silence) of(who string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[who]
}

// note notes that who did not answer a look of ctx in time, where that is why it failed.
func (s *silence) note(ctx context.Context, who string) {
	late := context.Cause(ctx)
	if !errors.As(late, new(unanswered)) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[who] = fault.WithHint(fault.New(fault.Transient, "%s: %w to what it was asked before", who, late), "see that it is up and reached from here, and try again")
}
