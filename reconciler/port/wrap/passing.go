// Passing bounds what code that nobody has reviewed yet may see of the caller's
// environment, and reach, whatever it declares.

package wrap

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Hosts lists what a ref may reach, host:port each, as reviewed code declares it.
type Hosts func(ctx context.Context, ref schemas.Ref) ([]string, error)

// PassingRuns lets the runs of r see no variable of the caller's but those allowed, and
// reach nothing but what hosts says and they declare themselves, too.
func PassingRuns(r port.Runner, allowed []string, hosts Hosts) port.Runner {
	return passingRuns{r, allowed, hosts}
}

type passingRuns struct {
	port.Runner
	allowed []string
	hosts   Hosts
}

func (p passingRuns) Start(ctx context.Context, job port.Job) (port.Run, error) {
	job.Pass = within(job.Pass, p.allowed)
	reviewed, err := p.hosts(ctx, job.Ref)
	if err != nil {
		return port.Run{}, fmt.Errorf("find what %s may reach: %w", job.Ref, err)
	}
	if !job.Network.All() { // it may ask for less
		reviewed = within(reviewed, job.Network.Hosts())
	}
	job.Network = append(schemas.Network{}, reviewed...)
	return p.Runner.Start(ctx, job)
}

// PassingTools is PassingRuns for the programs of provisioners.
func PassingTools(p port.Provisioner, allowed []string) port.Provisioner {
	return passingTools{p, allowed}
}

type passingTools struct {
	port.Provisioner
	allowed []string
}

func (p passingTools) Diff(ctx context.Context, s port.Infrastructure) (port.Change, error) {
	s.Pass = within(s.Pass, p.allowed)
	return p.Provisioner.Diff(ctx, s)
}

func (p passingTools) Apply(ctx context.Context, s port.Infrastructure, c port.Change) (port.Outcome, error) {
	s.Pass = within(s.Pass, p.allowed)
	return p.Provisioner.Apply(ctx, s, c)
}

// BoundedRuns refuses the runs that env does not let have what they ask for.
func BoundedRuns(r port.Runner, env port.Env) port.Runner {
	if env.Bounds == nil {
		return r
	}
	return boundedRuns{r, env}
}

type boundedRuns struct {
	port.Runner
	env port.Env
}

func (b boundedRuns) Start(ctx context.Context, job port.Job) (port.Run, error) {
	if err := b.env.MayPass(job.Pass...); err != nil {
		return port.Run{}, fmt.Errorf("%s: %w", job.Ref, err)
	}
	if err := b.env.MayReach(job.Network.All()); err != nil && job.External == nil { // what is a team's own is begun by its tool's settings
		return port.Run{}, fmt.Errorf("%s: %w", job.Ref, err)
	}
	return b.Runner.Start(ctx, job)
}

// OfflineTools plan and apply nothing offline: what providers ask is not ours to say.
func OfflineTools(p port.Provisioner, env port.Env) port.Provisioner {
	if !env.Offline {
		return p
	}
	return offlineTools{}
}

type offlineTools struct{}

const unplanned = "not planned: --offline asks nobody, and its providers would"

func (offlineTools) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{}, port.Unplanned(unplanned)
}

func (offlineTools) Apply(context.Context, port.Infrastructure, port.Change) (port.Outcome, error) {
	return port.Outcome{}, fault.WithHint(fault.New(fault.Transient, "%s", unplanned), "run the command without --offline")
}

// BoundedTools provisions what reach lets be provisioned: a module is a program of this machine's.
func BoundedTools(p port.Provisioner, reach *Reach) port.Provisioner {
	if reach == nil {
		return p
	}
	return boundedTools{p, reach}
}

type boundedTools struct {
	port.Provisioner
	reach *Reach
}

func (b boundedTools) let(s port.Infrastructure) error {
	if err := b.reach.Programs(); err != nil {
		return err
	}
	for _, name := range s.Pass {
		if err := b.reach.Variable(name); err != nil {
			return err
		}
	}
	return nil
}

func (b boundedTools) Diff(ctx context.Context, s port.Infrastructure) (port.Change, error) {
	if err := b.let(s); err != nil {
		return port.Change{}, err
	}
	return b.Provisioner.Diff(ctx, s)
}

func (b boundedTools) Apply(ctx context.Context, s port.Infrastructure, c port.Change) (port.Outcome, error) {
	if err := b.let(s); err != nil {
		return port.Outcome{}, err
	}
	return b.Provisioner.Apply(ctx, s, c)
}

// within lists what of asked is allowed.
func within(asked, allowed []string) (out []string) {
	for _, name := range asked {
		if slices.Contains(allowed, name) {
			out = append(out, name)
		}
	}
	return out
}
