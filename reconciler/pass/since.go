// What the trust file said between the revision whose guards are in force and the change:
// somebody who was taken out of it meanwhile, or revoked, is not brought back by the very
// change that they approve.

package pass

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// since is what guarded at the revisions between from and the change, both left out, the
// newest first: those of the branch itself, merge by merge, and those that the ledger says
// were carried out. One whose trust file cannot be read changed nobody's standing.
func (h *Reconciler) since(ctx context.Context, w *Snapshot, from string) (out []guard.Settings, err error) {
	if known, ok := w.between[from]; ok {
		return known, nil
	}
	var all []string
	if h.Parents != nil {
		if all, err = h.Parents(ctx, w.Revision.SHA, mostBefore); err != nil {
			return nil, fmt.Errorf("list what was committed since: %w", err)
		}
		if i := slices.Index(all, from); i >= 0 {
			all = all[:i]
		} else if len(all) < mostBefore { // the branch was put back to before it: there is nothing in between
			all = nil
		}
	}
	carried := carriedOut(w.Facts)
	for _, sha := range carried[:max(0, slices.Index(carried, from))] { // none, where from was merely committed
		if !slices.Contains(all, sha) {
			all = append(all, sha)
		}
	}
	for _, sha := range all {
		if sha == w.Revision.SHA || sha == from {
			continue
		}
		s, err := w.settings(ctx, sha)
		switch fault.Of(err) {
		case fault.Missing, fault.Invalid:
			if err != nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		if s.Trust != nil {
			out = append(out, s)
		}
	}
	if w.between == nil {
		w.between = map[string][]guard.Settings{}
	}
	w.between[from] = out
	return out, nil
}

// stood refuses a word whose owner did not count all the time since each of guards was in force.
func (h *Reconciler) stood(ctx context.Context, w *Snapshot, y guard.Yes, word guard.Word, x subject) error {
	for _, g := range x.guards {
		if g.Revision == "" {
			continue
		}
		between, err := h.since(ctx, w, g.Revision)
		if err != nil {
			return err
		}
		for _, s := range between {
			if err := guard.Still(y, word, s, x.want, h.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// revoked is why the controller that signed a model which is to go to that environment was
// revoked: as the change says, or as was said since the newest release there. Nil: it was not.
func (h *Reconciler) revoked(ctx context.Context, w *Snapshot, by, environment string) (*string, error) {
	if why := w.revokedBy(w.Trust, by); why != nil {
		return why, nil
	}
	from := w.Facts.Started
	if last := w.Facts.Places[schemas.Place(environment)]; last != nil {
		from = last.Revision
	}
	between, err := h.since(ctx, w, from)
	if err != nil {
		return nil, err
	}
	if s, err := w.settings(ctx, from); err == nil {
		between = append(slices.Clone(between), s)
	}
	for _, s := range between {
		if why := w.revokedBy(s.Trust, by); why != nil {
			text := fmt.Sprintf("%s by the trust file of revision %.7s, before the change", *why, s.Revision)
			return &text, nil
		}
	}
	return nil, nil
}

// deciders are by whose word something may be released that nobody guards, where its
// environment has people decide on a model whose signer was revoked: by the trust file of
// the change, and by that of the newest release there.
func (h *Reconciler) deciders(ctx context.Context, w *Snapshot, ref schemas.Ref) (out []guard.Guard, err error) {
	n := w.Graph.Node(ref)
	if n == nil {
		return nil, nil
	}
	serves, ok := n.Decl.Spec.(schemas.Serves)
	if !ok {
		return nil, nil
	}
	spec := serves.Serves()
	if w.Project.Environments[spec.Environment].RevokedSigner != letDecide {
		return nil, nil
	}
	out = []guard.Guard{{Place: spec.Environment, Trust: w.Trust}}
	last := w.Facts.Places[schemas.Place(spec.Environment)]
	if last == nil {
		return out, nil
	}
	s, err := w.settings(ctx, last.Revision)
	if err != nil && fault.Of(err) != fault.Missing {
		return nil, err
	}
	if err == nil && s.Trust != nil && len(s.Trust.Principals) > 0 {
		out = append(out, guard.Guard{Place: spec.Environment, Revision: s.Revision, Trust: s.Trust})
	}
	return out, nil
}

// letDecide is what an environment says of revoked signers to have people decide.
const letDecide = "approve"
