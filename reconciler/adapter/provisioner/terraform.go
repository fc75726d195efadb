// Package provisioner holds the adapters of port.Provisioner. This file is the
// Terraform one (and OpenTofu's, which answers to the same commands): what Diff,
// Apply and Drift promise, with the mechanics in the files beside it.
package provisioner

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Config is what the adapter needs to know. Env and Dir are required.
type Config struct {
	Env port.Env
	Dir string // folder of work directories, plan files and default states; outside every work tree
	// States is the folder of default states where that is another one: a look at what
	// another instance made, with a work directory of its own.
	States string
	Tool   string // path of the program; empty looks for terraform, then tofu, on PATH

	LockTimeout time.Duration // how long to wait for a state that another holds; zero is 10 s
	Grace       time.Duration // how long a cancelled run may take to save its state; zero is 20 s

	// For pull requests, and for tests.
	Wall     wall.Policy   // how what they run is kept apart
	Dial     egress.Dial   // connects to the hosts that are declared, by the base for a pull request; nil is plainly
	Patience time.Duration // how long a pull request's plan, or a stack's tests, may take; zero is 15 minutes
}

// Stacks is Terraform as a Provisioner. Calls for one stack take turns, across
// processes too; different stacks do not wait for each other.
type Stacks struct {
	cfg Config

	mu    sync.Mutex
	found tool
}

var _ port.Provisioner = (*Stacks)(nil)

// Terraform provisions with the terraform or tofu program. Nothing is looked for
// until the first stack is.
func Terraform(cfg Config) *Stacks {
	if cfg.LockTimeout <= 0 {
		cfg.LockTimeout = 10 * time.Second
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 20 * time.Second
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 15 * time.Minute
	}
	if cfg.Env.Log == nil {
		cfg.Env.Log = slog.New(slog.DiscardHandler)
	}
	return &Stacks{cfg: cfg}
}

// Diff plans s to a file that Apply can carry out.
func (t *Stacks) Diff(ctx context.Context, s port.Infrastructure) (port.Change, error) {
	w, err := t.open(ctx, s)
	if err != nil {
		return port.Change{}, err
	}
	defer w.close()

	file, raw, err := w.plan(ctx, tfexec.Destroy(s.Remove))
	if err != nil {
		return port.Change{}, err
	}
	defer w.discard(file)
	tests, err := t.tested(ctx, w)
	if err != nil {
		return port.Change{}, err
	}
	doc, err := readPlan(raw)
	if err != nil {
		return port.Change{}, fault.New(fault.Internal, "plan stack %s: %w", s.Name, err)
	}
	change := port.Change{
		Empty: doc.empty(), Actions: doc.actions(), Drift: doc.drift(), Raw: raw, Tool: w.tool.String(), Warnings: w.warned, Tests: tests,
	}
	if change.Empty {
		change.Outputs = doc.outputs()
		return change, nil
	}
	state, err := w.state(ctx)
	if err != nil {
		return port.Change{}, err
	}
	if change.Digest, err = w.name(doc, position(state)); err != nil {
		return port.Change{}, err
	}
	if change.File, err = w.save(file, change.Digest, position(state)); err != nil {
		return port.Change{}, err
	}
	t.cfg.Env.Log.Debug("planned", "stack", s.Name, "actions", len(change.Actions), "drift", len(change.Drift))
	return change, nil
}

// Apply carries out the plan file of c, and forgets it.
func (t *Stacks) Apply(ctx context.Context, s port.Infrastructure, c port.Change) (port.Outcome, error) {
	if c.Empty {
		return port.Outcome{Outputs: c.Outputs}, nil
	}
	w, err := t.open(ctx, s)
	if err != nil {
		return port.Outcome{}, err
	}
	defer w.close()
	w.secrets.addJSON(c.Raw)

	if err := w.checkSaved(ctx, c); err != nil {
		if fault.Of(err) == fault.Conflict {
			w.forget(c.File)
		}
		return port.Outcome{}, err
	}
	seen, err := w.apply(ctx, c.File)
	if fault.Of(err) != fault.Transient || seen.started() {
		w.forget(c.File)
	}
	out := w.outcome(ctx, c, seen, err)
	t.cfg.Env.Log.Info("applied", "stack", s.Name, "done", len(out.Done), "partial", out.Partial)
	return out, err
}

// Drift lists the addresses of resources that were changed behind Terraform's
// back, by a refresh-only plan: it compares the state with the world and leaves
// the declaration out.
func (t *Stacks) Drift(ctx context.Context, s port.Infrastructure) ([]string, error) {
	w, err := t.open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer w.close()
	file, raw, err := w.plan(ctx, tfexec.RefreshOnly(true))
	if err != nil {
		return nil, err
	}
	w.discard(file)
	doc, err := readPlan(raw)
	if err != nil {
		return nil, fault.New(fault.Internal, "refresh stack %s: %w", s.Name, err)
	}
	return doc.drift(), nil
}

// outcome tells what was done. After a failure the program's own account is not
// enough: a resource whose provisioner failed exists, tainted, so the state is asked.
func (w *work) outcome(ctx context.Context, c port.Change, seen *progress, failed error) port.Outcome {
	// A cancelled caller still has to learn what was done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.grace)
	defer cancel()

	var out port.Outcome
	if failed == nil {
		out.Done = c.Actions
	} else {
		out.Partial = seen.started()
		if out.Partial {
			out.Done = seen.done(c.Actions, w.addresses(ctx))
		}
	}
	if state, err := w.state(ctx); err == nil && len(state) > 0 {
		out.State = digest.Of(state)
	}
	if got, err := w.outputs(ctx); err == nil {
		out.Outputs = got
	} else if failed == nil {
		out.Unread = true
	}
	return out
}
