// Package docker launches tasks as containers of a Docker Engine, or of what speaks its API: a
// name is a container, and its ID is what tells it from a namesake.
package docker

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/singleflight"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/machine/keyed"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are what a Docker launcher is made of. Runner and Env are needed.
type Options struct {
	Runner schemas.DockerRunner
	Env    port.Env
	// User is the number of the user that tasks are, and of its group: what is mounted has to
	// be readable by it and, where it is to be written, writable. Zero is User; a task
	// is never root.
	User int
	// Dial reaches the engine; nil is the usual way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// User is who tasks are unless it is said otherwise: the number that images call
// nonroot. A controller that is not root itself gives its own, so that what it mounts is its
// tasks' too.
const User = 65532

type launcher struct {
	o     Options
	api   *client.Client
	sock  string // of the engine on this machine; empty where it is elsewhere
	watch watch
	names keyed.Lock
	gpus  sync.Mutex // from looking at which are free to having taken them
	pulls singleflight.Group

	asking sync.Mutex // held while the engine is asked who it is
	mu     sync.Mutex
	known  *engine
}

// New launches tasks on the engine that o.Runner names. Nothing is asked of it yet.
func New(o Options) (port.Launcher, error) {
	if o.User == 0 {
		o.User = User
	}
	if o.User < 0 {
		return nil, fault.New(fault.Invalid, "a task's user has the number %d", o.User)
	}
	if kind, _, ok := strings.Cut(o.Runner.Network, ":"); ok && kind == "container" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "runner network %s is another container's", o.Runner.Network), "name a network that docker network ls lists")
	}
	e, err := dockerengine.Connect(dockerengine.Reach{Host: o.Runner.Host, Env: o.Env, Dial: o.Dial})
	if err != nil {
		return nil, err
	}
	d := &launcher{o: o, api: e.Client, sock: e.Socket}
	d.watch.events = d.events
	return d, nil
}

// Near tells whether l's engine is on this machine, so that folders of it can be mounted.
func Near(l port.Launcher) bool {
	d, ok := l.(*launcher)
	return ok && d.sock != ""
}

func (d *launcher) Launch(ctx context.Context, task port.Task) (port.TaskID, error) {
	if err := d.takes(task); err != nil {
		return port.TaskID{}, err
	}
	task.Image = dockerengine.PlainImage(task.Image)
	unlock, err := d.names.Hold(ctx, task.Name)
	if err != nil {
		return port.TaskID{}, err
	}
	defer unlock()
	eng, err := d.engine(ctx)
	if err != nil {
		return port.TaskID{}, err
	}
	if err := eng.fits(task, d.sock); err != nil {
		return port.TaskID{}, err
	}
	for range 3 {
		c, err := d.named(ctx, task.Name)
		if err == nil {
			return d.begin(ctx, task, c, eng)
		}
		if fault.Of(err) != fault.Missing {
			return port.TaskID{}, err
		}
		// Somebody else may make it before we do, or take it away before we look.
		if err := d.create(ctx, task, eng); err != nil && fault.Of(err) != fault.Conflict {
			return port.TaskID{}, err
		}
	}
	return port.TaskID{}, fault.WithHint(fault.New(fault.Transient, "launch %s: it is made and taken away by somebody else", task.Name), "see who else removes containers of that engine; the next pass tries again")
}

// begin starts a container that is there, where nobody has started it.
func (d *launcher) begin(ctx context.Context, task port.Task, c container.InspectResponse, eng *engine) (port.TaskID, error) {
	if err := d.owned(task, c); err != nil {
		return port.TaskID{}, err
	}
	id := port.TaskID{Name: task.Name, UID: c.ID, Tool: eng.id}
	switch stateOf(c) {
	case container.StateRemoving, container.StateDead:
		return port.TaskID{}, fault.New(fault.Transient, "launch %s: one of that name is being taken away", task.Name)
	case container.StateCreated:
	default:
		return id, nil
	}
	ticket, err := d.archive(task)
	if err != nil {
		return port.TaskID{}, err
	}
	if _, err := d.api.CopyToContainer(ctx, c.ID, client.CopyToContainerOptions{DestinationPath: port.WorkerDir, Content: ticket}); err != nil {
		return port.TaskID{}, d.unticketed(ctx, task, c.ID, err)
	}
	if _, err := d.api.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
		return port.TaskID{}, d.unstarted(ctx, task, c.ID, err)
	}
	return id, nil
}

// owned tells whether a container is what task began, and not somebody's of the same name.
func (d *launcher) owned(task port.Task, c container.InspectResponse) error {
	var has map[string]string
	if c.Config != nil {
		has = c.Config.Labels
	}
	for label, want := range labels(task) {
		if label != labelOwner && label != labelJob && label != labelLaunch {
			continue
		}
		switch got, ours := has[label]; {
		case !ours:
			return fault.WithHint(fault.New(fault.Conflict, "launch %s: a container of that name is not Vishwa's", task.Name),
				"rename it, or remove it if it is of no use: docker rm %s", task.Name)
		case got != want:
			return fault.WithHint(fault.New(fault.Conflict, "launch %s: a container of that name has another %s", task.Name, strings.TrimPrefix(label, labelPrefix)),
				"see whose it is: docker inspect %s", task.Name)
		}
	}
	return nil
}

// unstarted says why a container did not start. What will never start is taken away.
func (d *launcher) unstarted(ctx context.Context, task port.Task, id string, why error) error {
	err := d.classed(ctx, "start "+task.Name, why)
	text := strings.ToLower(why.Error())
	var unfit error
	switch c, inspect := d.inspect(ctx, id); {
	case fault.Of(err) == fault.Cancelled:
		return err
	case contains(text, "select device driver", "nvidia-container", "cdi device", "unknown device"):
		unfit = unfitted(port.Unschedulable, "start %s: the engine does not give it %d GPUs: %s", task.Name, task.Resources.GPU, harmless.Line(why.Error()))
	case contains(text, "exec format error") || inspect == nil && c.State != nil && (c.State.ExitCode == 126 || c.State.ExitCode == 127):
		unfit = unfitted(port.BadImage, "start %s: image %s cannot run %s: %s", task.Name, task.Image, task.Command[0], harmless.Line(why.Error()))
	case fault.Of(err) != fault.Invalid:
		return err
	}
	d.drop(ctx, task, id)
	if unfit != nil {
		return unfit
	}
	return err
}

// unticketed says why the ticket could not be put where it is read. An image that has a link
// in the volume's place keeps it from there; such a container is taken away.
func (d *launcher) unticketed(ctx context.Context, task port.Task, id string, why error) error {
	err := d.classed(ctx, "give "+task.Name+" its ticket", why)
	if kind := fault.Of(err); kind != fault.Denied && kind != fault.Invalid {
		return err
	}
	d.drop(ctx, task, id)
	return unfitted(port.BadImage, "image %s has something at %s, where the worker is: %s", task.Image, port.WorkerDir, harmless.Line(why.Error()))
}

// drop takes away a container that will never start.
func (d *launcher) drop(ctx context.Context, task port.Task, id string) {
	if _, err := d.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
		d.o.Env.Log.Warn("remove what did not start", "task", task.Name, "err", err)
	}
}

func (d *launcher) Observe(ctx context.Context, id port.TaskID) (port.TaskStatus, error) {
	s, _, err := d.observe(ctx, id)
	return s, err
}

// observe tells also how far off the task's deadline is; of what does not run there is none.
func (d *launcher) observe(ctx context.Context, id port.TaskID) (port.TaskStatus, time.Duration, error) {
	eng, err := d.engine(ctx)
	if err != nil {
		return port.TaskStatus{}, 0, err
	}
	now := d.o.Env.Now()
	if s, left, ok := d.watch.recall(id, now); ok {
		return s, left, nil
	}
	news := d.watch.count()
	c, err := d.find(ctx, id, eng)
	if err != nil {
		return port.TaskStatus{}, 0, err
	}
	left := remaining(c, now.Add(eng.ahead))
	if left <= 0 {
		_, err := d.api.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: "SIGKILL"})
		if err = d.classed(ctx, "end "+id.Name+" at its deadline", err); err != nil && fault.Of(err) != fault.Missing && fault.Of(err) != fault.Conflict {
			return port.TaskStatus{}, 0, err // those two say that it has ended meanwhile
		}
		if c, err = d.find(ctx, id, eng); err != nil {
			return port.TaskStatus{}, 0, err
		}
		left = time.Second // by then it has ended, or is killed once more
	}
	s := standing(c)
	if s.Phase == port.TaskEnded && s.Cause != "" {
		s = d.explained(ctx, c, s)
	}
	d.watch.remember(id, news, s, left, now)
	return s, left, nil
}

func (d *launcher) Remove(ctx context.Context, id port.TaskID) error {
	eng, err := d.engine(ctx)
	if err != nil {
		return err
	}
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		c, err := d.find(ctx, id, eng)
		if fault.Of(err) == fault.Missing && err != nil {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = d.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		d.watch.wake(c.ID)
		if err = d.classed(ctx, "remove "+id.Name, err); err == nil || fault.Of(err) == fault.Missing {
			return nil
		}
		if fault.Of(err) != fault.Conflict { // somebody is removing it: until it is gone
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// find inspects the container that id is.
func (d *launcher) find(ctx context.Context, id port.TaskID, eng *engine) (container.InspectResponse, error) {
	missing := fault.WithHint(fault.New(fault.Missing, "task %s is not there, or another has its name", id.Name), "somebody removed its container: the next pass begins it anew")
	if id.Tool != "" && id.Tool != eng.id {
		return container.InspectResponse{}, fault.WithHint(fault.New(fault.Conflict, "task %s is on another engine than %s", id.Name, d.api.DaemonHost()),
			"point the runner's host at the engine that has it, or leave it and run anew")
	}
	if !fullID(id.UID) { // the engine would take a name, or the beginning of an ID, as well
		return container.InspectResponse{}, missing
	}
	c, err := d.inspect(ctx, id.UID)
	if err != nil {
		return c, err
	}
	if c.ID != id.UID || strings.TrimPrefix(c.Name, "/") != id.Name || c.Config == nil || c.Config.Labels[labelLaunch] == "" {
		return c, missing
	}
	return c, nil
}

// named inspects the container of that name, and none whose ID begins like it.
func (d *launcher) named(ctx context.Context, name string) (container.InspectResponse, error) {
	c, err := d.inspect(ctx, name)
	if err == nil && strings.TrimPrefix(c.Name, "/") != name {
		return c, fault.New(fault.Missing, "no container is called %s", name)
	}
	return c, err
}

func (d *launcher) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	r, err := d.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	return r.Container, d.classed(ctx, "inspect container "+id, err)
}

func fullID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func contains(text string, any ...string) bool {
	for _, part := range any {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// pause waits, and no longer than ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "wait: %w", context.Cause(ctx))
	}
}
