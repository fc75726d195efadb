// How the work tree stands against what the repository points to.
package data

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/data/cache"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Standing is how one output stands.
type Standing struct {
	Output
	State    string   `json:"state"` // "", modified, deleted, or not in cache
	Added    []string `json:"added,omitempty"`
	Modified []string `json:"modified,omitempty"`
	Deleted  []string `json:"deleted,omitempty"`
}

// States of an output that are not well.
const (
	Modified   = "modified"
	Deleted    = "deleted"
	NotInCache = "not in cache"
)

// Status compares the outputs of targets, or all, with the work tree. Those that
// stand as they should are left out.
func (w *Workspace) Status(ctx context.Context, targets []string) ([]Standing, error) {
	outs, err := w.Outputs(ctx, targets)
	if err != nil {
		return nil, err
	}
	var all []Standing
	for _, o := range outs {
		s, err := w.stands(ctx, o)
		if err != nil {
			return nil, err
		}
		if s.State != "" {
			all = append(all, s)
		}
	}
	return all, nil
}

func (w *Workspace) stands(ctx context.Context, o Output) (Standing, error) {
	s := Standing{Output: o}
	abs := w.abs(o.Path)
	switch _, err := os.Lstat(abs); {
	case errors.Is(err, fs.ErrNotExist):
		s.State = Deleted
		return s, nil
	case err != nil:
		return s, fault.New(fault.Denied, "look at %s: %w", o.Path, err)
	}
	ignore, err := w.ignored(o.Path)
	if err != nil {
		return s, err
	}
	remembered := make(chan *cache.Memory, 1)
	go func() { remembered <- cache.LoadMemory(w.memoryFile(o.Path)) }()
	files, err := look(ctx, abs, ignore, w.o.Jobs)
	memory := <-remembered
	if err != nil {
		return s, err
	}
	if memory.Tree == o.Out.OID && unchanged(files, memory) {
		if !w.cache.Has(o.Out.OID) && !o.Out.NoCache {
			s.State = NotInCache
		}
		return s, nil
	}
	inOrder(files)
	tree, fresh, err := w.named(ctx, abs, files, memory, o.Out.Hash == "")
	if err != nil {
		return s, err
	}
	now := tree.OID()
	if !o.Out.OID.IsDir() && len(tree) == 1 && tree[0].Path == "" {
		now = tree[0].OID
	}
	if now == o.Out.OID {
		fresh.Tree = now
		_ = fresh.Save(w.memoryFile(o.Path)) // the next look is quicker; without it, it is as slow as this one
		return s, nil
	}
	s.State = Modified
	if o.Out.OID.IsDir() {
		if was, err := w.cache.Tree(ctx, o.Out.OID); err == nil {
			s.Added, s.Modified, s.Deleted = between(was, tree)
		}
	}
	return s, nil
}

// unchanged tells whether files stand as they were remembered, all of them.
func unchanged(files []found, m *cache.Memory) bool {
	if len(files) != len(m.Files) || len(files) == 0 {
		return false
	}
	for _, f := range files {
		if k, ok := m.Files[f.path]; !ok || k.Stamp != f.stamp {
			return false
		}
	}
	return true
}

// named names files, and reads those only that do not stand as they were remembered.
// Legacy names are those of DVC 2.
func (w *Workspace) named(ctx context.Context, abs string, files []found, m *cache.Memory, legacy bool) (dvc.Tree, *cache.Memory, error) {
	t := make(dvc.Tree, len(files))
	fresh := &cache.Memory{Files: make(map[string]cache.Known, len(files))}
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, nil, fault.New(fault.Cancelled, "read %s: %w", abs, err)
		}
		k, ok := m.Files[f.path]
		if !ok || k.Stamp != f.stamp || legacy {
			began := w.o.Env.Now()
			sum, err := cache.SumFile(filepath.Join(abs, filepath.FromSlash(f.path)), legacy)
			if err != nil {
				return nil, nil, err
			}
			if k, ok = cache.Know(f.stamp, sum); !ok || !f.stamp.Settled(began) || legacy {
				t[i] = dvc.File{Path: f.path, OID: sum.OID, Size: sum.Size, SHA256: sum.SHA256}
				continue
			}
		}
		fresh.Files[f.path] = k
		s := k.Sums()
		t[i] = dvc.File{Path: f.path, OID: s.OID, Size: s.Size, SHA256: s.SHA256}
	}
	return t, fresh, nil
}

// between lists what now has beyond was, what it has otherwise, and what it lacks.
func between(was, now dvc.Tree) (added, modified, deleted []string) {
	before := make(map[string]dvc.OID, len(was))
	for _, f := range was {
		before[f.Path] = f.OID
	}
	for _, f := range now {
		switch old, ok := before[f.Path]; {
		case !ok:
			added = append(added, f.Path)
		case old != f.OID:
			modified = append(modified, f.Path)
		}
		delete(before, f.Path)
	}
	for p := range before {
		deleted = append(deleted, p)
	}
	slices.Sort(deleted)
	return added, modified, deleted
}

// Change is an output that differs between two sides; a side without it has "".
type Change struct {
	Path     string   `json:"path"`
	Was      dvc.OID  `json:"was,omitempty"`
	Now      dvc.OID  `json:"now,omitempty"`
	WasSize  int64    `json:"wasSize"`
	NowSize  int64    `json:"nowSize"`
	Added    []string `json:"added,omitempty"`
	Modified []string `json:"modified,omitempty"`
	Deleted  []string `json:"deleted,omitempty"`
}

// Diff compares what two trees point to. Files of folders are told where the cache
// has both manifests.
func (w *Workspace) Diff(ctx context.Context, was, now fs.FS) ([]Change, error) {
	a, err := OutputsOf(ctx, was)
	if err != nil {
		return nil, err
	}
	b, err := OutputsOf(ctx, now)
	if err != nil {
		return nil, err
	}
	by := map[string]*Change{}
	at := func(p string) *Change {
		if by[p] == nil {
			by[p] = &Change{Path: p, WasSize: -1, NowSize: -1}
		}
		return by[p]
	}
	for _, o := range a {
		c := at(o.Path)
		c.Was, c.WasSize = o.Out.OID, o.Out.Size
	}
	for _, o := range b {
		c := at(o.Path)
		c.Now, c.NowSize = o.Out.OID, o.Out.Size
	}
	var out []Change
	for _, c := range by {
		if c.Was == c.Now {
			continue
		}
		if c.Was.IsDir() && c.Now.IsDir() {
			x, errX := w.cache.Tree(ctx, c.Was)
			y, errY := w.cache.Tree(ctx, c.Now)
			if errX == nil && errY == nil {
				c.Added, c.Modified, c.Deleted = between(x, y)
			}
		}
		out = append(out, *c)
	}
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	return out, nil
}
