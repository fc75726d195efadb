// A tool that does not answer for a while takes no run from whoever waits for it: the run goes on there.

package runner

import (
	"context"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// longestOutage is how long a tool may give no answer before whoever waits is told so: upgrades of a cluster's API server take minutes.
const longestOutage = 5 * time.Minute

// borne is what whoever waits is told: an error that passes by itself, and has not lasted long, is a reason to go on waiting.
func (r *remote) borne(ctx context.Context, key digest.Digest, seen port.RunState, run port.Run, err error) (port.Run, error) {
	silent := err != nil && fault.Of(err) == fault.Transient && ctx.Err() == nil && seen != port.Done
	if !r.silentFor(key, silent) {
		return run, err
	}
	short, stop := context.WithTimeout(ctx, r.patience())
	defer stop()
	<-short.Done()
	if ctx.Err() != nil {
		return port.Run{}, fault.New(fault.Cancelled, "wait for the run: %w", context.Cause(ctx))
	}
	return port.Run{Key: key, State: seen, Reason: err.Error()}, nil
}

// silentFor tells whether there is no answer about a run, and not for long.
func (r *remote) silentFor(key digest.Digest, silent bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, known := r.quiet[key]
	if !silent {
		delete(r.quiet, key)
	} else if !known {
		since = r.Env.Now()
		r.quiet[key] = since
	}
	return silent && r.Env.Now().Sub(since) < longestOutage
}
