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

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// Status is how one output stands.
type Status struct {
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
	DVCsAlone  = "kept by version_aware, which DVC alone reads"
)

// Status compares the outputs of targets, or all, with the work tree. Those that
// stand as they should are left out.
func (w *Workspace) Status(ctx context.Context, targets []string) ([]Status, error) {
	outs, err := w.Outputs(ctx, targets)
	if err != nil {
		return nil, err
	}
	var all []Status
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

func (w *Workspace) stands(ctx context.Context, o Output) (Status, error) {
	s := Status{Output: o}
	if o.Out.Versioned {
		s.State = DVCsAlone
		return s, nil
	}
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
	known := make(chan *dvccache.Memory, 1)
	fault.Go(func() { known <- dvccache.LoadMemory(w.memoryFile(o.Path)) }, func(error) { known <- dvccache.NewMemory(0) })
	files, err := lookPast(ctx, abs, ignore, w.workers())
	memory := <-known
	if err != nil {
		return s, err
	}
	if memory.Tree == o.Out.OID && unchanged(files, memory) {
		if !w.store(o).Has(o.Out.OID) && !o.Out.NoCache {
			s.State = NotInCache
		}
		return s, nil
	}
	inOrder(files)
	sums, err := w.named(ctx, abs, files, memory, o.Out.Hash == "")
	if err != nil {
		return s, err
	}
	if is(files, sums, o.Out.OID) {
		// The next look is quicker; without this, it is as slow as this one.
		_ = dvccache.Remember(w.memoryFile(o.Path), o.Out.OID, len(files), func(i int) (string, dvccache.FileState) { return files[i].path, sums[i] })
		return s, nil
	}
	s.State = Modified
	if o.Out.OID.IsDir() {
		if was, err := w.store(o).Tree(ctx, o.Out.OID); err == nil {
			s.Added, s.Modified, s.Deleted = between(was, treeOf(files, sums))
			s.limit()
		}
	}
	return s, nil
}

// limit leaves out what is not meant.
func (s *Status) limit() {
	if len(s.only) == 0 {
		return
	}
	for _, names := range []*[]string{&s.Added, &s.Modified, &s.Deleted} {
		*names = slices.DeleteFunc(*names, func(p string) bool { return !s.means(p) })
	}
	if len(s.Added)+len(s.Modified)+len(s.Deleted) == 0 {
		s.State = ""
	}
}

// is tells whether files, sorted by path, are what DVC calls oid.
func is(files []found, sums []dvccache.FileState, oid dvc.OID) bool {
	if !oid.IsDir() {
		return len(files) == 1 && files[0].path == "" && sums[0].Is(oid)
	}
	return (len(files) != 1 || files[0].path != "") && dvc.TreeOID(manifest(files, sums)) == oid
}

func treeOf(files []found, sums []dvccache.FileState) dvc.Tree {
	t := make(dvc.Tree, len(files))
	for i, f := range files {
		s := sums[i].Sums()
		t[i] = dvc.File{Path: f.path, OID: s.OID, Size: s.Size, SHA256: s.SHA256}
	}
	return t
}

// byPath is what files are, by path.
func byPath(files []found, sums []dvccache.FileState) *dvccache.Memory {
	m := dvccache.NewMemory(len(files))
	for i, f := range files {
		m.Put(f.path, sums[i])
	}
	return m
}

// unchanged tells whether files stand as they were remembered, all of them.
func unchanged(files []found, m *dvccache.Memory) bool {
	if len(files) != m.Len() || len(files) == 0 {
		return false
	}
	for _, f := range files {
		if k, ok := m.Get(f.path); !ok || k.Stamp != f.stamp {
			return false
		}
	}
	return true
}

// named names files, and reads those only that do not stand as they were remembered.
// Legacy names are those of DVC 2. Sums that cannot be relied on later have no stamp.
func (w *Workspace) named(ctx context.Context, abs string, files []found, m *dvccache.Memory, legacy bool) ([]dvccache.FileState, error) {
	sums := make([]dvccache.FileState, len(files))
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Cancelled, "read %s: %w", abs, err)
		}
		k, ok := m.Get(f.path)
		if !ok || k.Stamp != f.stamp || legacy {
			began := w.o.Env.Now()
			sum, err := dvccache.SumFile(ctx, filepath.Join(abs, filepath.FromSlash(f.path)), legacy)
			if err != nil {
				return nil, err
			}
			if k, ok = dvccache.Know(f.stamp, sum); !ok {
				return nil, fault.New(fault.Internal, "%s: its name cannot be remembered", f.path)
			}
			if !f.stamp.Settled(began) || legacy {
				k.Stamp = dvccache.Stamp{Size: sum.Size}
			}
		}
		sums[i] = k
	}
	return sums, nil
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

// Diff compares what two trees point to; now nil is the work tree, with its data as it
// stands there. Files of folders are told where both manifests are known.
func (w *Workspace) Diff(ctx context.Context, was, now fs.FS) ([]Change, error) {
	before, err := OutputsOf(ctx, was)
	if err != nil {
		return nil, err
	}
	after, err := OutputsOf(ctx, or(now, os.DirFS(w.root)))
	if err != nil {
		return nil, err
	}
	by, trees := map[string]*Change{}, map[string]dvc.Tree{}
	at := func(p string) *Change {
		if by[p] == nil {
			by[p] = &Change{Path: p, WasSize: -1, NowSize: -1}
		}
		return by[p]
	}
	for _, o := range before {
		c := at(o.Path)
		c.Was, c.WasSize = o.Out.OID, o.Out.Size
	}
	for _, o := range after {
		c := at(o.Path)
		if c.Now, c.NowSize = o.Out.OID, o.Out.Size; now != nil {
			continue
		}
		if c.Now, c.NowSize, trees[o.Path], err = w.now(ctx, o); err != nil {
			return nil, err
		}
	}
	var out []Change
	for _, c := range by {
		if c.Was == c.Now {
			continue
		}
		if c.Was.IsDir() && c.Now.IsDir() {
			x, errX := w.manifest(ctx, c.Was)
			y, errY := trees[c.Path], error(nil)
			if y == nil {
				y, errY = w.manifest(ctx, c.Now)
			}
			if errX == nil && errY == nil {
				c.Added, c.Modified, c.Deleted = between(x, y)
			}
		}
		out = append(out, *c)
	}
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	return out, nil
}

func or(tree, otherwise fs.FS) fs.FS {
	if tree == nil {
		return otherwise
	}
	return tree
}
