// Which engine is reached, and what it says of its machine.

package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// engine is what is known of the one that is reached.
type engine struct {
	id       string
	asked    time.Time
	ahead    time.Duration // its clock's lead over ours
	os, arch string
	cores    int
	memory   int64
	root     string   // its folder on its machine
	gpus     []string // by what CDI calls them, where it says
	// Whether it bounds what a container takes.
	boundsCPU, boundsMemory bool
}

// engineAge is how long an engine is taken to be who it was, where no watch holds on to it.
const engineAge = 2 * time.Second

// engine tells which one is reached. It is asked anew after a while, as another may have
// taken its place; the connection of a watch is one and the same engine's.
func (d *launcher) engine(ctx context.Context) (*engine, error) {
	if e := d.current(); e != nil {
		return e, ctxErr(ctx)
	}
	if err := ctxErr(ctx); err != nil {
		return nil, err
	}
	d.asking.Lock()
	defer d.asking.Unlock()
	if e := d.current(); e != nil { // who was before us asked
		return e, nil
	}
	info, err := d.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, d.classed(ctx, "ask the engine who it is", err)
	}
	i, now := info.Info, d.o.Env.Now()
	e := &engine{
		id: i.ID, asked: now, os: i.OSType, arch: dockerengine.Architecture(i.Architecture), cores: i.NCPU, memory: i.MemTotal, root: i.DockerRootDir,
		boundsCPU: i.CPUCfsQuota, boundsMemory: i.MemoryLimit,
	}
	if at, err := time.Parse(time.RFC3339Nano, i.SystemTime); err == nil {
		e.ahead = at.Sub(now)
	}
	for _, dev := range i.DiscoveredDevices {
		kind, name, _ := strings.Cut(dev.ID, "=")
		if strings.HasSuffix(kind, "/gpu") && name != "" && strings.Trim(name, "0123456789") == "" {
			e.gpus = append(e.gpus, dev.ID)
		}
	}
	slices.Sort(e.gpus)
	version, err := d.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, d.classed(ctx, "ask the engine who it is", err)
	}
	for _, c := range version.Components {
		if c.Name == "Podman Engine" { // it gives itself another ID each time: it is where it keeps what it has
			e.id = "podman-" + digest.Of([]byte(i.Name+"\n"+i.DockerRootDir)).Short()
		}
	}
	if e.id == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the engine at %s does not say who it is", d.api.DaemonHost()), "see with docker info that Docker's engine answers there")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = e
	return e, nil
}

// current is the engine that was asked a moment ago, or that a watch holds on to.
func (d *launcher) current() *engine {
	live := d.watch.since()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		return nil
	}
	if age := d.o.Env.Now().Sub(d.known.asked); age >= 0 && age < engineAge || !live.IsZero() && d.known.asked.After(live) {
		return d.known
	}
	return nil
}

// forget has the engine asked anew.
func (d *launcher) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

func ctxErr(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "ask the engine: %w", context.Cause(ctx))
	}
	return nil
}

// classed gives an error of the engine its kind. One that does not answer may be another when it does.
func (d *launcher) classed(ctx context.Context, what string, err error) error {
	err = dockerengine.Classed(ctx, what, err)
	if err != nil && fault.Of(err) == fault.Transient {
		d.forget()
	}
	return err
}

// unfitted is the error for a task that the engine will never take.
func unfitted(cause port.Cause, format string, args ...any) error {
	return fault.New(fault.Invalid, "%w", &port.Unfit{Cause: cause, Reason: fmt.Sprintf(format, args...)})
}
