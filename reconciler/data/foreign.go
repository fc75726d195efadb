// Data that was imported: the other repository has it, and this one's remotes need not.

package data

import (
	"context"
	"fmt"
	"os"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// bring has the cache keep what was imported, as it was then.
func (w *Workspace) bring(ctx context.Context, o Output) (m transfer.Moved, err error) {
	if here, err := w.whole(ctx, o); here || err != nil {
		m.Present = 1
		return m, err
	}
	token := o.From.Repo.RevLock + " " + o.From.Path
	dir, release, err := w.Staging(ctx, o.File, token)
	if err != nil {
		return m, err
	}
	defer func() { release(err == nil) }()
	fetched, err := w.o.Foreign(ctx, *o.From, dir)
	if err != nil {
		return m, fmt.Errorf("fetch %s from %s: %w", o.Path, RedactURL(o.From.Repo.URL), err)
	}
	if err := CheckFetched(ctx, fetched); err != nil {
		return m, fmt.Errorf("fetch %s from %s: %w", o.Path, RedactURL(o.From.Repo.URL), err)
	}
	st, err := os.Stat(fetched)
	if err != nil {
		return m, fault.New(fault.Internal, "read what was fetched: %w", err)
	}
	files, err := findFiles(ctx, fetched, never, w.workers())
	if err != nil {
		return m, err
	}
	t, _, err := w.hashAndCache(ctx, "fetching "+o.Path, fetched, st.IsDir(), files, dvccache.NewMemory(0))
	if err != nil {
		return m, err
	}
	if t.oid != o.Out.OID {
		return m, fault.WithHint(fault.New(fault.Corrupt, "%s has other data at %s than %s says: %s", RedactURL(o.From.Repo.URL), o.From.Path, o.File, t.oid),
			"have it pushed there as it was at %s, or import it anew", o.From.Repo.RevLock)
	}
	return transfer.Moved{Objects: int64(len(t.sums)), Bytes: t.size}, nil
}

// whole tells whether the cache has all of an output.
func (w *Workspace) whole(ctx context.Context, o Output) (bool, error) {
	if !w.store(o).Has(o.Out.OID) {
		return false, nil
	}
	if !o.Out.OID.IsDir() {
		return true, nil
	}
	t, err := w.store(o).Tree(ctx, o.Out.OID)
	if err != nil {
		return false, err
	}
	cache, err := w.store(o).Linker()
	if err != nil {
		return false, err
	}
	defer cache.Close()
	return len(lackingOf(cache, t)) == 0, nil
}
