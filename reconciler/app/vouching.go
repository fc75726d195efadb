// Who vouches for a package. A signature has no date: a key that was stolen signs on after it was revoked,
// and what it signed counts as far as the ledger has it from before.

package app

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Vouching is whose signatures count for packages.
type Vouching struct {
	port.Verifier
	// Refuses is why the word of a controller does not count for a package; nil: every word counts.
	Refuses func(controller string, of digest.Digest) error
}

// Vouching is that of trust.yaml, and of the ledger where a term of somebody has an end.
func (h *Repository) Vouching(ctx context.Context) (Vouching, error) {
	v := Vouching{Verifier: h.Signer.Verifier}
	ends := false
	if h.Trust != nil {
		for _, c := range h.Trust.Controllers {
			ends = ends || c.Term != (trust.Term{})
		}
	}
	if !ends {
		return v, nil
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return v, err
	}
	v.Refuses = func(controller string, of digest.Digest) error {
		term := h.Trust.Controllers[controller].Term
		if term == (trust.Term{}) {
			return nil
		}
		for e := range facts.Made() {
			if e.Package != nil && e.Package.Digest == of && term.Holds(e.Seq, e.Time) == nil {
				return nil
			}
		}
		if r := term.Revoked; r != nil {
			return fault.New(fault.Denied, "signed by controller %s, which was revoked after entry %d (%s), and no entry up to that packed it", controller, r.After, r.Reason)
		}
		return fault.New(fault.Denied, "signed by controller %s, whose term has an end, and no entry of that term packed it", controller)
	}
	return v, nil
}
