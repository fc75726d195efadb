// Letting go of what nothing points to any more: what is kept is found first, then
// what would go is counted, and only then does anything go.

package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// Tree is a tree whose data is meant: the work tree's, or a revision's.
type Tree struct {
	Name string // for messages
	FS   fs.FS
}

// Kept is what a collection keeps, and where it collects.
type Kept struct {
	Trees       Revisions
	Cloud       bool   // collect in the remotes as well
	Remote      string // instead of the default one
	NotInRemote bool   // let go of what the remotes have, too
	// Pass hears of pins that cannot be read, or whose files nobody knows any more, and
	// which are passed over. Without it such a pin ends the collection.
	Pass func(error)
}

// Unused is what a collection would remove.
type Unused struct {
	Objects int64 `json:"objects"` // of the cache
	Bytes   int64 `json:"bytes"`
	Kept    int64 `json:"kept"`
	Remotes []UnusedRemote

	w    *Workspace
	keep Kept
	gone []dvccache.Object
}

// UnusedRemote is what would be removed from one remote.
type UnusedRemote struct {
	Name    string `json:"name"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
	Kept    int64  `json:"kept"`

	remote *transfer.Remote
	gone   []string
}

// Unused finds the objects of the cache that none of what is kept points to.
func (w *Workspace) Unused(ctx context.Context, k Kept) (*Unused, error) {
	n, err := w.needed(ctx, k)
	if err != nil {
		return nil, err
	}
	u := &Unused{w: w, keep: k}
	if k.Cloud {
		if err := n.collectRemotes(ctx, u); err != nil {
			return nil, err
		}
	}
	if k.NotInRemote {
		if err := n.elsewhere(ctx); err != nil {
			return nil, err
		}
	}
	return u, n.collectCache(ctx, u)
}

func (n *needing) collectCache(ctx context.Context, u *Unused) error {
	for o, err := range n.cache.All() {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fault.New(fault.Cancelled, "collect: %w", err)
		}
		if n.used[o.OID] {
			u.Kept++
			continue
		}
		st, err := os.Stat(o.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fault.New(fault.Denied, "look at the cache: %w", err)
		}
		u.Objects++
		u.Bytes += st.Size()
		u.gone = append(u.gone, o)
	}
	return nil
}

// collectRemotes finds what goes of the remotes. What any output needs stays in all of
// them: more than DVC keeps, where outputs name remotes of their own.
func (n *needing) collectRemotes(ctx context.Context, u *Unused) error {
	all, err := n.remotes()
	if err != nil {
		return err
	}
	for r := range all {
		c := UnusedRemote{Name: r.Name, remote: r}
		for o, err := range r.Bucket.List(ctx, "") {
			if err != nil {
				return fmt.Errorf("list remote %s: %w", r.Name, err)
			}
			oid, err := dvc.ParseOID(strings.ReplaceAll(strings.TrimPrefix(o.Key, "files/md5/"), "/", ""))
			if err != nil || o.Key != oid.Key() && o.Key != oid.LegacyKey() {
				continue // not DVC's, such as runs/
			}
			if n.used[oid] {
				c.Kept++
				continue
			}
			c.Objects++
			c.Bytes += o.Size
			c.gone = append(c.gone, o.Key)
		}
		u.Remotes = append(u.Remotes, c)
	}
	slices.SortFunc(u.Remotes, func(a, b UnusedRemote) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// Empty tells whether there is nothing to remove.
func (u *Unused) Empty() bool {
	for _, r := range u.Remotes {
		if r.Objects > 0 {
			return false
		}
	}
	return u.Objects == 0
}

// Remove removes what was found: manifests before the files that they name, so that one
// that is there has all of its files wherever this is cut off.
func (u *Unused) Remove(ctx context.Context) error {
	alone, err := u.still(ctx)
	if err != nil {
		return err
	}
	defer alone.Close()
	if outs, err := u.w.Outputs(ctx, nil); err == nil {
		u.w.tidy(outs)
	}
	u.w.cache.Abandon(true)
	for _, r := range u.Remotes {
		if left, ok := r.remote.Bucket.(interface {
			Tidy(ctx context.Context, now time.Time) error
		}); ok {
			if err := left.Tidy(ctx, u.w.o.Env.Now()); err != nil {
				return fmt.Errorf("collect in remote %s: %w", r.Name, err)
			}
		}
		slices.SortStableFunc(r.gone, func(a, b string) int {
			return manifestsFirst(strings.HasSuffix(a, ".dir"), strings.HasSuffix(b, ".dir"))
		})
		for some := range slices.Chunk(r.gone, 1000) {
			if err := r.remote.Bucket.Delete(ctx, some...); err != nil {
				return fmt.Errorf("collect in remote %s: %w", r.Name, err)
			}
		}
	}
	slices.SortStableFunc(u.gone, func(a, b dvccache.Object) int { return manifestsFirst(a.OID.IsDir(), b.OID.IsDir()) })
	for _, o := range u.gone {
		if err := ctx.Err(); err != nil {
			return fault.New(fault.Cancelled, "collect: %w", err)
		}
		if err := u.w.cache.Remove(o); err != nil {
			return err
		}
	}
	return nil
}

func manifestsFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// still leaves out what is needed by now, and keeps others from needing more: whoever adds
// to the cache is waited for until what points to it is written.
func (u *Unused) still(ctx context.Context) (io.Closer, error) {
	k := u.keep
	if k.Pass != nil {
		k.Pass = func(error) {} // it was told
	}
	for range 5 {
		mark := u.w.cache.Mark()
		n, err := u.w.needed(ctx, k)
		if err != nil {
			return nil, err
		}
		if k.NotInRemote {
			if err := n.elsewhere(ctx); err != nil {
				return nil, err
			}
		}
		alone, err := u.w.cache.Alone(ctx)
		if err != nil {
			return nil, err
		}
		if u.w.cache.Mark() != mark { // somebody has added meanwhile
			alone.Close()
			continue
		}
		u.leave(n)
		return alone, nil
	}
	return nil, fault.WithHint(fault.New(fault.Conflict, "others keep adding to the cache %s", u.w.cache.Root()), "run gc when they have ended")
}

// leave takes what n needs out of what goes.
func (u *Unused) leave(n *needing) {
	u.gone = slices.DeleteFunc(u.gone, func(o dvccache.Object) bool {
		if n.used[o.OID] {
			u.Objects, u.Kept = u.Objects-1, u.Kept+1
		}
		return n.used[o.OID]
	})
	if !u.keep.Cloud {
		return
	}
	for i := range u.Remotes {
		r := &u.Remotes[i]
		r.gone = slices.DeleteFunc(r.gone, func(key string) bool {
			oid, err := dvc.ParseOID(strings.ReplaceAll(strings.TrimPrefix(key, "files/md5/"), "/", ""))
			if needed := err != nil || n.used[oid]; needed {
				r.Objects, r.Kept = r.Objects-1, r.Kept+1
				return true
			}
			return false
		})
	}
}
