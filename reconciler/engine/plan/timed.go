// Steps that wait for their time: in a freeze nothing new is released, and a deployment may have
// another come first. What served before and comes back waits for nothing.

package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/calendar"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// again is after how long a freeze is looked at whose end is not known.
const again = time.Hour

// FrozenUntil and ComesAfter begin the reasons of steps that are held for a time alone.
const (
	FrozenUntil = "frozen until "
	ComesAfter  = "comes after "
)

// Timed tells whether s is held for nothing but time, or for what another deployment does in it.
func (s Step) Timed() bool { return s.Held != "" && s.timed }

// Wakes is when the first of p's steps may go on that waits for a time; zero: none does.
func (p Plan) Wakes() (first time.Time) {
	for _, s := range p.Steps {
		for _, at := range []time.Time{s.Until, s.look} {
			if !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

// Freed lists the steps that before held for a time or for another deployment, and that may go on by after,
// the plan when before was carried out.
func Freed(before, after Plan) (refs []schemas.Ref) {
	waited := map[schemas.Ref]bool{}
	for _, s := range before.Steps {
		waited[s.Ref] = s.Timed()
	}
	for _, s := range after.Steps {
		if waited[s.Ref] && s.Held == "" && (s.Do == Make || s.Do == Remake) {
			refs = append(refs, s.Ref)
		}
	}
	return refs
}

// timed holds the releases of steps whose time has not come. A pull request releases nothing, and is told
// what waits after its merge.
func (c *computing) timed(steps []Step) {
	if c.seen.Now.IsZero() {
		return // nobody asks what may be done, and only what there is
	}
	for i := range steps {
		s := &steps[i]
		how := s.releases(c.want.Node(s.Ref), c.seen.Live[s.Ref])
		if how == nil || s.Held != "" {
			continue
		}
		why, until := frozen(how.Freeze, c.seen.Now)
		if after := how.After; why == "" && after != nil {
			why, until = c.soaks(*s, after, steps)
		}
		switch {
		case why == "":
		case c.seen.Pull:
			s.Why += "; after the merge: " + why
		default:
			s.Held, s.Until, s.timed = why, until, true
			if strings.HasPrefix(why, FrozenUntil) && until.IsZero() {
				s.look = c.seen.Now.Add(again)
			}
			if s.GoesOn() { // it is tried all the while
				s.look = c.seen.Now.Add(lookAgain)
			}
		}
	}
}

// Frozen says why a step that is about to release something does not by now, though its plan did not hold it;
// "" where it may.
func Frozen(s Step, n *graph.Node, live port.Live, now time.Time) string {
	how := s.releases(n, live)
	if how == nil {
		return ""
	}
	why, _ := frozen(how.Freeze, now)
	return why
}

// releases is how s is rolled out, where it releases something; nil where it does not: what
// served before comes back, or all that is left is to record what serves.
func (s Step) releases(n *graph.Node, live port.Live) *schemas.Rollout {
	if n == nil || s.Do != Make && s.Do != Remake || s.Restores || s.Back() || live.Key == s.Key && s.Key != "" && live.Health == port.Ready {
		return nil
	}
	if spec, ok := n.Decl.Spec.(schemas.RolledOut); ok {
		return spec.Rolls()
	}
	return nil
}

// frozen says which freeze now is in, and until when; "" where it is in none. Of freezes that follow each
// other without an end that is found, no time is known. One that cannot be read, as
// no declaration that was checked has it, freezes: it is not known when it ends.
func frozen(freezes []schemas.Freeze, now time.Time) (why string, until time.Time) {
	var windows []calendar.Window
	for _, f := range freezes {
		w, err := f.Window()
		if err != nil {
			return "frozen: " + err.Error(), time.Time{}
		}
		windows = append(windows, w)
	}
	which, until, held := calendar.Held(windows, now)
	if !held {
		return "", time.Time{}
	}
	why = FrozenUntil + "further notice"
	if !until.IsZero() {
		why = FrozenUntil + windows[which].Show(until)
	}
	if f := freezes[which]; f.Reason != "" {
		why += ": " + f.Reason
	}
	return why, until
}

// soaks says what s still waits for of the deployment that it comes after, and until when where that is known.
func (c *computing) soaks(s Step, after *schemas.After, steps []Step) (why string, until time.Time) {
	first := after.Deployment
	wait := func(format string, args ...any) (string, time.Time) {
		return ComesAfter + first.String() + ", " + fmt.Sprintf(format, args...), until
	}
	soak := ""
	if after.For() > 0 {
		soak = " for " + string(after.Soak)
	}
	for _, other := range steps {
		if other.Ref == first && other.Do != Keep {
			return wait("which is to serve this model%s first", soak)
		}
	}
	if s.Pending { // which model it is to serve is not known
		_, waits := c.known.Recipe(c.want.Node(s.Ref))
		return wait("and waits for %s before that", names(waits))
	}
	stands := c.seen.Facts.Standing(c.seen.Machine, first, c.key(first))
	if stands == nil || stands.Model == nil || stands.Model.Artifact.Digest != s.Model {
		return wait("which does not serve this model")
	}
	since := stands.Time
	if seen := c.seen.Facts.Observed[first]; seen != nil && seen.Observed != nil && seen.Time.After(since) {
		if !seen.Observed.Up {
			until = c.seen.Now.Add(time.Minute) // when it does so again is nobody's news
			return wait("which does not answer")
		}
		since = seen.Time
	}
	if until = since.Add(after.For()); !c.seen.Now.Before(until) {
		return "", time.Time{}
	}
	return wait("which serves this model since %s, and is to do so%s", since.UTC().Format("2006-01-02 15:04 MST"), soak)
}
