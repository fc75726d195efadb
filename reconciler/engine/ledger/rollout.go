// Rollouts on the ledger: each step of a release that is tried beside the one that serves is an entry.

package ledger

import (
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Rollout is where a release is among the steps of its rollout.
type Rollout struct {
	Phase    rollout.Phase `json:"phase"`    // from this entry on
	Step     int           `json:"step"`     // that it is at, from 0
	Weight   int           `json:"weight"`   // per cent of the requests that it answers
	Since    time.Time     `json:"since"`    // when it came to its step
	Declared digest.Digest `json:"declared"` // of the steps and analyses, as they were declared when it began
	// Canary and Baseline are what was seen of it, and of a process as young of the release that serves.
	Canary   port.Asked `json:"canary,omitzero"`
	Baseline port.Asked `json:"baseline,omitzero"`
	// Pairs is what came of requests that were sent to both.
	Pairs *port.Pairs `json:"pairs,omitempty"`
}

// RolloutOf is how the newest rollout of ref stands; the zero state is none.
func (f *Facts) RolloutOf(ref schemas.Ref) rollout.State {
	e := f.Rollouts[ref]
	if e == nil {
		return rollout.State{}
	}
	return rollout.State{Change: e.change(), Since: e.Rollout.Since}
}

func (e *Entry) change() rollout.Change {
	r := e.Rollout
	return rollout.Change{Key: e.Key, Phase: r.Phase, Step: r.Step, Weight: r.Weight, Declared: r.Declared, Time: e.Time, Why: e.Reason}
}

// Rolled is s once e was recorded.
func (e *Entry) Rolled(s rollout.State) rollout.State {
	if e.Rollout == nil || !s.Takes(e.change()) {
		return s
	}
	return rollout.State{Change: e.change(), Since: e.Rollout.Since}
}

// rolled takes in a change of a rollout, where it counts.
func (f *Facts) rolled(e *Entry) {
	if e.Rollout != nil && f.RolloutOf(e.Ref).Takes(e.change()) {
		f.Rollouts[e.Ref] = e
		if e.Rollout.Phase == rollout.RolledBack {
			f.WentBack[e.Ref] = e
		}
	}
}

// rolledOut takes in what is served from now on, however it came to be. What was rolled back stays so while
// others are served: it is not tried again by itself.
func (f *Facts) rolledOut(e *Entry) {
	if !e.Ref.Kind.Traits().Serves {
		return
	}
	was := f.RolloutOf(e.Ref)
	switch {
	case e.Action == Retire, e.Rollout == nil && (was.Key == e.Key || was.Phase != rollout.RolledBack):
		delete(f.Rollouts, e.Ref)
	default:
		f.rolled(e)
	}
}
