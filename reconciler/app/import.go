// Importing: data of another repository, taken in once under a .dvc file that says where
// it is from.

package app

import (
	"context"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Import says what is taken in.
type Import struct {
	Repo, Path string // of the other repository, as they are written down
	Rev        string // a branch, tag or commit; "": its default branch
	Pin        string // the .dvc file, from the root of this one
}

// foreign is data of another repository that was looked at.
type foreign struct {
	from   port.Source
	seen   port.Snapshot
	commit string
	path   string
}

// abroad looks at what another repository keeps with DVC, or in Git itself.
func (o RefreshOptions) abroad(ctx context.Context, at, name, rev string) (f foreign, err error) {
	if local(at) {
		abs, err := filepath.Abs(at)
		if err != nil {
			return f, fault.WithHint(fault.New(fault.Invalid, "find %s: %w", at, err), "give an absolute path, or the address of a repository")
		}
		at = abs
	}
	f.path = path.Clean(name)
	src := schemas.DataSource{DVC: &schemas.DVC{Path: f.path, Repo: at, Revision: rev}}
	tree, commit, err := cloned(o.Env)(ctx, at, rev)
	if err != nil {
		return f, err
	}
	f.commit = commit
	if f.from, err = o.open(src, ""); err != nil {
		return f, err
	}
	f.seen, err = f.from.Inspect(ctx)
	if fault.Of(err) == fault.Missing && err != nil {
		if _, there := fs.Stat(tree, f.path); there != nil {
			return f, err
		}
		src = schemas.DataSource{Path: f.path} // Git itself has it
		if f.from, err = source.Open(src, source.Options{Env: o.Env, Tree: tree}); err != nil {
			return f, err
		}
		f.seen, err = f.from.Inspect(ctx)
	}
	return f, err
}

// fetch brings it into dir, and tells where it lies.
func (f foreign) fetch(ctx context.Context, dir string, coming func(done, total int64)) (string, error) {
	if err := f.from.Fetch(ctx, f.seen, dir, coming); err != nil {
		return "", err
	}
	if len(f.seen.Files) == 1 && f.seen.Files[0].Path == path.Base(f.path) {
		return filepath.Join(dir, f.seen.Files[0].Path), nil
	}
	return dir, nil
}

// Import brings data that another repository keeps with DVC, or in Git itself.
func (o RefreshOptions) Import(ctx context.Context, w *data.Workspace, i Import) (data.Added, error) {
	f, err := o.abroad(ctx, i.Repo, i.Path, i.Rev)
	if err != nil {
		return data.Added{}, err
	}
	dir, release, err := w.Staging(ctx, i.Pin, f.seen.Token)
	if err != nil {
		return data.Added{}, err
	}
	done := false
	defer func() { release(done) }()
	fetched, err := f.fetch(ctx, dir, o.coming("fetching "+f.path))
	if err != nil {
		return data.Added{}, err
	}
	if err := data.CheckFetched(ctx, fetched); err != nil {
		return data.Added{}, err
	}
	a, err := w.Import(ctx, i.Pin, fetched, dvc.Dep{Path: i.Path, Size: -1, NFiles: -1, Repo: &dvc.RepoRef{URL: i.Repo, Rev: i.Rev, RevLock: f.commit}})
	done = err == nil
	return a, err
}

// Foreign fetches what was imported, as it was at the commit that was written down.
func (o RefreshOptions) Foreign(ctx context.Context, from dvc.Dep, dir string) (string, error) {
	rev := from.Repo.RevLock
	if rev == "" {
		rev = from.Repo.Rev
	}
	f, err := o.abroad(ctx, from.Repo.URL, from.Path, rev)
	if err != nil {
		return "", err
	}
	return f.fetch(ctx, dir, o.coming("fetching "+f.path))
}

// local tells a repository of this machine from an address.
func local(repo string) bool {
	return !strings.Contains(repo, "://") && (filepath.IsAbs(repo) || !strings.Contains(repo, ":"))
}
