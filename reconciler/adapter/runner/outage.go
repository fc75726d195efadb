// A tool that does not answer for a while takes no run from whoever waits for it: the run goes on there.

package runner

import (
	"context"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// longestOutage is how long a tool may give no answer before whoever waits is told so: upgrades of a cluster's API server take minutes.
const longestOutage = 5 * time.Minute

// outages are since when there is no answer about a run.
type outages struct {
	mu    sync.Mutex
	since map[digest.Digest]time.Time
}

// begun notes whether there is no answer, and tells since when there is none.
func (o *outages) begun(key digest.Digest, now time.Time, silent bool) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !silent {
		delete(o.since, key)
		return time.Time{}
	}
	if o.since == nil {
		o.since = map[digest.Digest]time.Time{}
	}
	if _, known := o.since[key]; !known {
		o.since[key] = now
	}
	return o.since[key]
}

// borne is what whoever waits is told: an error that passes by itself, and has not lasted long, is a reason to go on waiting.
func (r *remote) borne(ctx context.Context, key digest.Digest, seen port.RunState, run port.Run, err error) (port.Run, error) {
	silent := err != nil && fault.Of(err) == fault.Transient && ctx.Err() == nil && seen != port.Done && seen != ""
	now := r.Env.Now()
	since := r.quiet.begun(key, now, silent)
	if !silent || now.Sub(since) >= longestOutage {
		return run, err
	}
	timer := time.NewTimer(r.patience())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return port.Run{}, fault.New(fault.Cancelled, "wait for the run: %w", context.Cause(ctx))
	case <-timer.C:
	}
	return port.Run{Key: key, State: seen, Reason: err.Error()}, nil
}
