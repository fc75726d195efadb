// Suspending: a person holds what would be done about a ref, for everybody who acts on
// the repository, until the ref is resumed.

package pass

import (
	"context"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostReason bounds a reason, in bytes: it is shown in a line of every plan.
const mostReason = 500

// Suspend records that nothing is to be done about ref until Resume.
func (h *Reconciler) Suspend(ctx context.Context, rev port.Revision, ref schemas.Ref, reason string) (ledger.Entry, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > mostReason {
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Invalid, "a suspension needs a reason of 1 to %d bytes, which status and the log show", mostReason), "give one: --reason TEXT")
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	if e := facts.Suspension(ref); e != nil {
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Conflict, "%s is %s (entry %d)", ref, ledger.Suspended(e), e.Seq), "to give another reason, resume it first: vishwa resume %s", e.Ref)
	}
	return h.recordWord(ctx, rev, ledger.Entry{Action: ledger.Suspend, Ref: ref, Reason: reason}, ledger.First)
}

// Resume records that ref goes on.
func (h *Reconciler) Resume(ctx context.Context, rev port.Revision, ref schemas.Ref, reason string) (ledger.Entry, error) {
	return h.ResumeUnless(ctx, rev, ref, reason, func(*ledger.Entry) error { return nil })
}

// ResumeUnless is Resume where unless has nothing against it. It is asked with the suspension that stands, nil where none does, and that very one is
// lifted: one that somebody records meanwhile makes it a conflict.
func (h *Reconciler) ResumeUnless(ctx context.Context, rev port.Revision, ref schemas.Ref, reason string, unless func(*ledger.Entry) error) (ledger.Entry, error) {
	if len(reason) > mostReason {
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Invalid, "the reason is longer than %d bytes", mostReason), "give a shorter one: --reason TEXT")
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	if err := unless(facts.Suspension(ref)); err != nil {
		return ledger.Entry{}, err
	}
	word, last := ledger.Entry{Action: ledger.Resume, Ref: ref, Reason: reason}, facts.Suspended[ref]
	if last == nil {
		if e := facts.Suspension(ref); e != nil {
			return ledger.Entry{}, fault.WithHint(fault.New(fault.Invalid, "%s is suspended with all of %s", ref, e.Ref), "vishwa resume %s", e.Ref)
		}
		for was := range facts.Suspended {
			if was.Whole() == ref {
				return h.recordWord(ctx, rev, word, 0)
			}
		}
		return ledger.Entry{}, fault.WithHint(fault.New(fault.Invalid, "%s is not suspended", ref), "vishwa status shows what is")
	}
	return h.recordWord(ctx, rev, word, last.Seq)
}

// recordWord records e, a word about a ref. Where follows is not 0, it is recorded after the suspension of that number, or not at all.
func (h *Reconciler) recordWord(ctx context.Context, rev port.Revision, e ledger.Entry, follows int64) (ledger.Entry, error) {
	e.Revision, e.Author, e.Actor, e.Follows = h.recorded(rev.SHA), rev.Author, h.Actor.String(), follows
	return h.Ledger.Append(ctx, h.stamp(e))
}
