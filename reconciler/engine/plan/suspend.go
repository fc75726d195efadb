// Suspended steps: a person has said, on the ledger, that nothing is to be done about
// a ref for now.

package plan

import "github.com/vishwaops/vishwa/reconciler/engine/ledger"

// suspend holds what would be done about a suspended ref. A kept step does nothing:
// it only tells.
func (c *computing) suspend(s *Step) {
	e := c.seen.Facts.Suspension(s.Ref)
	switch {
	case e == nil:
	case s.Do == Keep:
		s.Why += "; " + ledger.Suspended(e)
	default:
		s.Held, s.rests = ledger.Suspended(e), true
	}
}
