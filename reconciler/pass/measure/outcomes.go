// Outcomes of a window's rows. Where they tell when they became known, the last before the deadline counts, as in data of predictions;
// where they do not, nobody knows which of several is right.

package measure

import (
	"cmp"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/schemas"
)

// outcomes are those of the rows of a window, by id.
type outcomes struct {
	spec    *schemas.MonitorLabels
	came    map[string]string
	changed map[string]bool     // ids that were given several that differ
	timed   *predictions.Labels // where they tell their times; nil: they do not
}

func (o *outcomes) columns() []string {
	out := []string{cmp.Or(o.spec.Key, "id"), cmp.Or(o.spec.Label, "label")}
	if o.spec.At != "" {
		out = append(out, o.spec.At)
	}
	return out
}

// takeOutcome takes a row of the table of outcomes; stray says that it is of no row of the window.
func (o *outcomes) takeOutcome(cell func(string) []byte, ours func(id string) bool) (stray bool, err error) {
	names := o.columns()
	id, out := predictions.ID(cell(names[0])), cell(names[1])
	if id == "" || out == nil {
		return false, nil
	}
	if !ours(id) {
		return true, nil
	}
	if o.timed != nil {
		at, err := timeOf(cell(o.spec.At))
		if err != nil {
			return false, fault.WithHint(fault.New(fault.Invalid, "an outcome has no time in column %s", o.spec.At), "name the column with the time at which it became known in spec.labels.at, or none")
		}
		o.timed.Add(predictions.Outcome{ID: id, Value: predictions.ParseValue(out, false), At: at})
		o.came[id] = ""
		return false, nil
	}
	if was, there := o.came[id]; there && nameOf([]byte(was)) != nameOf(out) {
		o.changed[id] = true // whichever is right: this row is not judged by a guess
	}
	o.came[id] = string(out)
	return false, nil
}

// of is what came of the row of an id, which was asked for at a time.
func (o *outcomes) of(id string, asked, now time.Time) ([]byte, bool) {
	if o.timed != nil {
		v, there := o.timed.Join(id, asked, now)
		return []byte(v.String()), there
	}
	out, there := o.came[id]
	return []byte(out), there && !o.changed[id]
}

// lag is how late they came; nil: they do not tell.
func (o *outcomes) lag() *watch.Lag {
	if o.timed == nil {
		return nil
	}
	c := o.timed.Coverage()
	return &watch.Lag{Median: c.LagMedian, Tail: c.LagTail, Late: c.Late, Early: c.Early, Future: c.Future, Changed: c.Changed}
}
