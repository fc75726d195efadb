// Suspended steps: a person has said, on the ledger, that nothing is to be done about
// a ref for now.

package plan

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
)

// SuspendedBy begins the reason of every step that is held because its ref is suspended.
const SuspendedBy = "suspended by "

// Suspended is who suspended a ref and why.
func Suspended(e *ledger.Entry) string {
	_, name, named := strings.Cut(e.Actor, ":")
	if !named {
		name = e.Actor
	}
	return SuspendedBy + name + ": " + e.Reason
}

// suspend holds what would be done about a suspended ref. A kept step does nothing:
// it only tells.
func (c *computing) suspend(s *Step) {
	e := c.seen.Facts.Suspension(s.Ref)
	switch {
	case e == nil:
	case s.Do == Keep:
		s.Why += "; " + Suspended(e)
	default:
		s.Held, s.rests = Suspended(e), true
	}
}
