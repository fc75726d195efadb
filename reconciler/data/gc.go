// Letting go of what nothing points to any more.
package data

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/sandbox"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Collected is what a collection came to, or would.
type Collected struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Kept    int64 `json:"kept"`
}

// young is how old an object must be to go: an add or fetch that is under way has
// made objects that nothing points to yet.
const young = time.Hour

// GC removes the objects of the cache that none of trees points to. A manifest that
// is pointed to and is not in the cache is an error: what it names is not known.
func (w *Workspace) GC(ctx context.Context, trees []fs.FS, dry bool) (c Collected, err error) {
	used := map[dvc.OID]bool{}
	for _, t := range trees {
		outs, err := OutputsOf(ctx, t)
		if err != nil {
			return c, err
		}
		for _, o := range outs {
			if err := w.use(ctx, used, o); err != nil {
				return c, err
			}
		}
	}
	limit := w.o.Env.Now().Add(-young)
	for oid, err := range w.cache.All() {
		if err != nil {
			return c, err
		}
		if err := ctx.Err(); err != nil {
			return c, fault.New(fault.Cancelled, "collect: %w", err)
		}
		st, err := os.Stat(w.cache.Path(oid))
		switch {
		case used[oid]:
			c.Kept++
			continue
		case err == nil && st.ModTime().After(limit) && w.busy():
			c.Kept++
			continue
		}
		if err == nil {
			c.Bytes += st.Size()
		}
		c.Objects++
		if dry {
			continue
		}
		if _, err := w.cache.Remove(oid); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (w *Workspace) use(ctx context.Context, used map[dvc.OID]bool, o Output) error {
	if used[o.Out.OID] || o.Out.OID == "" {
		return nil
	}
	used[o.Out.OID] = true
	if !o.Out.OID.IsDir() {
		return nil
	}
	t, err := w.cache.Tree(ctx, o.Out.OID)
	if fault.Of(err) == fault.Missing && err != nil {
		return fault.Hint(fault.New(fault.Missing, "%s: its manifest %s is not in the cache, so that its files are not known", o.Path, o.Out.OID), "fetch it first: vishwa data fetch")
	}
	for _, f := range t {
		used[f.OID] = true
	}
	return err
}

// busy tells whether some command is writing to an output of this repository.
func (w *Workspace) busy() bool {
	locks, err := filepath.Glob(filepath.Join(w.state, "*.lock"))
	if err != nil {
		return true
	}
	for _, l := range locks {
		if held, err := sandbox.Held(l); held || err != nil {
			return true
		}
	}
	return false
}
