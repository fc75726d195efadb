// Rego has no bound on memory of its own. While a plan is judged, the heap is
// watched, and every decision is stopped where it grows too much.

package policy

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const heapMetric = "/memory/classes/heap/objects:bytes"

// guard is ctx, ended where the heap grows by more than the engine's bound; over
// tells whether it was, and stop ends the watch.
func (e *Engine) guard(ctx context.Context) (guarded context.Context, over func() bool, stop func()) {
	guarded, cancel := context.WithCancel(ctx)
	limit := heap() + e.opts.Memory
	var tripped atomic.Bool
	done := make(chan struct{})
	fault.Go(func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-guarded.Done():
				return
			case <-tick.C:
				if heap() > limit {
					tripped.Store(true)
					cancel()
				}
			}
		}
	}, func(error) { // nothing is judged unguarded
		tripped.Store(true)
		cancel()
	})
	return guarded, tripped.Load, func() { cancel(); <-done }
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: heapMetric}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
