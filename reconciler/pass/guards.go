// What guards a deployment: the settings of the change, and those that stood before it,
// read from the revisions that the ledger says were carried out.

package pass

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// guards are what the deployment ref must satisfy before it changes as w declares it.
func (h *Reconciler) guards(ctx context.Context, w *Snapshot, ref schemas.Ref) ([]guard.Guard, error) {
	c := guard.Change{Ref: ref}
	if n := w.Graph.Node(ref); n != nil {
		spec, ok := n.Decl.Spec.(schemas.Serves)
		if !ok {
			return nil, nil
		}
		c.To, c.Address, c.Branch, c.Claims = spec.Serves().Environment, guard.Address(spec), guard.Branch(spec), spec.Serves().Claims
	}
	return h.before(ctx, w, c)
}

// before are what c must satisfy, by the settings of w and those that stood before it.
func (h *Reconciler) before(ctx context.Context, w *Snapshot, c guard.Change) ([]guard.Guard, error) {
	now := guard.Settings{Project: w.Project, Trust: w.Trust}
	now.Where = principalsAt(w.Tree, w.Project)
	return guard.On(c, now, guard.Past{
		Facts: w.Facts,
		At:    func(sha string) (guard.Settings, error) { return w.settings(ctx, sha) },
		First: func(place string) (guard.Settings, bool, error) { return h.beforeFirst(ctx, w, place) },
	})
}

// settings are what guarded at a revision. One that was carried out was read before:
// where it cannot be read now, nobody knows what guarded, and nothing is let through.
func (w *Snapshot) settings(ctx context.Context, sha string) (guard.Settings, error) {
	if known, ok := w.stood[sha]; ok {
		return known, nil
	}
	s := guard.Settings{Revision: sha}
	tree, err := w.trees(ctx, sha)
	if err != nil {
		return s, fault.WithHint(fmt.Errorf("open revision %.7s, whose guards are in force: %w", sha, err), "fetch the full history of the tracked branch")
	}
	if s.Project, s.Trust, err = Settings(tree); err != nil {
		return s, err
	}
	s.Where = principalsAt(tree, s.Project)
	if w.stood == nil {
		w.stood = map[string]guard.Settings{}
	}
	w.stood[sha] = s
	return s, nil
}

// principalsAt is where a trust file names people, file:line; "" where there is none.
func principalsAt(tree fs.FS, project *schemas.Project) string {
	name := cmp.Or(project.Trust, trustFile)
	raw, err := fs.ReadFile(tree, path.Clean(name))
	if err != nil {
		return ""
	}
	line := 1
	for i, text := range bytes.Split(raw, []byte("\n")) {
		if bytes.HasPrefix(text, []byte("principals")) {
			line = i + 1
		}
	}
	return fmt.Sprintf("%s:%d", name, line)
}

// mostBefore bounds how many revisions are looked at for who guarded first.
const mostBefore = 200

// beforeFirst is what guarded before anything was declared for a place: as of the newest
// revision that was carried out before that, if it names somebody; else, as nobody could
// approve anything then, as of the newest commit before that. Where the place was declared in
// all that was carried out, it is the oldest of these that names somebody who may approve: what came later may
// have been written by whoever wants to be approved. Where there is none, nothing guarded before.
func (h *Reconciler) beforeFirst(ctx context.Context, w *Snapshot, place string) (guard.Settings, bool, error) {
	found := false
	carried := carriedOut(w.Facts)
	for _, sha := range carried[:min(len(carried), mostBefore)] {
		if sha == w.Revision.SHA {
			continue
		}
		declares, err := w.declares(ctx, sha, place)
		if err != nil {
			return guard.Settings{}, false, err
		}
		if declares {
			continue
		}
		s, err := w.settings(ctx, sha)
		if err != nil {
			return s, false, err
		}
		if s.Trust != nil && len(s.Trust.Principals) > 0 {
			return s, true, nil
		}
		found = true
		break
	}
	if found {
		return h.committedBefore(ctx, w, place)
	}
	for i, sha := range slices.Backward(carried) {
		if sha == w.Revision.SHA || len(carried)-i > mostBefore {
			continue
		}
		s, err := w.settings(ctx, sha)
		if fault.Of(err) == fault.Invalid && err != nil {
			continue // nobody could be read there
		}
		if err != nil {
			return s, false, err
		}
		if s.Mans(place) {
			return s, true, nil
		}
	}
	return guard.Settings{}, false, nil
}

// committedBefore is what guarded at the newest commit of the branch that declares nothing
// for place. Where there is none, nobody guards: nothing of it holds.
func (h *Reconciler) committedBefore(ctx context.Context, w *Snapshot, place string) (guard.Settings, bool, error) {
	none := guard.Settings{Revision: w.Revision.SHA}
	if h.Parents == nil {
		return none, true, nil
	}
	commits, err := h.Parents(ctx, w.Revision.SHA, mostBefore)
	if err != nil {
		return none, false, fmt.Errorf("list what was committed before: %w", err)
	}
	for _, sha := range commits {
		declares, err := w.declares(ctx, sha, place)
		if err != nil {
			return none, false, err
		}
		if !declares {
			s, err := w.settings(ctx, sha)
			return s, true, err
		}
	}
	return none, true, nil
}

// declares tells whether a revision declares a deployment for a place. One whose
// declarations cannot be read may.
func (w *Snapshot) declares(ctx context.Context, sha, place string) (bool, error) {
	if known, ok := w.declared[sha+" "+place]; ok {
		return known, nil
	}
	tree, err := w.trees(ctx, sha)
	if fault.Of(err) == fault.Missing {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	decls, problems := schemas.Load(ctx, tree)
	found := len(problems) > 0
	for i := range decls {
		if spec, ok := decls[i].Spec.(schemas.Serves); ok && schemas.Place(spec.Serves().Environment) == place {
			found = true
		}
	}
	if w.declared == nil {
		w.declared = map[string]bool{}
	}
	w.declared[sha+" "+place] = found
	return found, nil
}

// carriedOut lists the revisions of the tracked branch that something was made at, the
// newest first.
func carriedOut(f *ledger.Facts) (out []string) {
	newest := map[string]int64{}
	note := func(e *ledger.Entry) {
		if e.PullRequest == nil && e.Revision != "" && !e.Rollback() { // a rollback carries out no revision
			newest[e.Revision] = max(newest[e.Revision], e.Seq)
		}
	}
	for e := range f.Made() {
		note(e)
	}
	for _, e := range f.Latest {
		note(e)
	}
	for sha := range newest {
		out = append(out, sha)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(newest[b], newest[a]) })
	if f.Started != "" && !slices.Contains(out, f.Started) {
		out = append(out, f.Started)
	}
	return out
}
