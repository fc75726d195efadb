// Several runners as one: each job goes to the one that it names, and whoever asks for a key
// finds it wherever it runs.

package wrap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Route is a runner that is opened when it is needed: one whose tool is away is in nobody's
// way who does not use it.
type Route struct {
	Open func() (port.Runner, error)
	// Has tells whether it may have a run of a key, without asking its tool.
	Has func(key digest.Digest) bool
	// Former says that it is no longer declared: what it has under way is found there, and nothing is begun.
	Former bool
}

// Routed is local, and routes by their names.
func Routed(local port.Runner, routes map[string]Route) port.Runner {
	r := &routed{local: local, routes: map[string]*route{}}
	for name, x := range routes {
		r.routes[name] = &route{Route: x}
	}
	return r
}

type routed struct {
	local  port.Runner
	routes map[string]*route
}

type route struct {
	Route
	mu     sync.Mutex
	runner port.Runner
}

func (r *route) open() (port.Runner, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runner != nil {
		return r.runner, nil
	}
	var err error
	r.runner, err = r.Open()
	return r.runner, err
}

// Start gives the job to the runner that it names, unless a run of its key is under way
// elsewhere: a key is one run. Whoever has it is asked to start it all the same, as it may
// have been begun by a process that died before it was given to its tool.
func (r *routed) Start(ctx context.Context, job port.Job) (port.Run, error) {
	if run, in, err := r.find(ctx, job.Key); err == nil && run.State != port.Done {
		return foundAt(run.Runner)(in.Start(ctx, job))
	}
	if job.RunsOn.Runner == "" || job.RunsOn.Runner == schemas.LocalRunner {
		return r.local.Start(ctx, job)
	}
	to, ok := r.routes[job.RunsOn.Runner]
	if !ok || to.Former {
		known := []string{}
		for _, name := range slices.Sorted(maps.Keys(r.routes)) {
			if !r.routes[name].Former {
				known = append(known, name)
			}
		}
		known = append(known, schemas.LocalRunner)
		return port.Run{}, fault.WithHint(fault.New(fault.Invalid, "%s: no runner is called %q", job.Ref, job.RunsOn.Runner), "choose one of %s, or declare it in spec.runners of the Project", strings.Join(known, ", "))
	}
	in, err := to.open()
	if err != nil {
		return port.Run{}, fmt.Errorf("%s: runner %s: %w", job.Ref, job.RunsOn.Runner, err)
	}
	return foundAt(job.RunsOn.Runner)(in.Start(ctx, job))
}

// foundAt names the runner that has a run; "" is this machine.
func foundAt(name string) func(port.Run, error) (port.Run, error) {
	return func(run port.Run, err error) (port.Run, error) {
		run.Runner = name
		return run, err
	}
}

// find is the run of a key and who has it: one that is under way before one that has ended,
// and one that ended well before one that did not.
func (r *routed) find(ctx context.Context, key digest.Digest) (best port.Run, in port.Runner, err error) {
	better := func(run port.Run) bool {
		switch {
		case in == nil || run.State != port.Done:
			return true
		case best.State != port.Done:
			return false
		}
		return best.Result != nil && best.Result.Cause != "" && run.Result != nil && run.Result.Cause == ""
	}
	run, lerr := r.local.Poll(ctx, key)
	if lerr == nil {
		best, in = run, r.local
	} else if fault.Of(lerr) != fault.Missing {
		return run, r.local, lerr
	}
	for _, name := range slices.Sorted(maps.Keys(r.routes)) {
		to := r.routes[name]
		if !to.Has(key) {
			continue
		}
		x, err := to.open()
		if err == nil {
			run, err = x.Poll(ctx, key)
		}
		run.Runner = name
		switch {
		case err == nil && better(run):
			best, in = run, x
		case err != nil && fault.Of(err) != fault.Missing:
			return port.Run{Runner: name}, x, fmt.Errorf("runner %s: %w", name, err)
		}
	}
	if in == nil {
		return port.Run{}, r.local, lerr
	}
	return best, in, nil
}

func (r *routed) Poll(ctx context.Context, key digest.Digest) (port.Run, error) {
	run, _, err := r.find(ctx, key)
	return run, err
}

func (r *routed) Wait(ctx context.Context, key digest.Digest, seen port.RunState, offset int64) (port.Run, error) {
	run, in, err := r.find(ctx, key)
	if err != nil && fault.Of(err) == fault.Transient && in != nil {
		return foundAt(run.Runner)(in.Wait(ctx, key, seen, offset)) // it knows how long an outage may last
	}
	if err != nil || run.State != seen || run.State == port.Done {
		return run, err
	}
	return foundAt(run.Runner)(in.Wait(ctx, key, seen, offset))
}

func (r *routed) Stop(ctx context.Context, key digest.Digest) error {
	_, in, err := r.find(ctx, key)
	if err != nil {
		return err
	}
	return in.Stop(ctx, key)
}

func (r *routed) Logs(ctx context.Context, key digest.Digest, offset int64) ([]byte, error) {
	_, in, err := r.find(ctx, key)
	if err != nil {
		return nil, err
	}
	return in.Logs(ctx, key, offset)
}
