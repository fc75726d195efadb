// Suspended refs: nothing is done about them until they are resumed.

package ledger

import (
	"maps"
	"strings"

	"github.com/vishwaops/vishwa/schemas"
)

// Suspension is the entry that suspended ref, or the training that it is a candidate
// of; nil where nobody did, or where it was resumed since.
func (f *Facts) Suspension(ref schemas.Ref) *Entry {
	if e := f.Suspended[ref]; e != nil {
		return e
	}
	return f.Suspended[ref.Whole()]
}

// resume forgets that ref, and every candidate of it, was suspended.
func (f *Facts) resume(ref schemas.Ref) {
	maps.DeleteFunc(f.Suspended, func(was schemas.Ref, _ *Entry) bool { return was == ref || was.Whole() == ref })
}

// SuspendedBy begins the reason of every step that is held because its ref is suspended.
const SuspendedBy = "suspended by "

// Suspended is who suspended a ref and why, by the entry that says so.
func Suspended(e *Entry) string {
	_, name, named := strings.Cut(e.Actor, ":")
	if !named {
		name = e.Actor
	}
	return SuspendedBy + name + ": " + e.Reason
}
