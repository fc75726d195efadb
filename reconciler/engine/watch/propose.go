// Answers: whether what was found is a reason to propose that the model is trained again, and
// what that proposal is. The same cause gives the same proposal.

package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

// Cause names what would be answered: which model drifts from which reference, in which columns,
// and which bounds are broken. Another window in which the same is found has the same cause.
func Cause(e Evidence) digest.Digest {
	cause := struct {
		Monitor   schemas.Ref   `json:"monitor"`
		Model     digest.Digest `json:"model"`
		Reference digest.Digest `json:"reference"`
		Columns   []string      `json:"columns"`
		Bounds    []string      `json:"bounds"`
	}{e.Monitor, e.Model, e.Reference.Digest, drifting(e), nil}
	for _, m := range e.Realized {
		if m.Broken {
			cause.Bounds = append(cause.Bounds, m.Name)
		}
	}
	for _, g := range e.Gauges {
		if g.Broken {
			cause.Bounds = append(cause.Bounds, g.Gauge+" "+g.What)
		}
	}
	d, err := digest.JSON(cause)
	if err != nil {
		panic(err) // it is texts alone
	}
	return d
}

func drifting(e Evidence) (names []string) {
	for _, c := range e.Columns {
		if c.Verdict == drift.Drift {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Refuses says why nothing is proposed; "" is that it is. w is what was found now, with the
// proposals that were made before.
func Refuses(spec *schemas.Monitor, e Evidence, w ledger.Watched, now time.Time) string {
	o := spec.OnDrift
	switch {
	case o == nil:
		return "onDrift is not declared"
	case w.Verdict != ledger.Drifted:
		return "nothing has drifted"
	case !w.Persists:
		return "it has not drifted for long enough"
	case e.Labels != nil && !e.Labels.Enough:
		return fmt.Sprintf("outcomes have come for %.0f %% of the rows, which is too few", 100*e.Labels.Share)
	}
	cause, cooldown := Cause(e), o.Cooldown.Or(7*24*time.Hour)
	recent, per := 0, time.Duration(0)
	if o.Budget != nil {
		per = o.Budget.Per.Or(0)
	}
	for _, p := range w.Proposals {
		switch {
		case p.Cause == cause:
			return "it was proposed before, for the same reason"
		case now.Sub(p.Time) < cooldown:
			return fmt.Sprintf("another proposal was made %s ago, and the next waits for %s", now.Sub(p.Time).Round(time.Minute), cooldown)
		case o.Budget != nil && now.Sub(p.Time) < per:
			recent++
		}
	}
	if o.Budget != nil && recent >= o.Budget.Max {
		return fmt.Sprintf("%d proposals were made within %s, and no more are to be", recent, per)
	}
	return ""
}

var plainName = lazyregexp.New(`^[A-Za-z0-9_.-]{1,40}$`)

// Reason is why, in words that may stand in a declaration without quotes: whatever a column is
// called.
func Reason(e Evidence, seq int64) string {
	var names []string
	for _, n := range drifting(e) {
		if plainName.MatchString(n) && len(names) < 3 {
			names = append(names, n)
		}
	}
	what := "a broken bound"
	if len(names) > 0 {
		what = "drift of " + strings.Join(names, " and ")
	} else if len(drifting(e)) > 0 {
		what = "drift"
	}
	return fmt.Sprintf("%s in entry %d", what, seq)
}
