// Launching on a cluster, whatever kind of object a task is there.

package launcher

import (
	"context"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// kind is what differs between the objects that a task may be.
type kind interface {
	resource() kube.Resource
	word() string // for people
	takes(t port.Task) error
	object(t port.Task, n names) map[string]any // suspended
	begin() (spec map[string]any)               // the change of its spec that lets it go; nil is none
	events(name string) string                  // the object that the cluster says of why there are no pods
	mine(u status.Unit, p status.Pod) bool      // of pods of that name
	room(t port.Task) int                       // what the names of nodes need after that of their object
	headless() bool                             // it needs a Service of ours where it has several nodes
}

// cluster is a launcher on one.
type cluster struct {
	*kube.Client
	env   port.Env
	o     ClusterOptions
	queue string
	kind  kind
	board *board
}

func newCluster(client *kube.Client, env port.Env, o ClusterOptions, queue string, k kind) *cluster {
	c := &cluster{Client: client, env: env, o: o, queue: queue, kind: k}
	c.board = newBoard(c)
	return c
}

// stale is how old an object may be that its launch left before it was let go: what is older
// is made anew, as its ticket may have ended.
const stale = time.Minute

func (c *cluster) Launch(ctx context.Context, task port.Task) (port.TaskID, error) {
	if err := c.takes(task); err != nil {
		return port.TaskID{}, err
	}
	tool, err := c.UID(ctx)
	if err != nil {
		return port.TaskID{}, err
	}
	loads, err := c.workloads(ctx)
	if err != nil {
		return port.TaskID{}, err
	}
	defer c.board.join(loads)() // who is launched is awaited soon, and how its pods end is told but once
	n := newNames(objectName(task, c.kind.room(task)))
	for range 3 {
		object := c.kind.object(task, n)
		own := object["metadata"].(map[string]any)["annotations"].(map[string]string)
		own[secretNote], own[serviceNote] = n.secret, n.service
		var u status.Unit
		err := c.Create(ctx, c.kind.resource(), object, &u)
		if fault.Of(err) == fault.Conflict {
			err = c.Get(ctx, c.kind.resource(), n.object, &u)
		}
		if fault.Of(err) == fault.Missing { // it went away since
			continue
		}
		if err != nil {
			return port.TaskID{}, err
		}
		id := port.TaskID{Name: u.Name, UID: u.UID, Tool: tool}
		if u.Deleted != nil && u.Labels[ownerLabel] == task.Owner { // and what it held is free already
			if err := c.awaitGone(ctx, id); err != nil {
				return port.TaskID{}, err
			}
			continue
		}
		if err := c.owned(task, u); err != nil {
			return port.TaskID{}, err
		}
		if u.Annotations[status.Begun] != "" {
			return id, nil
		}
		if c.Now().Sub(u.Created) > stale {
			if err := c.Remove(ctx, id); err != nil {
				return port.TaskID{}, err
			}
			continue
		}
		again, err := c.let(ctx, task, u)
		if err != nil || !again {
			return id, err
		}
	}
	return port.TaskID{}, fault.WithHint(fault.New(fault.Transient, "launch %s: it is made and taken away by somebody else", task.Name), "see who else makes objects in that namespace; the next pass tries again")
}

func (c *cluster) takes(t port.Task) error {
	if err := t.Check(); err != nil {
		return err
	}
	wrong := func(hint, format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Invalid, format, args...), "%s", hint)
	}
	switch {
	case t.Image == "" && t.External == nil:
		return wrong("give it an image, or the project one in spec.defaults.image", "%s has no image, and a cluster runs nothing without", t.Ref)
	case len(t.Mounts) > 0:
		return wrong("let the worker fetch what it needs from the store", "task %s mounts folders of this machine, which a cluster does not have", t.Name)
	case t.Isolated:
		return wrong("let the worker keep the run from the network", "task %s is to reach nothing of a network, which a cluster does not guarantee", t.Name)
	case len(t.Ticket) > 1<<20:
		return wrong("keep the rest in the store", "the ticket of task %s has %d bytes, and a Secret holds %d", t.Name, len(t.Ticket), 1<<20)
	}
	return c.kind.takes(t)
}

// owned refuses an object that is not the task's.
func (c *cluster) owned(t port.Task, u status.Unit) error {
	conflict := func(format string, args ...any) error {
		err := fault.New(fault.Conflict, "%s %s of namespace %s "+format, append([]any{c.kind.word(), u.Name, c.Namespace}, args...)...)
		return fault.WithHint(err, "see whose it is: kubectl -n %s describe %s %s; where nobody needs it, delete it", c.Namespace, c.kind.resource(), u.Name)
	}
	switch {
	case u.Labels[ownerLabel] == "":
		return conflict("is not Vishwa's")
	case u.Labels[ownerLabel] != t.Owner:
		return conflict("is of another owner, %s", u.Labels[ownerLabel])
	case u.Annotations[jobAnnotation] != string(t.Job):
		return conflict("is of another job")
	case u.Labels[launchLabel] != t.Launch:
		return conflict("is of another launch of its job")
	case u.Deleted != nil:
		return fault.New(fault.Transient, "launch %s: one of that name is being taken away", t.Name)
	}
	return nil
}

// let gives what the task needs to its object, and lets it go. It tells whether the object
// went away meanwhile.
func (c *cluster) let(ctx context.Context, t port.Task, u status.Unit) (again bool, err error) {
	if err := c.withSecret(ctx, t, u); err != nil && fault.Of(err) != fault.Conflict {
		return false, err // one of that name is of this same object: nobody else knows the name
	}
	if t.Nodes > 1 && c.kind.headless() {
		if err := c.Create(ctx, kube.Services, c.service(t, u), nil); err != nil && fault.Of(err) != fault.Conflict {
			return false, err
		}
	}
	patch := map[string]any{"metadata": map[string]any{"uid": u.UID, "annotations": map[string]string{status.Begun: "true"}}}
	if c.queue != "" {
		patch["metadata"].(map[string]any)["labels"] = map[string]string{queueLabel: c.queue}
	}
	if spec := c.kind.begin(); spec != nil {
		patch["spec"] = spec
	}
	err = c.Merge(ctx, c.kind.resource(), u.Name, patch, nil)
	if k := fault.Of(err); err != nil && (k == fault.Missing || k == fault.Conflict) {
		return true, nil
	}
	return false, err
}

// withSecret gives a worker its ticket; external work has none.
func (c *cluster) withSecret(ctx context.Context, t port.Task, u status.Unit) error {
	if t.External != nil {
		return nil
	}
	return c.Create(ctx, kube.Secrets, c.secret(t, u), nil)
}

const (
	secretNote  = "vishwa.dev/secret"
	serviceNote = "vishwa.dev/service"
)

// belongs is the metadata of what goes when the task's object goes.
func (c *cluster) belongs(t port.Task, u status.Unit, name string) map[string]any {
	return map[string]any{
		"name": name, "labels": labels(t, nil), "annotations": notes(t),
		"ownerReferences": []any{map[string]any{
			"apiVersion": c.kind.resource().APIVersion(), "kind": c.kind.word(), "name": u.Name, "uid": u.UID,
		}},
	}
}

func (c *cluster) secret(t port.Task, u status.Unit) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
		"metadata": c.belongs(t, u, u.Annotations[secretNote]),
		"data":     map[string]any{"ticket": append([]byte{}, t.Ticket...)},
	}
}

// service lets the nodes find the first by its name, before it is ready for anything.
func (c *cluster) service(t port.Task, u status.Unit) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": c.belongs(t, u, u.Annotations[serviceNote]),
		"spec": map[string]any{
			"clusterIP": "None", "publishNotReadyAddresses": true,
			"selector": map[string]string{taskLabel: u.Name, launchLabel: t.Launch},
		},
	}
}
