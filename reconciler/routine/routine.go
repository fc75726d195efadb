// Package routine has several things done side by side, such that a panic in one of them ends what they are done for, and not the process:
// one bad input of one repository must not take the others with it. fault.Go is for one thing alone.
package routine

import (
	"context"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Group is an errgroup.Group in which a panic is an Internal error. The zero value is one without a context.
type Group struct {
	own errgroup.Group
	in  *errgroup.Group // that of a context
}

// WithContext is a group, and a context that ends with its first error or its end.
func WithContext(ctx context.Context) (*Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return &Group{in: g}, ctx
}

func (g *Group) group() *errgroup.Group {
	if g.in != nil {
		return g.in
	}
	return &g.own
}

// SetLimit lets at most n be under way at once.
func (g *Group) SetLimit(n int) { g.group().SetLimit(n) }

// Start calls f beside the caller, once there is room.
func (g *Group) Start(f func() error) {
	g.group().Go(func() error { return fault.Guard(f) })
}

// TryStart is Start where there is room now.
func (g *Group) TryStart(f func() error) bool {
	return g.group().TryGo(func() error { return fault.Guard(f) })
}

// Wait waits for all, and returns the first error.
func (g *Group) Wait() error { return g.group().Wait() }

// Set is what is done side by side without an error: a sync.WaitGroup that raises the first panic again in whoever waits, where what the
// things are done for is guarded. Each must end though another has panicked: one that hands work to those that may be gone waits for ever.
type Set struct {
	all  sync.WaitGroup
	mu   sync.Mutex
	fell error
}

// Start calls f beside the caller.
func (s *Set) Start(f func()) {
	s.all.Go(func() {
		err := fault.Guard(func() error { f(); return nil })
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fell == nil {
			s.fell = err
		}
	})
}

// Wait waits for all.
func (s *Set) Wait() {
	s.all.Wait()
	s.mu.Lock()
	fell := s.fell
	s.fell = nil
	s.mu.Unlock()
	if fell != nil {
		panic(fell)
	}
}

// Logged is what fault.Go tells where nobody waits: doing is what ended by the panic.
func Logged(log *slog.Logger, doing string) func(error) {
	return func(err error) {
		log.Error(doing+" ended by a panic", "error", err, "hint", fault.HintOf(err), "stack", fault.Stack(err))
	}
}
