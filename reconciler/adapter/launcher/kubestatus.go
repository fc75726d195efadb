// How a task stands, from what the cluster says of its object and its pods. It is a function
// of these and of the time.

package launcher

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// facts are what is known of a task.
type facts struct {
	unit    unit
	pods    []pod
	past    []pod  // that are gone, as they were last
	refused string // why the cluster makes no pod, as it said last
	queue   string // that the task waits in, where it is to
	load    *workload
	ahead   int // of the workload, in its queue; negative is unknown
	now     time.Time
	Patience
}

func waiting(format string, args ...any) port.TaskStatus {
	return port.TaskStatus{Phase: port.TaskWaiting, Reason: kube.Cut(fmt.Sprintf(format, args...))}
}

func ended(cause port.Cause, format string, args ...any) port.TaskStatus {
	return port.TaskStatus{Phase: port.TaskEnded, Cause: cause, Reason: kube.Cut(fmt.Sprintf(format, args...))}
}

// over tells whether what has stood still since then is given up.
func (f facts) over(since time.Time, patience time.Duration) bool {
	return !since.IsZero() && f.now.Sub(since) > patience
}

func (f facts) status() port.TaskStatus {
	c := f.unit.Status.Conditions
	for _, kind := range []string{"Complete", "Completed"} {
		if _, yes := c.get(kind); yes {
			return port.TaskStatus{Phase: port.TaskEnded}
		}
	}
	if failed, yes := c.get("Failed"); yes {
		return f.failed(failed)
	}
	if f.unit.Spec.Suspend {
		return f.suspended()
	}
	if len(f.pods) == 0 {
		return f.podless()
	}
	running := 0
	for _, p := range f.pods {
		if p.Status.Phase == "Pending" {
			return f.pending(p)
		}
		running++
	}
	if running < f.unit.nodes() {
		return waiting("%d of its %d nodes are there", running, f.unit.nodes())
	}
	return port.TaskStatus{Phase: port.TaskRunning, Reason: f.unit.Status.Trainer.String()}
}

// podless is a task that was let go and has no pod.
func (f facts) podless() port.TaskStatus {
	since := f.unit.Created
	if f.unit.Status.Started != nil {
		since = *f.unit.Status.Started
	}
	if f.refused != "" {
		why := "the cluster makes no pod for it: " + refusal(f.refused)
		if !strings.Contains(f.refused, "exceeded quota") && f.over(since, f.Start) {
			return ended(port.Unschedulable, "%s", why)
		}
		return waiting("%s", why)
	}
	if f.over(since, f.Start) {
		return ended(port.Lost, "it was let go %s ago, and the cluster made no pod for it", f.now.Sub(since).Round(time.Second))
	}
	return waiting("its pod is being made")
}

// refusal is the part of an event of FailedCreate that tells: pods "x" is forbidden: why.
func refusal(message string) string {
	if _, why, ok := strings.Cut(message, "is forbidden: "); ok {
		return why
	}
	return strings.TrimPrefix(message, "Error creating: ")
}

// pending is how a task stands one of whose pods does not run yet.
func (f facts) pending(p pod) port.TaskStatus {
	if placed, yes := p.Status.Conditions.get("PodScheduled"); !yes && placed.Type != "" {
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
func (f facts) starting(p pod, s containerState) port.TaskStatus {
	why, said := s.State.Waiting.Reason, s.State.Waiting.Message
	since := p.Created
	if placed, yes := p.Status.Conditions.get("PodScheduled"); yes {
		since = placed.Since
	}
	switch {
	case why == "InvalidImageName":
		return ended(port.BadImage, "%s is no name of an image: %s", p.image(s), said)
	case slices.Contains(noImage, why):
		text := fmt.Sprintf("its image %s cannot be pulled: %s", p.image(s), pull(said))
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
