// Passing bounds what code that nobody has reviewed yet may see of the caller's
// environment, and reach, whatever it declares.

package wrap

import (
	"context"
	"fmt"
	"slices"

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

// within lists what of asked is allowed.
func within(asked, allowed []string) (out []string) {
	for _, name := range asked {
		if slices.Contains(allowed, name) {
			out = append(out, name)
		}
	}
	return out
}
