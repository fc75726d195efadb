// Merging what Git cannot: pointers and locks of two branches, with the manifests that
// they name.

package data

import (
	"context"
	"fmt"
	"io"
	"path"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// Merge merges three versions of a .dvc file or a dvc.lock. Manifests come from the
// cache, or from the default remote; those of folders that were put together are in the
// cache when it returns.
func (w *Workspace) Merge(ctx context.Context, s dvc.Sides) (dvc.Merged, error) {
	if path.Base(s.Name) == "dvc.lock" {
		return dvc.MergeLock(s)
	}
	m, err := dvc.MergePointer(s, func(oid dvc.OID) (dvc.Tree, error) { return w.sized(ctx, oid) })
	if err != nil {
		return m, err
	}
	for _, t := range m.Trees {
		if _, err := w.cache.InsertTree(ctx, t); err != nil {
			return m, err
		}
	}
	return m, nil
}

// sized is a manifest with the sizes of those files that the cache has.
func (w *Workspace) sized(ctx context.Context, oid dvc.OID) (dvc.Tree, error) {
	t, err := w.cache.Tree(ctx, oid)
	if fault.Of(err) == fault.Missing && err != nil {
		if t, err = w.remoteTree(ctx, oid); err != nil {
			return nil, fault.WithHint(fmt.Errorf("%s is not in the cache: %w", oid, err), "fetch it on the branch that has it: vishwa data fetch; then merge again")
		}
	}
	if err != nil {
		return nil, err
	}
	for i, f := range t {
		var st unix.Stat_t
		if unix.Stat(w.cache.Path(f.OID), &st) == nil {
			t[i].Size = st.Size
		}
	}
	return t, nil
}

func (w *Workspace) remoteTree(ctx context.Context, oid dvc.OID) (dvc.Tree, error) {
	r, err := w.Remote("")
	if err != nil {
		return nil, err
	}
	in, err := r.Object(ctx, oid)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, 1<<30))
	if err != nil {
		return nil, err
	}
	if dvc.TreeOID(raw) != oid {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s holds other bytes at the remote %s", oid, r.Name), "push it anew from where it was added")
	}
	return dvc.ParseTree(raw)
}
