// Who approved what an entry records, and by what: fields, and the same as text for trailers
// and people.

package ledger

import (
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/trust"
)

// Approver is somebody whose approval counted.
type Approver struct {
	Principal string      `json:"principal"`
	Class     trust.Class `json:"class"`
}

// text is how trailers and people have it. Entries of before approvers were fields have it alone.
func (a Approver) text() string {
	if a.Class == trust.Envelope {
		return "envelope:" + a.Principal
	}
	by := "principal:" + a.Principal
	if a.Class == trust.Forge {
		by += " (as the forge asserts)"
	}
	return by
}

// ApprovedBy says in e who approved it.
func (e *Entry) ApprovedBy(all []Approver) {
	e.Approvers, e.Approved = all, nil
	for _, a := range all {
		e.Approved = append(e.Approved, a.text())
	}
}

// ByEnvelope tells whether e records that a declared envelope let a merge by: no person said so,
// no plan is approved by it, and it counts before no guard.
func (e *Entry) ByEnvelope() bool {
	return e.Action == Approve && len(e.Approvers) > 0 && !slices.ContainsFunc(e.Approvers, func(a Approver) bool { return a.Class != trust.Envelope })
}

// strange is the class of an approver that this program does not know; "" is none.
func (e *Entry) strange() trust.Class {
	for _, a := range e.Approvers {
		if a.Class != trust.Signature && a.Class != trust.Forge && a.Class != trust.Envelope {
			return a.Class
		}
	}
	return ""
}

// told tells whether the text names the approvers, no more and no less; text of before has
// none to name.
func (e *Entry) told() bool {
	if e.Approvers == nil {
		return true
	}
	same := Entry{}
	same.ApprovedBy(e.Approvers)
	return slices.Equal(same.Approved, e.Approved)
}
