// Approvals: which of those that were given hold for a plan, and against whose hands in
// the change they are held.

package pass

import (
	"context"
	"fmt"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// approve finds what guards each deployment that p changes, and the approvals that hold
// before it; it notes those that do not count, with the reason.
func (d *stepServices) approve(ctx context.Context, p *plan.Plan) (notes []ledger.Finding, err error) {
	d.approvers = map[schemas.Ref][]trust.Approver{}
	d.verdicts = map[schemas.Ref][]guard.Verdict{}
	d.key = p.KeysOf(d.world.Graph)
	models, wantErr := Want(*p)
	want := sync.OnceValue(func() trust.Want { return trust.Want{Plan: p.Digest(), Policy: p.Policy, Models: models} })
	for s := range p.Working() {
		if !s.Ref.Kind.Traits().Serves || s.Restores || s.Back() || d.begun(*s) {
			continue
		}
		guards, err := d.guards(ctx, d.world, s.Ref)
		if err != nil {
			return nil, err
		}
		unguarded := len(guards) == 0
		if unguarded {
			if guards, err = d.deciders(ctx, d.world, s.Ref); err != nil {
				return nil, err
			}
		}
		if len(guards) == 0 {
			continue
		}
		hands, err := d.hands(ctx, d.world, s.Ref)
		if err != nil && fault.Of(err) == fault.Missing { // this clone ends before the change begins
			guards, err = append(guards, guard.Lost(guards[0].Place, err)), nil
		}
		if err != nil {
			return nil, err
		}
		var words []guard.Word
		if wantErr == nil {
			found, err := d.words(ctx, subject{s.Ref, guards, hands, want()}, &words)
			if err != nil {
				return nil, err
			}
			notes = append(notes, found...)
		}
		if !unguarded {
			d.verdicts[s.Ref] = guard.Count(guards, words, hands)
		}
		for _, w := range words {
			d.approvers[s.Ref] = append(d.approvers[s.Ref], trust.Approver{Principal: w.Principal, Roles: w.Roles[0], Class: w.Class})
		}
	}
	d.outlive(p)
	d.queue(p)
	return notes, nil
}

// subject is a deployment that is to be approved.
type subject struct {
	ref    schemas.Ref
	guards []guard.Guard
	hands  []port.Hand
	want   trust.Want
}

// words adds the recorded approvals that hold for x, and notes those that do not.
func (d *stepServices) words(ctx context.Context, x subject, words *[]guard.Word) (notes []ledger.Finding, err error) {
	if _, asked := x.want.Models[x.ref]; !asked {
		return nil, nil // what would be served is not known yet
	}
	for _, e := range d.world.Facts.Approvals {
		if e.Plan != x.want.Plan || e.Approval == nil || e.ByEnvelope() {
			continue // of another plan: void, and no news
		}
		if guard.Spent(d.world.Facts, x.ref, x.guards, e.Seq) {
			continue // something was released since, and the way back to it is a release of its own
		}
		yes := guard.Yes{Signed: trust.Signed{Statement: e.Approval.Statement, Signature: e.Approval.Signature}, Judged: e.PullRequest != nil, Seq: e.Seq, At: e.Time}
		var w guard.Word
		err := d.world.placed(e)
		if err == nil {
			w, err = guard.Holds(yes, x.guards, x.want, x.hands, d.Now())
		}
		if err == nil {
			err = d.stood(ctx, d.world, yes, w, x)
		}
		switch fault.Of(err) {
		case fault.Denied, fault.Conflict, fault.Invalid, fault.Newer:
			if err != nil {
				notes = append(notes, ledger.Finding{Rule: "approval/void", Level: ledger.Note, Ref: x.ref, Message: err.Error(), Hint: fault.HintOf(err)})
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		*words = append(*words, w)
	}
	return notes, nil
}

// Approver tells who signed, where the signature counts for the deployment ref: before
// each guard it is a principal's by its trust file, and none of the authors'. Whoever
// writes a change cannot name its approvers.
func (h *Reconciler) Approver(ctx context.Context, w *Snapshot, ref schemas.Ref, signed trust.Signed, want trust.Want) (trust.Approver, error) {
	guards, err := h.guards(ctx, w, ref)
	if err != nil {
		return trust.Approver{}, err
	}
	if len(guards) == 0 {
		if guards, err = h.deciders(ctx, w, ref); err != nil {
			return trust.Approver{}, err
		}
	}
	if len(guards) == 0 { // it needs nobody; a word that counts nowhere is not taken
		guards = []guard.Guard{{Trust: w.Trust}}
	}
	hands, err := h.hands(ctx, w, ref)
	if err != nil {
		return trust.Approver{}, err
	}
	yes := guard.Yes{Signed: signed, Seq: w.Facts.Count, At: h.Now()}
	word, err := guard.Holds(yes, guards, want, hands, h.Now())
	if err == nil {
		err = h.stood(ctx, w, yes, word, subject{ref, guards, hands, want})
	}
	if err != nil {
		return trust.Approver{}, err
	}
	return trust.Approver{Principal: word.Principal, Roles: word.Roles[0], Class: word.Class}, nil
}

// hands are those in the change of ref: in every commit since what is released of it.
func (h *Reconciler) hands(ctx context.Context, w *Snapshot, ref schemas.Ref) ([]port.Hand, error) {
	from := w.begins(ref)
	all, known := w.hands[from]
	if !known {
		var err error
		if all, err = h.Hands(ctx, from, w.Revision.SHA); err != nil {
			return nil, fmt.Errorf("list the authors of the change: %w", err)
		}
		landed, err := h.landed(ctx, from)
		if err != nil {
			return nil, err
		}
		all = append(landed, all...)
		if w.hands == nil {
			w.hands = map[string][]port.Hand{}
		}
		w.hands[from] = all
	}
	if h.PullRequest == nil {
		return all, nil
	}
	out := []port.Hand{{For: append([]string{h.PullRequest.By}, h.Pushers...)}}
	for _, one := range all {
		if h.PullRequest != nil && one.SHA == w.Revision.SHA && one.SHA != h.PullRequest.Head && one.SHA != h.PullRequest.Base {
			continue // the merge that is tried is nobody's
		}
		out = append(out, one)
	}
	return out, nil
}

// untold is who wrote a change of which the forge does not tell who pushed it.
const untold = "whoever pushed to the branch, which the forge does not tell"

// landed are those who moved the tracked branch since from: they took part in the change, whosever address its commits bear. Where the forge
// is there and does not tell all of them, somebody whom nobody knows did.
func (h *Reconciler) landed(ctx context.Context, from string) ([]port.Hand, error) {
	if h.Landed == nil {
		return nil, nil
	}
	who, err := h.Landed(ctx, from)
	switch kind := fault.Of(err); {
	case err == nil && len(who) == 0:
		return nil, nil
	case err == nil:
		return []port.Hand{{For: who}}, nil
	case kind == fault.Missing, kind == fault.Denied, kind == fault.Invalid:
		return []port.Hand{{SHA: from, Author: untold, Committer: untold}}, nil
	}
	return nil, fmt.Errorf("look who moved the branch: %w", err)
}

// begins is the revision that a change of ref begins at: what it was released at last.
func (w *Snapshot) begins(ref schemas.Ref) string {
	if e := w.Facts.Released[ref]; e != nil && e.Action == ledger.Deploy {
		return e.Revision
	}
	if w.Facts.Started != w.Revision.SHA {
		return w.Facts.Started
	}
	return ""
}

func (d *stepServices) approved() map[schemas.Ref][]ledger.Approver {
	out := map[schemas.Ref][]ledger.Approver{}
	for ref, all := range d.approvers {
		for _, a := range all {
			out[ref] = append(out[ref], ledger.Approver{Principal: a.Principal, Class: a.Class})
		}
	}
	return out
}
