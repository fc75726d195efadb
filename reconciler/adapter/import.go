// Importing: data of another repository, taken in once under a .dvc file that says where
// it is from.
package adapter

import (
	"context"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Import says what is taken in.
type Import struct {
	Repo, Path string // of the other repository, as they are written down
	Rev        string // a branch, tag or commit; "": its default branch
	Pin        string // the .dvc file, from the root of this one
}

// Import brings data that another repository keeps with DVC, or in Git itself.
func (o RefreshOptions) Import(ctx context.Context, w *data.Workspace, i Import) (data.Added, error) {
	at := i.Repo
	if !strings.Contains(at, "://") && !strings.Contains(at, ":") {
		abs, err := filepath.Abs(at)
		if err != nil {
			return data.Added{}, fault.New(fault.Invalid, "find %s: %w", at, err)
		}
		at = abs
	}
	named := path.Clean(i.Path)
	src := schemas.DataSource{DVC: &schemas.DVC{Path: named, Repo: at, Revision: i.Rev}}
	tree, commit, err := cloned(o.Env)(ctx, at, i.Rev)
	if err != nil {
		return data.Added{}, err
	}
	from, err := o.open(src, "")
	if err != nil {
		return data.Added{}, err
	}
	seen, err := from.Look(ctx)
	if fault.Of(err) == fault.Missing && err != nil {
		if _, there := fs.Stat(tree, named); there != nil {
			return data.Added{}, err
		}
		src = schemas.DataSource{Path: named} // Git itself has it
		if from, err = source.Open(src, source.Options{Env: o.Env, Tree: tree}); err != nil {
			return data.Added{}, err
		}
		seen, err = from.Look(ctx)
	}
	if err != nil {
		return data.Added{}, err
	}
	dir, release, err := w.Aside(ctx, i.Pin, seen.Token)
	if err != nil {
		return data.Added{}, err
	}
	done := false
	defer func() { release(done) }()
	if err := from.Fetch(ctx, seen, dir, nil); err != nil {
		return data.Added{}, err
	}
	fetched := dir
	if len(seen.Files) == 1 && seen.Files[0].Path == path.Base(named) {
		fetched = filepath.Join(dir, seen.Files[0].Path)
	}
	a, err := w.Import(ctx, i.Pin, fetched, dvc.Dep{Path: i.Path, Size: -1, NFiles: -1, Repo: &dvc.RepoRef{URL: i.Repo, Rev: i.Rev, RevLock: commit}})
	done = err == nil
	return a, err
}
