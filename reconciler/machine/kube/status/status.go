// Package status tells how a task stands on a cluster, in plain words, from what the cluster
// says of its object, its pods and its queue. It is a function of these and of the time.
package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Patience is how long what stands still is waited for, before it is told as ended.
type Patience struct {
	Image time.Duration // for an image that cannot be pulled, which may be on its way; zero is 2 minutes
	Room  time.Duration // where no node could ever have room, as one may be added; zero is 15 minutes
	Start time.Duration // for what a cluster took and does not begin; zero is 5 minutes
}

// Container is the name of a Job's container that is the task's own.
const Container = "worker"

// Begun is the annotation that an object has from when all was there that its task needs.
const Begun = "vishwa.dev/begun"

// Silence is how long after its time to end a pod may still be there, before its node is taken for gone.
const Silence = time.Minute

// Facts are what is known of a task.
type Facts struct {
	Unit    Unit
	Pods    []Pod
	Past    []Pod  // that are gone, as they were last
	Refused string // why the cluster makes no pod, as it said last
	Queue   string // that the task waits in, where it is to
	Load    *Workload
	Ahead   int // of the workload, in its queue; negative is unknown
	Now     time.Time
	Patience
}

func waiting(format string, args ...any) port.TaskStatus {
	return port.TaskStatus{Phase: port.TaskWaiting, Reason: kube.Cut(fmt.Sprintf(format, args...))}
}

func ended(cause port.Cause, format string, args ...any) port.TaskStatus {
	return port.TaskStatus{Phase: port.TaskEnded, Cause: cause, Reason: kube.Cut(fmt.Sprintf(format, args...))}
}

// over tells whether what has stood still since then is given up.
func (f Facts) over(since time.Time, patience time.Duration) bool {
	return !since.IsZero() && f.Now.Sub(since) > patience
}

// Succeeded tells whether every node's pod has ended well. The Job says so a second or two later,
// as its controller counts pods together, and nothing can come of it but that.
func (f Facts) Succeeded() bool {
	well := 0
	for _, p := range f.Pods {
		if p.Status.Phase == "Succeeded" {
			well++
		}
	}
	return well >= f.Unit.nodes()
}

// Task is how it stands.
func (f Facts) Task() port.TaskStatus {
	c := f.Unit.Status.Conditions
	for _, kind := range []string{"Complete", "Completed"} {
		if _, yes := c.Get(kind); yes {
			return port.TaskStatus{Phase: port.TaskEnded}
		}
	}
	if failed, yes := c.Get("Failed"); yes {
		return f.failed(failed)
	}
	if f.Unit.Spec.Suspend {
		return f.suspended()
	}
	if len(f.Pods) == 0 {
		return f.podless()
	}
	if f.Succeeded() {
		return port.TaskStatus{Phase: port.TaskEnded}
	}
	running := 0
	for _, p := range f.Pods {
		if s, lost := f.unheard(p); lost {
			return s
		}
		if p.Status.Phase == "Pending" {
			return f.pending(p)
		}
		running++
	}
	if running < f.Unit.nodes() {
		return waiting("%d of its %d nodes are there", running, f.Unit.nodes())
	}
	return port.TaskStatus{Phase: port.TaskRunning, Reason: f.Unit.Status.Trainer.String()}
}

// unheard tells of a pod that was told to end and whose node does not say that it has.
func (f Facts) unheard(p Pod) (port.TaskStatus, bool) {
	if p.Deleted == nil || !f.over(*p.Deleted, Silence) {
		return port.TaskStatus{}, false
	}
	if c, yes := p.Status.Conditions.Get("DisruptionTarget"); yes {
		return ended(port.Preempted, "%s", taken(c)), true
	}
	return ended(port.Stopped, "somebody deleted its pod, and node %s does not answer", p.Spec.Node), true
}

// podless is a task that was let go and has no pod.
func (f Facts) podless() port.TaskStatus {
	since, known := f.letGo()
	if f.Refused != "" {
		why := "the cluster makes no pod for it: " + refusal(f.Refused)
		if !kube.Quota(f.Refused) && known && f.over(since, f.Start) {
			return ended(port.Unschedulable, "%s", why)
		}
		return waiting("%s", why)
	}
	if known && f.over(since, f.Start) {
		return ended(port.Lost, "it was let go %s ago, and the cluster made no pod for it", f.Now.Sub(since).Round(time.Second))
	}
	return waiting("its pod is being made")
}

// letGo is since when a task may have pods, as far as the cluster has said so: what waited in a
// queue for hours was made hours ago, and was let go a moment ago. The words of the several who
// say so come one after another, and none of them is waited for by its own age.
func (f Facts) letGo() (since time.Time, known bool) {
	since = f.Unit.Created
	later := func(t time.Time) {
		if t.After(since) {
			since = t
		}
	}
	if f.Unit.Status.Started != nil {
		later(*f.Unit.Status.Started)
	}
	suspended, _ := f.Unit.Status.Conditions.Get("Suspended")
	later(suspended.Since)
	if f.Queue == "" {
		return since, true
	}
	if f.Load == nil {
		return since, f.Unit.Status.Started != nil
	}
	admitted, yes := f.Load.Status.Conditions.Get("Admitted")
	later(admitted.Since)
	return since, yes || f.Unit.Status.Started != nil
}

// refusal is the part of an event of FailedCreate that tells: pods "x" is forbidden: why.
func refusal(message string) string {
	if _, why, ok := strings.Cut(message, "is forbidden: "); ok {
		return why
	}
	return strings.TrimPrefix(message, "Error creating: ")
}

// pending is how a task stands one of whose pods does not run yet.
func (f Facts) pending(p Pod) port.TaskStatus {
	if placed, yes := p.Status.Conditions.Get("PodScheduled"); !yes && placed.Type != "" {
		why, never := room(placed.Message, p)
		switch {
		case placed.Reason == "SchedulingGated":
			return waiting("its pod is held back by a scheduling gate")
		case never && f.over(p.Created, f.Room):
			return ended(port.Unschedulable, "%s", why)
		default:
			return waiting("%s", why)
		}
	}
	for _, s := range p.states() {
		if s.State.Waiting != nil {
			return f.starting(p, s)
		}
	}
	return waiting("its pod is being begun")
}

// The reasons for which a container waits.
var (
	noImage = []string{"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
	noStart = []string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError", "CrashLoopBackOff"}
)

// starting is how a task stands one of whose containers does not run yet.
func (f Facts) starting(p Pod, s containerState) port.TaskStatus {
	why, said := s.State.Waiting.Reason, s.State.Waiting.Message
	since := p.Created
	if placed, yes := p.Status.Conditions.Get("PodScheduled"); yes {
		since = placed.Since
	}
	switch {
	case why == "InvalidImageName":
		return ended(port.BadImage, "%s cannot name an image: %s", p.image(s), said)
	case slices.Contains(noImage, why):
		text := fmt.Sprintf("its image %s cannot be pulled: %s", p.image(s), pull(said))
		if strings.Contains(said, "no match for platform") {
			text = fmt.Sprintf("its image %s is for another kind of machine than node %s: %s", p.image(s), p.Spec.Node, kinds)
		}
		if f.over(since, f.Image) {
			return ended(port.BadImage, "%s", text)
		}
		return waiting("%s", text)
	case slices.Contains(noStart, why):
		if f.over(since, f.Start) {
			return ended(port.Unschedulable, "its container cannot be begun: %s: %s", why, said)
		}
		return waiting("its container cannot be begun: %s: %s", why, said)
	case why == "PodInitializing" || len(p.Status.Init) > 0:
		return waiting("its worker is being installed")
	default:
		return waiting("its image is being pulled, or its container made")
	}
}

// pull is why an image is not pulled, without what the kubelet says around it: that changes from one try to the next.
func pull(said string) string {
	for _, kind := range []string{"ErrImagePull: ", "rpc error: "} {
		if _, rest, ok := strings.Cut(said, kind); ok {
			said = rest
		}
	}
	if strings.HasPrefix(said, "Back-off pulling image") {
		return "the registry does not give it"
	}
	return said
}
