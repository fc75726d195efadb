// Approvals and their place on the ledger: one names the newest entry when it was given,
// and does not count on a ledger that does not go through it. So what was approved, and
// spent, before a ledger was rolled back is not approved on what is left of it.

package pass

import (
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Newest is the place of the newest entry of f; nil where there is none.
func Newest(f *ledger.Facts) *trust.Position {
	if f.Count == 0 {
		return nil
	}
	return &trust.Position{Seq: f.Count - 1, Entry: f.Head}
}

// Placed refuses an approval that is recorded in entry seq of that time, or would be:
// the ledger must go through the place that it names, and the principal's term must
// cover seq.
func (w *Snapshot) Placed(s trust.Signed, seq int64, at time.Time) error {
	r, err := s.Read()
	if err != nil {
		return err
	}
	if err := w.Trust.PrincipalStands(r.Principal, seq, at); err != nil {
		return err
	}
	if r.After == nil {
		return nil
	}
	switch entry, there := w.Facts.At(r.After.Seq); {
	case !there || r.After.Seq >= seq:
		err = fault.New(fault.Denied, "%s approved after entry %d, which this ledger does not have before entry %d", r.Principal, r.After.Seq, seq)
	case entry != r.After.Entry:
		err = fault.New(fault.Denied, "%s approved after entry %d as %s, and on this ledger it is %s", r.Principal, r.After.Seq, r.After.Entry.Short(), entry.Short())
	default:
		return nil
	}
	return fault.WithHint(err, "see with vishwa ledger verify that the ledger was not rolled back, and approve again")
}

// placed is Placed for an approval that is on the ledger.
func (w *Snapshot) placed(e *ledger.Entry) error {
	return w.Placed(trust.Signed{Statement: e.Approval.Statement, Signature: e.Approval.Signature}, e.Seq, e.Time)
}

// revokedBy is why the controller that signed a model was revoked since, as t says; nil: it was not.
func (w *Snapshot) revokedBy(t *trust.Trust, by string) *string {
	if t == nil {
		return nil
	}
	name := strings.TrimPrefix(by, "controller:")
	r := t.Controllers[name].Revoked
	if r == nil || w.Facts.Count <= r.After {
		return nil
	}
	why := fmt.Sprintf("was revoked after entry %d (%s)", r.After, r.Reason)
	return &why
}

// asserts tells whether e records what r states, wherever on the ledger that was.
func asserts(e *ledger.Entry, r trust.Request) bool {
	if e.Approval == nil || e.Plan != r.Plan {
		return false
	}
	was, err := trust.Signed{Statement: e.Approval.Statement}.Read()
	if err != nil {
		return false
	}
	was.After, r.After = nil, nil
	a, errA := was.Statement()
	b, errB := r.Statement()
	return errA == nil && errB == nil && string(a) == string(b)
}
