// What the trust file said between the revision whose guards are in force and the change:
// somebody who was taken out of it meanwhile, or revoked, is not brought back by the very
// change that they approve.

package pass

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostSince bounds how many states of the settings are looked at.
const mostSince = 1000

// committed lists revisions that were committed after from and before the change, one of each
// state of the settings. Where it is known what the tracked branch was at in that time, these
// are meant: what a pull request did and took back before it was merged was never in force. Where
// it is not, it is all of them, on whatever line they are: who makes a merge chooses which of its
// parents is the first.
func (h *Reconciler) committed(ctx context.Context, w *Snapshot, from string) ([]string, error) {
	if h.Between == nil || from == "" || from == w.Revision.SHA {
		return nil, nil
	}
	s := port.Span{From: from, To: w.Revision.SHA, Names: []string{schemas.Root, trustFile}}
	if w.Project != nil && w.Project.Trust != "" {
		s.Names = append(s.Names, rootOf(w.Project.Trust))
	}
	for asked := false; ; {
		all, err := h.Between(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("list what was committed since: %w", err)
		}
		if !asked && slices.ContainsFunc(all, func(sha string) bool { return sha != w.Revision.SHA }) {
			asked = true
			if s.Only, err = h.tips(ctx, w, from); err != nil {
				return nil, err
			}
			if s.Only != nil {
				continue
			}
		}
		if len(all) > mostSince {
			return nil, fault.WithHint(fault.New(fault.Denied, "the settings and the trust file were changed more than %d times since revision %.7s", mostSince, from),
				"release in between")
		}
		known := len(s.Names)
		for _, sha := range all { // a trust file that was elsewhere for a while is looked at there
			was, err := w.settings(ctx, sha)
			if err == nil && was.Project != nil && was.Project.Trust != "" && !slices.Contains(s.Names, rootOf(was.Project.Trust)) {
				s.Names = append(s.Names, rootOf(was.Project.Trust))
			}
		}
		if len(s.Names) == known {
			return all, nil
		}
	}
}

// tips are what the tracked branch was at between from and the change, and the change itself;
// nil where that is not known. The forge's own notes tell it: nobody who pushes or merges writes
// them. What they do not hold back to from, or do not hold the change yet, proves nothing.
func (h *Reconciler) tips(ctx context.Context, w *Snapshot, from string) ([]string, error) {
	if h.Tips == nil {
		return nil, nil
	}
	newest := w.Revision.SHA
	if h.Tried && h.Parents != nil { // what a merge is tried on was the newest
		line, err := h.Parents(ctx, newest, 2)
		if err != nil {
			return nil, fmt.Errorf("list what was committed before: %w", err)
		}
		newest = line[len(line)-1]
	}
	all, err := h.Tips(ctx, from)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil || !slices.Contains(all, newest) || !slices.Contains(all, from) {
		return nil, nil //nolint:nilerr // without it every commit counts, which holds more back and lets nothing through
	}
	return append(slices.Clone(all), w.Revision.SHA), nil
}

// rootOf is what of the repository's root a path is in.
func rootOf(p string) string {
	first, _, _ := strings.Cut(path.Clean(p), "/")
	return first
}

// since is what guarded at the revisions between from and the change, both left out: those
// that were committed, and those that the ledger says were carried out. One whose trust file
// cannot be read changed nobody's standing.
func (h *Reconciler) since(ctx context.Context, w *Snapshot, from string) (out []guard.Settings, err error) {
	if known, ok := w.between[from]; ok {
		return known, nil
	}
	all, err := h.committed(ctx, w, from)
	if err != nil && fault.Of(err) == fault.Missing {
		if _, none := w.settings(ctx, from); none == nil { // what is cut off may be what somebody was revoked by
			return nil, fault.WithHint(fault.New(fault.Denied, "what was committed since revision %.7s cannot be listed: %w", from, err), "fetch the full history of the tracked branch: git fetch --unshallow")
		}
		if h.Parents != nil { // a clone that ends before from has what it has
			all, err = h.Parents(ctx, w.Revision.SHA, mostBefore)
		}
	}
	if err != nil && fault.Of(err) != fault.Missing {
		return nil, err
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
	if fault.Of(err) == fault.Denied && err != nil { // nobody can tell in good time, and so it is not said that nothing was
		text := err.Error()
		return &text, nil
	}
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
