// Passing bounds what code that nobody has reviewed yet may see of the caller's
// environment, whatever it declares.
package wrap

import (
	"context"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// PassingRuns lets the runs of r see no variable of the caller's but those allowed.
func PassingRuns(r port.Runner, allowed []string) port.Runner { return passingRuns{r, allowed} }

type passingRuns struct {
	port.Runner
	allowed []string
}

func (p passingRuns) Start(ctx context.Context, job port.Job) (port.Run, error) {
	job.Pass = within(job.Pass, p.allowed)
	return p.Runner.Start(ctx, job)
}

// PassingStacks is PassingRuns for Terraform's programs.
func PassingStacks(p port.Provisioner, allowed []string) port.Provisioner {
	return passingStacks{p, allowed}
}

type passingStacks struct {
	port.Provisioner
	allowed []string
}

func (p passingStacks) Diff(ctx context.Context, s port.Stack) (port.Change, error) {
	s.Pass = within(s.Pass, p.allowed)
	return p.Provisioner.Diff(ctx, s)
}

func (p passingStacks) Apply(ctx context.Context, s port.Stack, c port.Change) (port.Outcome, error) {
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
