// Columns of a window are compared with those of the reference, several at once.

package measure

import (
	"cmp"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/routine"
	"github.com/vishwaops/vishwa/schemas"
)

// AtOnce does something for each number below n, on all processors.
func AtOnce(n int, do func(i int)) {
	var next atomic.Int64
	var all routine.Set
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Start(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	all.Wait()
}

// compared is what a column is compared by: as declared, on both sides; from names the reference.
type compared struct {
	set  schemas.Watching
	base sample.Reference
	now  *sample.Side
	from digest.Digest
}

// column holds one column, and tells what there is to note about it.
func (s *session) column(name string, by compared) (c drift.Column, notes []string, err error) {
	typ := s.typeOf(name, by.base)
	without := func(v drift.Verdict, why string) (drift.Column, []string, error) {
		return drift.Column{Name: name, Type: typ, Verdict: v, Why: why}, nil, nil
	}
	switch {
	case !by.base.Has(name):
		return without(drift.Fault, "the reference has no such column")
	case s.veiled(name, by.now) != "":
		return without(drift.Unsupported, s.veiled(name, by.now))
	case typ == "text" || typ == "time":
		return without(drift.Unsupported, "a column of "+typ+" is not compared")
	case !by.now.Has(name) && by.now.Rows > 0:
		return without(drift.Fault, s.missing(by.now))
	case typ == "":
		return without(drift.Fault, "the reference: "+reason(nil))
	}
	ref, err := by.base.Sample(name, typ)
	if kind := fault.Of(err); err != nil && (kind == fault.Transient || kind == fault.Corrupt) {
		return c, nil, err
	}
	if err != nil {
		return without(drift.Fault, "the reference: "+reason(err))
	}
	cur := drift.Numeric(nil)
	cur.Category = ref.Category
	odd := 0
	if by.now.Rows > 0 {
		cur, odd, err = by.now.Window(name, typ)
		if fault.Of(err) == fault.Transient && err != nil {
			return c, nil, err
		}
		if err != nil {
			return drift.Column{Name: name, Type: typ, Reference: ref.N(), Verdict: drift.Fault, Why: "the window: " + reason(err)}, nil, nil
		}
	}
	empty, note := sample.Absent(by.base, by.now, name)
	if empty != "" {
		return drift.Column{Name: name, Type: typ, Reference: ref.N(), Verdict: drift.Fault, Why: empty}, nil, nil
	}
	if note != "" {
		notes = append(notes, note)
	}
	how := drift.Setting{Threshold: by.set.Threshold}
	if by.set.Method != "auto" {
		how.Method = by.set.Method
	}
	c = drift.Hold(name, how, ref, cur, s.nulls(name, typ, ref, by.from))
	c.Type = typ
	if odd > 0 {
		notes = append(notes, fmt.Sprintf("column %s: %s left out: no number", name, plural.Of(int64(odd), "value")))
	}
	if s.personal(name) {
		c.Shape = nil // it shows values
	}
	return c, notes, nil
}

// missing says that a window lacks a column. A log never has what the model is to predict, which the data that it was trained on has.
func (s *session) missing(now *sample.Side) string {
	if now.Log && s.baseline == nil && len(s.spec.Columns) == 0 {
		return "the window has no such column; if it is what the model predicts, list the columns to compare in spec.columns"
	}
	return "the window has no such column"
}

// typeOf is what a column is compared as: as declared, or as the reference has it.
func (s *session) typeOf(name string, base sample.Reference) string {
	return cmp.Or(s.spec.Columns[name].Type, base.Type(name))
}

// nulls finds null alarm rates of a column of the reference that from names, once.
func (s *session) nulls(name, typ string, ref *drift.Sample, from digest.Digest) func(m drift.Method, threshold float64, n int) drift.Null {
	return func(m drift.Method, threshold float64, n int) drift.Null {
		key := digest.Of(fmt.Appendf(nil, "null 1\n%s\n%q\n%s\n%s\n%v\n%d", from+digest.Digest(s.season.Name()), name, typ, m.Name, threshold, drift.NullSize(n)))
		if s.Known != nil {
			if known, ok := s.Known(key); ok {
				return known
			}
		}
		found := drift.NullAlarms(m, threshold, ref, n, key)
		if s.Keep != nil {
			s.Keep(key, found)
		}
		return found
	}
}
