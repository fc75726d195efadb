// How pods that serve stand: whether as many answer as are to, and why not, in plain words.

package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// The containers of a pod that serves.
const (
	Fetches = "fetch" // brings the release, before
	Serves  = "serve"
)

// How Fetches ends where it would end so the next time, where what it was lent has ended, and where its volume or its node has no room.
const (
	Hopeless = 3
	Lapsed   = 4
	Full     = 5
)

// Cause is what keeps pods from serving, as the cluster tells it by its fields. What programs in pods, or rules of the cluster, say in
// words decides nothing.
type Cause string

// The causes that something can be done about. Empty is any other.
const (
	NoImage  Cause = "image"  // it cannot be pulled
	NoModel  Cause = "model"  // it cannot be brought
	NoLoan   Cause = "loan"   // what it may read of the store ended
	NoQuota  Cause = "quota"  // the namespace has none left
	NoMemory Cause = "memory" // it took more than it is given
	NoDisk   Cause = "disk"   // it took more than it is given, or than its node has
	NoNode   Cause = "node"   // none has room for it
	NoPod    Cause = "pod"    // a rule of the cluster is against it
	NoAnswer Cause = "answer" // it runs, and does not answer
)

// Rollout is what is known of pods that serve.
type Rollout struct {
	Deployment Deployment
	Pods       []Pod
	Ready      string // the path that answers 200
	Now        time.Time
	Patience
}

// Standing is how they stand.
type Standing struct {
	Want, Serving int
	Settled       bool   // all of them serve, and it is these and no others
	Reason        string // why not
	Cause         Cause
	Over          bool // and waiting would not help
	Restarts      int  // of containers that served
}

// Stands tells how the pods stand.
func (r Rollout) Stands() Standing {
	d := r.Deployment
	s := Standing{Want: 1, Serving: d.Status.Available}
	if d.Spec.Replicas != nil {
		s.Want = *d.Spec.Replicas
	}
	for _, p := range r.Pods {
		for _, c := range p.Status.Containers {
			s.Restarts += c.Restarts
		}
	}
	switch {
	case d.Status.Observed < d.Generation:
		s.Reason = "the cluster has not taken notice of it yet"
	case d.Status.Updated >= s.Want && d.Status.Replicas == s.Want && d.Status.Available >= s.Want && s.Want > 0:
		s.Settled = true
		return s
	case s.Want == 0:
		s.Reason = "it is to have no pods"
	case d.Spec.Paused:
		s.Reason = "somebody paused it"
	default:
		is := r.why()
		s.Reason, s.Cause, s.Over = is.reason, is.cause, is.over
	}
	if s.Want > 1 {
		s.Reason = fmt.Sprintf("%d of %s %s: %s", s.Serving, plural.Of(s.Want, "pod"), map[bool]string{true: "serves", false: "serve"}[s.Serving == 1], s.Reason)
	}
	s.Reason = kube.Cut(s.Reason)
	return s
}

// obstacle is what keeps a pod from serving.
type obstacle struct {
	reason string
	cause  Cause
	over   bool // waiting would not help
}

// why is what keeps a pod from serving: what waiting does not help with goes first.
func (r Rollout) why() (is obstacle) {
	if failed, yes := r.Deployment.Status.Conditions.Get("ReplicaFailure"); yes {
		is = obstacle{"the cluster makes no pod for it: " + refusal(failed.Message), NoPod, r.over(failed.Since)}
		if kube.Quota(failed.Message) {
			is.cause, is.over = NoQuota, false
		}
		return is
	}
	var ended obstacle // of pods that their nodes ended, whose places others took
	for _, p := range r.Pods {
		if p.Deleted != nil {
			continue
		}
		if said, limit := p.tooMuch(); limit {
			was := r.evicted(p, said)
			if was.over {
				return was
			}
			if r.lately(p) {
				ended = was
			}
			continue
		}
		if ready, yes := p.Status.Conditions.Get("Ready"); yes {
			if is.reason == "" {
				is.reason = fmt.Sprintf("its pod answers since %s, and has to go on for a moment", r.Now.Sub(ready.Since).Round(time.Second))
			}
			continue
		}
		if is = r.unready(p); is.over {
			return is
		}
	}
	switch {
	case ended.reason != "" && is.cause == "":
		return ended
	case is.reason == "":
		is.reason = "its pods are being made"
	}
	is.over = false
	return is
}

func (r Rollout) over(since time.Time) bool { return !since.IsZero() && r.Now.Sub(since) > r.Start }

// unready is why one pod does not serve.
func (r Rollout) unready(p Pod) obstacle {
	if placed, yes := p.Status.Conditions.Get("PodScheduled"); !yes && placed.Type != "" {
		reason, never := room(placed.Message, p)
		cause := NoNode
		if placed.Message == "" {
			cause = ""
		}
		return obstacle{reason, cause, never && r.Now.Sub(p.Created) > r.Room}
	}
	for _, c := range p.states() {
		last := c.State.Terminated
		if last == nil {
			last = c.Last.Terminated
		}
		switch {
		case last != nil && last.Reason == "OOMKilled":
			given := "of which it is given " + p.limit("memory")
			if p.limit("memory") == "" {
				given = "which its node does not have: give it resources.memory"
			}
			return obstacle{"it took more memory, " + given, NoMemory, true}
		case c.Name == Fetches && last != nil && last.ExitCode != 0 && c.State.Running == nil:
			cause := NoModel
			switch last.ExitCode {
			case Lapsed:
				cause = NoLoan
			case Full:
				cause = NoDisk
			}
			return obstacle{"it cannot bring the model: " + orExit(*last), cause, last.ExitCode == Hopeless}
		case c.Name == Serves && last != nil && (last.Reason == "StartError" || last.Reason == "ContainerCannotRun"):
			return obstacle{fmt.Sprintf("its image %s does not begin the command: %s", p.image(c), last.Message), "", true}
		case c.Name == Serves && last != nil:
			return obstacle{"its container ended by itself, " + orExit(*last), "", true}
		case c.State.Waiting != nil:
			return r.held(p, c)
		}
	}
	return obstacle{"its pod runs, and does not answer 200 at " + r.Ready, NoAnswer, false}
}

// evicted is a pod that its node ended because of what it took. Another is made in its place, which does not help where that has happened
// again and again to each of those that are to serve: one node that runs short ends all that it has, once.
func (r Rollout) evicted(p Pod, said port.TaskStatus) obstacle {
	const often = 3
	times, want := 0, 1
	if n := r.Deployment.Spec.Replicas; n != nil {
		want = max(1, *n)
	}
	for _, other := range r.Pods {
		if _, limit := other.tooMuch(); limit && r.lately(other) { // they stay there for long
			times++
		}
	}
	over := times >= often*want
	if said.Cause == port.OutOfMemory {
		return obstacle{said.Reason, NoMemory, over}
	}
	return obstacle{"its node ended its pod, which took more disk than there is for it: " + p.Status.Message, NoDisk, over}
}

func (r Rollout) lately(p Pod) bool { return r.Now.Sub(p.Created) < time.Hour }

// held is why a container of a pod does not begin.
func (r Rollout) held(p Pod, c containerState) obstacle {
	why, said := c.State.Waiting.Reason, c.State.Waiting.Message
	since := p.Created
	if placed, yes := p.Status.Conditions.Get("PodScheduled"); yes {
		since = placed.Since
	}
	switch {
	case why == "InvalidImageName":
		return obstacle{fmt.Sprintf("%s cannot name an image: %s", p.image(c), said), "", true}
	case slices.Contains(noImage, why):
		return obstacle{fmt.Sprintf("its image %s cannot be pulled: %s", p.image(c), pull(said)), NoImage, r.Now.Sub(since) > r.Image}
	case slices.Contains(noStart, why):
		return obstacle{fmt.Sprintf("its container cannot be begun: %s: %s", why, said), "", r.over(since)}
	case c.Name == Serves && len(p.Status.Init) > 0:
		return obstacle{reason: "the model is being brought"}
	default:
		return obstacle{reason: "its image is being pulled, or its container made"}
	}
}

// orExit is what a container said at its end.
func orExit(e ending) string {
	if said := strings.TrimSpace(e.Message); said != "" {
		return fmt.Sprintf("with exit code %d: %s", e.ExitCode, tail(said))
	}
	return fmt.Sprintf("with exit code %d", e.ExitCode)
}

// tail is the end of what somebody says, which tells most.
func tail(s string) string {
	const most = 400
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = "... " + strings.ToValidUTF8(s[len(s)-most:], "")
	}
	return s
}
