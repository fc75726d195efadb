// Kueue: a task that waits in a queue is suspended, and the queue's workload says why and
// whether it was let go or taken back.

package launcher

import (
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

const queueLabel = "kueue.x-k8s.io/queue-name"

// suspended is how a task stands that does not run yet, or no more.
func (f facts) suspended() port.TaskStatus {
	if f.unit.Annotations[begun] == "" {
		return waiting("it is being launched")
	}
	if f.queue == "" {
		return waiting("somebody suspended it")
	}
	if f.load == nil {
		if f.over(f.unit.Created, f.Start) {
			return waiting("queue %s has not taken it: is Kueue there?", f.queue)
		}
		return waiting("it is on its way into queue %s", f.queue)
	}
	return f.queued(*f.load)
}

func (f facts) queued(w workload) port.TaskStatus {
	c := w.Status.Conditions
	if w.Spec.Active != nil && !*w.Spec.Active {
		return ended(port.Stopped, "somebody stopped it in queue %s", w.Spec.Queue)
	}
	if admitted, yes := c.get("Admitted"); yes {
		if f.over(admitted.Since, f.Start) {
			return ended(port.Lost, "queue %s let it go %s ago, and it has no pod", w.Spec.Queue, f.now.Sub(admitted.Since).Round(time.Second))
		}
		return waiting("queue %s lets it go", w.Spec.Queue)
	}
	reserved, quota := c.get("QuotaReserved")
	if evicted, yes := c.get("Evicted"); yes && !quota {
		return ended(port.Preempted, "queue %s took it back: %s", w.Spec.Queue, evicted.Message)
	}
	if quota {
		return waiting("queue %s has quota for it, and checks whether it is admitted", w.Spec.Queue)
	}
	if strings.Contains(reserved.Message, "> maximum capacity") && f.over(reserved.Since, f.Room) {
		return ended(port.Unschedulable, "queue %s will never have room for it: %s", w.Spec.Queue, reserved.Message)
	}
	why := ""
	if reserved.Message != "" {
		why = ": " + reserved.Message
	}
	if f.ahead < 0 {
		return waiting("it waits in queue %s%s", w.Spec.Queue, why)
	}
	return waiting("position %d in queue %s%s", f.ahead+1, w.Spec.Queue, why)
}

// waits tells whether a workload is in its queue.
func (w workload) waits() bool {
	_, reserved := w.Status.Conditions.get("QuotaReserved")
	_, done := w.Status.Conditions.get("Finished")
	return !reserved && !done && w.Deleted == nil && (w.Spec.Active == nil || *w.Spec.Active)
}

// before tells whether w is ahead of other in their queue.
func (w workload) before(other workload) bool {
	switch {
	case w.Spec.Priority != other.Spec.Priority:
		return w.Spec.Priority > other.Spec.Priority
	case !w.Created.Equal(other.Created):
		return w.Created.Before(other.Created)
	default:
		return w.UID < other.UID
	}
}

// ahead counts the workloads that are before w in its queue.
func ahead(w workload, all func(func(workload) bool)) int {
	n := 0
	all(func(other workload) bool {
		if other.Spec.Queue == w.Spec.Queue && other.UID != w.UID && other.waits() && other.before(w) {
			n++
		}
		return true
	})
	return n
}
