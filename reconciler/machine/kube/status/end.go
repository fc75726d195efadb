// How a task ended that did not end well: by itself, by a limit, by somebody, or because its
// machine was taken.

package status

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// failed is how a task ended whose object has failed.
func (f Facts) failed(c condition) port.TaskStatus {
	if c.Reason == "DeadlineExceeded" {
		return ended(port.TimedOut, "it was still there at its deadline")
	}
	best, rank := decisive(f.Pods)
	if rank < 0 {
		best, rank = decisive(f.Past)
	}
	switch {
	case rank > byOther:
		return best
	case strings.Contains(c.Message, "DisruptionTarget"):
		return ended(port.Preempted, "its machine was taken back")
	case rank >= 0:
		return best
	case len(f.Past) > 0: // nothing else takes away the pod of what has failed
		return ended(port.Stopped, "somebody deleted its pod")
	case len(f.Pods) == 0 && c.Reason == "BackoffLimitExceeded": // else the Job would say that it was taken back
		return ended(port.Stopped, "somebody deleted its pod")
	default:
		return ended(port.Lost, "it failed: %s: %s", c.Reason, c.Message)
	}
}

// decisive is the end of the pod whose end tells most. Of several nodes, one that was ended
// because another failed tells nothing.
func decisive(pods []Pod) (port.TaskStatus, int) {
	best, rank := port.TaskStatus{}, -1
	for _, p := range pods {
		if s, r := p.ending(); r > rank {
			best, rank = s, r
		}
	}
	return best, rank
}

// How much the end of a pod tells of why its task ended.
const (
	byOther = iota // it was ended by a signal, or deleted
	byItself
	byLimit
	byOwner // of the machine
)

// ending is how a pod ended, and how much that tells; what has not ended is -1.
func (p Pod) ending() (port.TaskStatus, int) {
	if c, yes := p.Status.Conditions.Get("DisruptionTarget"); yes {
		if s, limit := p.tooMuch(); limit {
			return s, byLimit
		}
		return ended(port.Preempted, "%s", taken(c)), byOwner
	}
	if s, limit := p.tooMuch(); limit {
		return s, byLimit
	}
	switch p.Status.Reason {
	case "DeadlineExceeded":
		return ended(port.TimedOut, "it was still there at its deadline"), byLimit
	case "NodeLost", "NodeShutdown", "Terminated", "Shutdown", "Preempting", "UnexpectedAdmissionError", "NodeAffinity", "OutOfcpu", "OutOfmemory", "OutOfpods":
		return ended(port.Preempted, "its node ended it: %s: %s", p.Status.Reason, p.Status.Message), byOwner
	}
	best, rank := port.TaskStatus{}, -1
	for _, s := range p.states() {
		if t := s.State.Terminated; t != nil {
			if s, r := p.exit(s, *t); r > rank {
				best, rank = s, r
			}
		}
	}
	if rank >= 0 && p.Deleted != nil {
		return ended(port.Stopped, "somebody deleted its pod"), byOther
	}
	return best, rank
}

// exit is how a container ended.
func (p Pod) exit(s containerState, t ending) (port.TaskStatus, int) {
	switch {
	case t.Reason == "OOMKilled":
		given := "which its node does not have: give it resources.memory"
		if l := p.limit("memory"); l != "" {
			given = "of which it is given " + l
		}
		return ended(port.OutOfMemory, "it took more memory, %s", given), byLimit
	case t.ExitCode != 0 && foreign(t.Message):
		return ended(port.BadImage, "its image %s is for another kind of machine than its node: %s", p.image(s), kinds), byItself
	case t.Reason == "StartError" || t.Reason == "ContainerCannotRun":
		return ended(port.BadImage, "its image %s does not begin the command: %s", p.image(s), t.Message), byItself
	case t.ExitCode == 0:
		return port.TaskStatus{}, -1
	}
	out := ended(port.Exit, "it ended with exit code %d", t.ExitCode)
	if s.Name != Container && len(p.Status.Init) > 0 {
		out.Reason = fmt.Sprintf("container %s ended with exit code %d", s.Name, t.ExitCode)
	}
	if said := harmless.Said(t.Message); said != "" {
		out.Reason = kube.Cut(out.Reason + ": " + said)
	}
	out.ExitCode = t.ExitCode
	if t.ExitCode == 137 || t.ExitCode == 143 {
		return out, byOther
	}
	return out, byItself
}

// kinds is what to do about an image that is for another kind of machine.
const kinds = "pin one that is for the machines of the cluster, too, or have the runner choose nodes that it is for (kubernetes.io/arch)"

// foreign tells whether a program could not be begun because it is for another kind of machine: the
// last word of runc, crun and of Python's exec, and of nothing that begins.
func foreign(said string) bool {
	said = strings.TrimSpace(strings.ToLower(said))
	return strings.HasSuffix(said, "exec format error") || strings.Contains(said, "exec format error: unknown")
}

// tooMuch tells of a pod that its node ended because it took what it was not given. A task
// without a limit that has a node run short of something did so itself: it spends its retries.
func (p Pod) tooMuch() (port.TaskStatus, bool) {
	if p.Status.Reason != "Evicted" {
		return port.TaskStatus{}, false
	}
	said := strings.ToLower(p.Status.Message)
	short := strings.Contains(said, "low on resource")
	switch {
	case short && strings.Contains(said, "memory") && p.limit("memory") == "":
		return ended(port.OutOfMemory, "its node ran out of memory, and it has no limit of its own: give it resources.memory"), true
	case short && strings.Contains(said, "storage") && p.limit("ephemeral-storage") == "":
		return ended(port.OverLimit, "its node ran out of disk, and it has no limit of its own: give it resources.ephemeralStorage"), true
	case short:
		return port.TaskStatus{}, false
	case strings.Contains(said, "usage") || strings.Contains(said, "exceed"):
		return ended(port.OverLimit, "it took more disk than it is given: %s", p.Status.Message), true
	default:
		return port.TaskStatus{}, false
	}
}

// taken says why a pod's machine was taken from it.
func taken(c condition) string {
	switch c.Reason {
	case "PreemptionByScheduler":
		return "a pod of higher priority took its place"
	case "DeletionByTaintManager":
		return "its node does not answer, or is being taken back"
	case "EvictionByEvictionAPI":
		return "its node is being drained"
	case "DeletionByPodGC":
		return "its node was removed"
	default:
		return "its node ended it: " + c.Message
	}
}
