// Package keyed is a lock a name, within this process: of what has one name, one is done at a
// time.
package keyed

import (
	"context"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Lock is a lock a name. The zero one is ready.
type Lock struct {
	mu   sync.Mutex
	held map[string]*place
}

type place struct {
	free  chan struct{}
	users int
}

// Hold waits for the name, and no longer than ctx.
func (k *Lock) Hold(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*place{}
	}
	t := k.held[name]
	if t == nil {
		t = &place{free: make(chan struct{}, 1)}
		k.held[name] = t
	}
	t.users++
	k.mu.Unlock()
	left := func() {
		k.mu.Lock()
		if t.users--; t.users == 0 {
			delete(k.held, name)
		}
		k.mu.Unlock()
	}
	select {
	case t.free <- struct{}{}:
		return func() { <-t.free; left() }, nil
	case <-ctx.Done():
		left()
		return nil, fault.New(fault.Cancelled, "wait for %s: %w", name, context.Cause(ctx))
	}
}
