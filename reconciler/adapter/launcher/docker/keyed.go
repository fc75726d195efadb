// One launch a name at a time, within this process.

package docker

import (
	"context"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// keyed is a lock a name.
type keyed struct {
	mu   sync.Mutex
	held map[string]*place
}

type place struct {
	free  chan struct{}
	users int
}

// lock waits for the name, and no longer than ctx.
func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
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
		return nil, fault.New(fault.Cancelled, "launch %s: %w", name, context.Cause(ctx))
	}
}
