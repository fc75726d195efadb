// Asking how a task stands, waiting for it, and taking it away.

package launcher

import (
	"context"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const controllerUID = "batch.kubernetes.io/controller-uid"

// here refuses a task of another cluster.
func (c *cluster) here(id port.TaskID, tool string) error {
	if id.Tool == tool {
		return nil
	}
	return fault.WithHint(fault.New(fault.Conflict, "task %s is on the cluster with the uid %s, and %s is %s", id.Name, id.Tool, c.At(), tool),
		"the cluster was made anew under the same name, or the context leads elsewhere: what was on the other is not here")
}

// find is a task's object; one that is gone is Missing, if the cluster is still the same.
func (c *cluster) find(ctx context.Context, id port.TaskID) (status.Unit, error) {
	tool, err := c.KnownUID(ctx)
	if err != nil {
		return status.Unit{}, err
	}
	if err := c.here(id, tool); err != nil {
		return status.Unit{}, err
	}
	var u status.Unit
	err = c.Get(ctx, c.kind.resource(), id.Name, &u)
	switch {
	case err != nil && fault.Of(err) != fault.Missing:
		return status.Unit{}, err
	case err == nil && u.UID == id.UID:
		return u, nil
	}
	if tool, err = c.UID(ctx); err != nil {
		return status.Unit{}, err
	}
	if err := c.here(id, tool); err != nil {
		return status.Unit{}, err
	}
	return status.Unit{}, fault.WithHint(fault.New(fault.Missing, "task %s is missing: somebody deleted its %s in namespace %s", id.Name, c.kind.word(), c.Namespace), "the next pass begins it anew; kubectl get events says who deleted it, as far as the cluster keeps that")
}

// Known is how a task stands that runs and is watched: nothing has come of it that the watch
// would not have told, and a thousand runs are no thousand questions.
func (c *cluster) Known(ctx context.Context, id port.TaskID) (port.TaskStatus, bool) {
	if tool, err := c.KnownUID(ctx); err != nil || tool != id.Tool {
		return port.TaskStatus{}, false
	}
	return c.board.running(id)
}

func (c *cluster) Observe(ctx context.Context, id port.TaskID) (port.TaskStatus, error) {
	u, err := c.present(ctx, id)
	if err != nil {
		return port.TaskStatus{}, err
	}
	if u.Spec.Suspend {
		f := c.facts(u, nil)
		if c.queue != "" && u.Annotations[status.Begun] != "" {
			f.Load, err = c.workload(ctx, u)
		}
		if f.Load != nil {
			f.Ahead = c.board.position(*f.Load)
		}
		return f.Task(), err
	}
	pods, err := c.podsOf(ctx, u)
	if err != nil {
		return port.TaskStatus{}, err
	}
	refused := ""
	if len(pods) == 0 { // it may be going by now, or its pods may have come and ended since: they are as old as it, or newer
		if u, err = c.present(ctx, id); err == nil {
			pods, err = c.podsOf(ctx, u)
		}
		if err == nil && len(pods) == 0 {
			refused, err = c.refusal(ctx, u)
		}
	}
	if err != nil {
		return port.TaskStatus{}, err
	}
	f := c.facts(u, pods)
	f.Refused, f.Past = refused, c.board.gone(u)
	if s := f.Task(); s.Cause != port.Lost {
		return s, nil
	}
	// How a pod ended that is gone was told to whoever watched it, and may be on its way here.
	c.board.settle(ctx, u.Name)
	f.Past = c.board.gone(u)
	return f.Task(), nil
}

// present is a task's object that nobody is taking away.
func (c *cluster) present(ctx context.Context, id port.TaskID) (status.Unit, error) {
	u, err := c.find(ctx, id)
	if err == nil && u.Deleted != nil {
		err = fault.New(fault.Missing, "task %s is going: somebody deleted its %s in namespace %s", id.Name, c.kind.word(), c.Namespace)
	}
	return u, err
}

// facts are what is known of a task by its object and pods.
func (c *cluster) facts(u status.Unit, pods []status.Pod) status.Facts {
	f := status.Facts{Unit: u, Queue: c.queue, Ahead: -1, Now: c.Now(), Patience: c.o.Patience}
	for _, p := range pods {
		if c.kind.mine(u, p) && !p.Created.Before(u.Created) {
			f.Pods = append(f.Pods, p)
		}
	}
	return f
}

// podsOf are the pods of a task.
func (c *cluster) podsOf(ctx context.Context, u status.Unit) ([]status.Pod, error) {
	all, _, err := kube.List[status.Pod](ctx, c.Client, kube.Pods, kube.Select{Labels: taskLabel + "=" + u.Name})
	return c.facts(u, all).Pods, err
}

// refusal is what the cluster said last of why it makes no pod for a task.
func (c *cluster) refusal(ctx context.Context, u status.Unit) (string, error) {
	events, _, err := kube.List[status.Event](ctx, c.Client, kube.Events, kube.Select{
		Fields: "involvedObject.kind=Job,reason=FailedCreate,involvedObject.name=" + c.kind.events(u.Name),
	})
	if err != nil {
		return "", err
	}
	var last status.Event
	for _, e := range events {
		if !e.Last.Before(u.Created) && !e.Last.Before(last.Last) {
			last = e
		}
	}
	return last.Message, nil
}

// workloads are Kueue's, in the version that the cluster would have; without a queue, nothing.
func (c *cluster) workloads(ctx context.Context) (kube.Resource, error) {
	if c.queue == "" {
		return kube.Resource{}, nil
	}
	version, err := c.Version(ctx, "kueue.x-k8s.io")
	if fault.Of(err) == fault.Missing {
		return kube.Resource{}, fault.WithHint(fault.New(fault.Invalid, "the runner has queue %s, and %s has no Kueue", c.queue, c.At()), "install Kueue, or take queue out of the runner")
	}
	return kube.Resource{Group: "kueue.x-k8s.io", Version: version, Name: "workloads"}, err
}

// workload is what Kueue keeps of a task, or nil.
func (c *cluster) workload(ctx context.Context, u status.Unit) (*status.Workload, error) {
	loads, err := c.workloads(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := kube.List[status.Workload](ctx, c.Client, loads, kube.Select{Labels: "kueue.x-k8s.io/job-uid=" + u.UID})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// How often what the board knows is read again although nothing woke its reader, as patience
// ends; how soon a change of a reason alone is told; and how long one wait is at most.
const (
	look  = 2 * time.Second
	calm  = 3 * time.Second
	while = time.Minute
)

func (c *cluster) Await(ctx context.Context, id port.TaskID, seen port.TaskStatus) (port.TaskStatus, error) {
	if tool, err := c.KnownUID(ctx); err != nil {
		return port.TaskStatus{}, err
	} else if err := c.here(id, tool); err != nil {
		return port.TaskStatus{}, err
	}
	loads, err := c.workloads(ctx)
	if err != nil {
		return port.TaskStatus{}, err
	}
	defer c.board.join(loads)()
	if err := c.heard(ctx); err != nil {
		return port.TaskStatus{}, err
	}
	begun := c.env.Now()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		wake := c.board.wake(id.Name)
		stands, known := c.board.status(id)
		waited := c.env.Now().Sub(begun)
		broken := c.board.broken()
		switch {
		case broken != nil && fault.Of(broken) != fault.Transient:
			return port.TaskStatus{}, broken
		case waited > while:
			if broken != nil || !known {
				return c.Observe(ctx, id)
			}
			return stands, nil
		case broken != nil: // it comes back, or the while is over
		case !known || !alike(stands, seen):
			// The board's parts are told apart from one another: the cluster has the last word.
			if now, err := c.Observe(ctx, id); err != nil || now != seen {
				return now, err
			}
		case stands != seen && waited > calm:
			return stands, nil
		}
		select {
		case <-wake:
		case <-tick.C:
		case <-ctx.Done():
			return port.TaskStatus{}, fault.New(fault.Cancelled, "await %s: %w", id.Name, ctx.Err())
		}
	}
}

// alike tells whether two differ in no more than a reason for waiting.
func alike(a, b port.TaskStatus) bool {
	if a.Phase == port.TaskEnded {
		return a == b
	}
	a.Reason, b.Reason = "", ""
	return a == b
}

// heard waits until the board knows everything, or why it does not.
func (c *cluster) heard(ctx context.Context) error {
	c.board.mu.Lock()
	known := c.board.known
	c.board.mu.Unlock()
	select {
	case <-known:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "await: %w", ctx.Err())
	}
}

func (c *cluster) Remove(ctx context.Context, id port.TaskID) error {
	tool, err := c.UID(ctx)
	if err != nil {
		return err
	}
	if err := c.here(id, tool); err != nil {
		return err
	}
	c.board.leaves(id)
	spent, err := c.spent(ctx, id)
	if err != nil {
		return err
	}
	err = c.Delete(ctx, c.kind.resource(), id.Name, id.UID)
	if k := fault.Of(err); err != nil && k != fault.Missing && k != fault.Conflict {
		return err
	}
	if spent {
		return nil
	}
	return c.awaitGone(ctx, id)
}

// spent tells whether a task has ended well with all of its pods, so that it holds nothing: the
// cluster takes its objects away in its own time, and nobody waits for that.
func (c *cluster) spent(ctx context.Context, id port.TaskID) (bool, error) {
	var u status.Unit
	err := c.Get(ctx, c.kind.resource(), id.Name, &u)
	if fault.Of(err) == fault.Missing && err != nil || err == nil && u.UID != id.UID {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	pods, err := c.podsOf(ctx, u)
	if err != nil {
		return false, err
	}
	f := c.facts(u, pods)
	return f.Succeeded() && !slices.ContainsFunc(f.Pods, func(p status.Pod) bool { return !p.Final() }), nil
}

// awaitGone waits until nothing is there of a task that was deleted.
func (c *cluster) awaitGone(ctx context.Context, id port.TaskID) error {
	gone := status.Unit{Meta: status.Meta{Name: id.Name, UID: id.UID}}
	begun := c.env.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if held, err := c.held(ctx, gone); err != nil || held == "" {
			return err
		} else if c.env.Now().Sub(begun) > c.o.Grace+2*status.Silence {
			return fault.WithHint(fault.New(fault.Transient, "remove %s: %s is still there", id.Name, held),
				"its node may be gone: see kubectl get nodes; where it will not come back, delete the node")
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fault.New(fault.Cancelled, "remove %s: %w", id.Name, ctx.Err())
		}
	}
}

// held is what is still there of a task that was deleted, or "".
func (c *cluster) held(ctx context.Context, gone status.Unit) (string, error) {
	var u status.Unit
	err := c.Get(ctx, c.kind.resource(), gone.Name, &u)
	switch {
	case err != nil && fault.Of(err) != fault.Missing:
		return "", err
	case err == nil && u.UID == gone.UID:
		return c.kind.word() + " " + u.Name, nil
	}
	pods, err := c.podsOf(ctx, gone)
	for _, p := range pods {
		if u.UID == "" || p.Created.Before(u.Created) { // else it is a namesake's
			return "pod " + p.Name + " on node " + p.Spec.Node, nil
		}
	}
	return "", err
}
