// How a trial of a search stood while it ran: what it had come to at each step at which trials are compared, and why it was ended where it
// was. What was decided is what is recorded: no later pass decides it anew.

package ledger

import (
	"fmt"
	"strconv"

	"github.com/vishwaops/vishwa/reconciler/plural"
)

// Trial is how a trial stood.
type Trial struct {
	Checks  []Check  `json:"checks,omitempty"`
	Stopped *Stopped `json:"stopped,omitempty"` // nil: it ran to its end
}

// Check is the best value that a trial had reported by a step.
type Check struct {
	Step int64    `json:"step"`
	Best *float64 `json:"best"` // null: none that is a number
}

// Stopped is why a trial was ended early.
type Stopped struct {
	Metric string   `json:"metric"`
	Step   int64    `json:"step"`
	Best   *float64 `json:"best"`  // that it had by then
	Bound  float64  `json:"bound"` // that it is worse than: the median of the others, or the last of those that go on
	Of     int      `json:"of"`    // how many it was compared with
	// On is how many go on, this trial counted; 0: it was held against the median.
	On int `json:"on,omitempty"`
}

// Stopped tells whether e is a trial that was ended early, and why; nil: it is none.
func (e *Entry) Stopped() *Stopped {
	if e == nil || e.Trial == nil {
		return nil
	}
	return e.Trial.Stopped
}

func (s *Stopped) String() string {
	best := "no number"
	if s.Best != nil {
		best = number(*s.Best)
	}
	if s.On > 0 {
		return fmt.Sprintf("stopped early at step %d: %s came to %s, and %d of the %d trials that came as far go on, from %s", s.Step, s.Metric, best, s.On, s.Of+1, number(s.Bound))
	}
	return fmt.Sprintf("stopped early at step %d: %s came to %s, and the median of %s that came as far is %s", s.Step, s.Metric, best, plural.Of(s.Of, "other trial"), number(s.Bound))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
