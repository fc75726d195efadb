// What goes over to a remote, and comes from it: by outputs, each to the remote that it
// names, and nothing stopped by what one of them lacks.

package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// Revisions are trees whose data goes over beside the work tree's.
type Revisions = iter.Seq2[Tree, error]

// Push sends what the outputs of targets, or all, need and the remote lacks: those of
// the work tree, and of revisions.
func (w *Workspace) Push(ctx context.Context, remote string, targets []string, revisions ...Revisions) (transfer.Moved, error) {
	m, err := w.move(ctx, over{remote, targets, revisions}, pushing)
	if err == nil && m.Objects+m.Present+int64(len(m.Apart)) == 0 {
		err = w.answers(ctx, remote) // nothing was asked of it
	}
	return m, err
}

// Fetch brings what the outputs of targets, or all, need into the cache.
func (w *Workspace) Fetch(ctx context.Context, remote string, targets []string, revisions ...Revisions) (transfer.Moved, error) {
	return w.move(ctx, over{remote, targets, revisions}, fetching)
}

// over is what goes over.
type over struct {
	remote    string // instead of the default; outputs that name another one are left out, as in DVC
	targets   []string
	revisions []Revisions
}

const (
	pushing  = "pushing"
	fetching = "fetching"
)

// heard tells how far a transfer of outs has come.
func (w *Workspace) heard(what string, outs []Output) func(transfer.Moved) {
	of := w.ahead(what, outs)
	if of == 0 || w.o.Tell == nil {
		return func(m transfer.Moved) { w.reportProgress(what, m.Objects, m.Bytes) }
	}
	return func(m transfer.Moved) {
		w.o.Tell(Progress{What: what, Files: m.Objects, Bytes: min(m.Come, of), Of: of})
	}
}

// ahead tells how much there is to fetch, where all of it is stated and something is
// lacking, and what all of outs are in bytes; zero where that is not known.
func (w *Workspace) ahead(what string, outs []Output) int64 {
	var all, lack Progress
	for _, o := range outs {
		if what != fetching || o.Out.Size < 0 || len(o.only) > 0 {
			return 0
		}
		all.Bytes += o.Out.Size
		if !w.store(o).Has(o.Out.OID) {
			lack.Bytes, lack.Files = lack.Bytes+o.Out.Size, lack.Files+max(o.Out.NFiles, 1)
		}
	}
	if lack.Files > 0 && w.o.Tell != nil {
		w.o.Tell(Progress{What: what, Files: lack.Files, Bytes: lack.Bytes, Ahead: true})
	}
	return all.Bytes
}

// load is what goes over at once: to or from one remote, in one layout.
type load struct {
	remote string
	legacy bool
}

// Versioned is data that only DVC can move, by path; it stops nothing else.
type Versioned struct{ Paths []string }

func (v *Versioned) Error() string { return strings.Join(v.Paths, ", ") + ": " + DVCsAlone }

// told is the error; nil where there is no such data.
func (v *Versioned) told() error {
	if len(v.Paths) == 0 {
		return nil
	}
	slices.Sort(v.Paths)
	return fault.WithHint(fault.New(fault.Invalid, "%w", v), "use dvc push and dvc pull for it, or add it anew to a remote without version_aware")
}

// versioned tells whether a remote keeps files under their own names; "" is the default.
func (w *Workspace) versioned(remote string) bool {
	rc, err := w.config.Remote(remote)
	return err == nil && versionAware(rc)
}

func versionAware(rc dvc.RemoteConfig) bool {
	return rc.Options["version_aware"] == "true" || rc.Options["worktree"] == "true"
}

// move does one transfer for each load: outputs may name a remote of their own.
func (w *Workspace) move(ctx context.Context, over over, what string) (all transfer.Moved, err error) {
	outs, err := w.meant(ctx, over)
	if err != nil {
		return all, err
	}
	by := map[load][]Output{}
	var order []load
	alone := &Versioned{}
	for _, o := range outs {
		if o.Out.Versioned {
			alone.Paths = append(alone.Paths, o.Path)
		}
		if o.Out.NoCache || o.Out.OID == "" || what == pushing && (o.Out.NoPush || o.From != nil) {
			continue // what was imported is the other repository's to keep
		}
		if o.From != nil && over.remote == "" && w.o.Foreign != nil {
			m, err := w.bring(ctx, o)
			all.Objects, all.Bytes, all.Present = all.Objects+m.Objects, all.Bytes+m.Bytes, all.Present+m.Present
			if err != nil {
				return all, err
			}
			continue
		}
		l := load{cmp.Or(o.Out.Remote, over.remote), o.Out.Hash == ""}
		if over.remote != "" && l.remote != over.remote {
			all.Apart = append(all.Apart, fmt.Sprintf("%s (remote %s)", o.Path, l.remote))
			continue // its file says where it is kept, and nowhere else
		}
		if w.versioned(l.remote) {
			alone.Paths = append(alone.Paths, o.Path)
			continue
		}
		if _, seen := by[l]; !seen {
			order = append(order, l)
		}
		by[l] = append(by[l], o)
	}
	var lacking error // which stops nothing else
	for _, l := range order {
		m, err := w.transfer(ctx, l, by[l], what)
		all.Objects, all.Bytes, all.Present = all.Objects+m.Objects, all.Bytes+m.Bytes, all.Present+m.Present
		var some *transfer.MissingError
		if errors.As(err, &some) {
			err = heldBack(err, some, by[l])
		}
		switch {
		case errors.As(err, &some) && lacking == nil:
			lacking = err
		case errors.As(err, &some):
			lacking = fault.WithHint(fault.New(fault.Missing, "%w; %w", lacking, err), "%s", fault.HintOf(err))
		case err != nil:
			return all, err
		}
	}
	if lacking == nil {
		return all, alone.told()
	}
	return all, errors.Join(lacking, alone.told())
}

// answers tells why a remote that nothing goes to could not be asked: the one of that name, or the default, where there is one.
func (w *Workspace) answers(ctx context.Context, remote string) error {
	if _, chosen := w.config.Get("core", "remote"); remote == "" && !chosen {
		return nil
	}
	r, err := w.Remote(remote)
	if err != nil {
		return err
	}
	return r.Answers(ctx)
}

// heldBack is err with what is to be done about outputs that nobody has pushed because their
// file says so: asking for a push would be no way out.
func heldBack(err error, lacking *transfer.MissingError, outs []Output) error {
	var said, ways []string
	others := slices.Clone(lacking.OIDs)
	for _, o := range outs {
		its := func(oid dvc.OID) bool { return oid == o.Out.OID || strings.HasPrefix(lacking.Paths[oid], o.Path+"/") }
		if o.Out.NoPush && slices.ContainsFunc(lacking.OIDs, its) {
			others = slices.DeleteFunc(others, its)
			says := o.File
			if o.Stage != "" { // the lock says nothing of it
				says = path.Join(path.Dir(o.File), "dvc.yaml")
			}
			said = append(said, fmt.Sprintf("%s is not pushed, as %s says (push: false)", o.Path, says))
			ways = append(ways, remake(o.Path, o.File, o.Stage))
		}
	}
	if len(said) == 0 {
		return err
	}
	if len(others) > 0 {
		ways = append(ways, "of the others: "+fault.HintOf(err))
	}
	return fault.WithHint(fault.New(fault.Missing, "%w; %s", err, strings.Join(said, "; ")), "%s", strings.Join(ways, "; "))
}

// remake is how data comes about that no push sends.
func remake(at, file, stage string) string {
	if stage != "" {
		return fmt.Sprintf("make %s here: dvc repro %s", at, stage)
	}
	return fmt.Sprintf("make %s here by the step that made it (vishwa apply, where a Transform or a Training declares that), or take push: false out of %s where it was added, and push it from there", at, file)
}

// meant lists the outputs of the work tree, and of the revisions that are meant.
func (w *Workspace) meant(ctx context.Context, over over) ([]Output, error) {
	outs, none := w.Outputs(ctx, over.targets)
	if len(over.revisions) == 0 || none != nil && fault.Of(none) != fault.Missing {
		return outs, none
	}
	found := none == nil
	for t, err := range each(over.revisions) {
		if err != nil {
			return nil, err
		}
		then, err := outputsOf(ctx, t.FS, func(_ string, err error) {
			if w.o.Env.Log != nil { // nobody corrects what was committed once
				w.o.Env.Log.Warn("a pin of the past cannot be read, and is passed over", "of", t.Name, "error", err)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		some, missing, err := w.limited(then, over.targets)
		if err != nil {
			return nil, err
		}
		found = found || missing == ""
		outs = append(outs, some...)
	}
	if !found {
		return nil, none
	}
	return outs, nil
}

// each is all of them, one after another.
func each(all []Revisions) Revisions {
	return func(yield func(Tree, error) bool) {
		for _, some := range all {
			for t, err := range some {
				if !yield(t, err) {
					return
				}
			}
		}
	}
}

func (w *Workspace) transfer(ctx context.Context, l load, outs []Output, what string) (m transfer.Moved, err error) {
	r, err := w.Remote(l.remote)
	if err != nil {
		return m, err
	}
	store := w.cache
	if l.legacy {
		r.Legacy, store = true, store.Legacy()
	}
	var oids []dvc.OID
	for _, o := range outs {
		if len(o.only) == 0 {
			oids = append(oids, o.Out.OID)
			continue
		}
		if what == fetching { // the manifest says which
			some, err := r.Manifests(ctx, store, []dvc.OID{o.Out.OID})
			if m.Objects, m.Bytes = m.Objects+some.Objects, m.Bytes+some.Bytes; err != nil {
				return m, err
			}
		}
		t, err := store.Tree(ctx, o.Out.OID)
		if err == nil {
			t, err = o.meant(t)
		}
		if err != nil {
			return m, err
		}
		for _, f := range t {
			oids = append(oids, f.OID)
		}
	}
	do := r.Fetch
	if what == pushing {
		do = r.Push
	}
	rest, err := do(ctx, store, oids, w.heard(what, outs))
	return transfer.Moved{Objects: m.Objects + rest.Objects, Bytes: m.Bytes + rest.Bytes, Present: rest.Present}, w.placed(ctx, err, outs)
}

// placed has an error that names objects name the data, too, that they are of.
func (w *Workspace) placed(ctx context.Context, err error, outs []Output) error {
	var lacking *transfer.MissingError
	var spoilt *transfer.CorruptError
	if !errors.As(err, &lacking) && !errors.As(err, &spoilt) {
		return err
	}
	paths := map[dvc.OID]string{}
	for _, o := range outs {
		paths[o.Out.OID] = o.Path
		if !o.Out.OID.IsDir() {
			continue
		}
		if t, err := w.store(o).Tree(ctx, o.Out.OID); err == nil {
			for _, f := range t {
				paths[f.OID] = o.Path + "/" + f.Path
			}
		}
	}
	if spoilt != nil {
		spoilt.Path = paths[spoilt.OID]
		return fault.WithHint(fault.New(fault.Corrupt, "%w", spoilt), "%s", spoilt.Hint())
	}
	lacking.Paths = paths
	return fault.WithHint(fault.New(fault.Missing, "%w", lacking), "%s", fault.HintOf(err))
}
