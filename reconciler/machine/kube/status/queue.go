// Kueue: a task that waits in a queue is suspended, and the queue's workload says why and
// whether it was let go or taken back.

package status

import (
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// suspended is how a task stands that does not run yet, or no more.
func (f Facts) suspended() port.TaskStatus {
	if f.Unit.Annotations[Begun] == "" {
		return waiting("it is being launched")
	}
	if f.Queue == "" {
		return waiting("somebody suspended it")
	}
	if f.Load == nil {
		if f.over(f.Unit.Created, f.Start) {
			return waiting("queue %s has not taken it: is Kueue there?", f.Queue)
		}
		return waiting("it is on its way into queue %s", f.Queue)
	}
	return f.queued(*f.Load)
}

func (f Facts) queued(w Workload) port.TaskStatus {
	c := w.Status.Conditions
	if w.Spec.Active != nil && !*w.Spec.Active {
		return ended(port.Stopped, "somebody stopped it in queue %s", w.Spec.Queue)
	}
	if admitted, yes := c.Get("Admitted"); yes {
		if f.over(admitted.Since, f.Start) {
			return ended(port.Lost, "queue %s let it go %s ago, and it has no pod", w.Spec.Queue, f.Now.Sub(admitted.Since).Round(time.Second))
		}
		return waiting("queue %s lets it go", w.Spec.Queue)
	}
	reserved, quota := c.Get("QuotaReserved")
	if evicted, yes := c.Get("Evicted"); yes && !quota {
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
	if f.Ahead < 0 {
		return waiting("it waits in queue %s%s", w.Spec.Queue, why)
	}
	return waiting("position %d in queue %s%s", f.Ahead+1, w.Spec.Queue, why)
}

// waits tells whether a workload is in its queue.
func (w Workload) waits() bool {
	_, reserved := w.Status.Conditions.Get("QuotaReserved")
	_, done := w.Status.Conditions.Get("Finished")
	return !reserved && !done && w.Deleted == nil && (w.Spec.Active == nil || *w.Spec.Active)
}

// before tells whether w is ahead of other in their queue.
func (w Workload) before(other Workload) bool {
	switch {
	case w.Spec.Priority != other.Spec.Priority:
		return w.Spec.Priority > other.Spec.Priority
	case !w.Created.Equal(other.Created):
		return w.Created.Before(other.Created)
	default:
		return w.UID < other.UID
	}
}

// Ahead counts the workloads that are before w in its queue.
func Ahead(w Workload, all func(func(Workload) bool)) int {
	n := 0
	all(func(other Workload) bool {
		if other.Spec.Queue == w.Spec.Queue && other.UID != w.UID && other.waits() && other.before(w) {
			n++
		}
		return true
	})
	return n
}
