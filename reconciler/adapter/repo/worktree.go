// The checkout as a file system, with the same view of the world as a revision:
// no symbolic link is followed and Git's own files are not there.

package repo

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Worktree is the checkout as it is now, committed or not. Symbolic links are
// listed and cannot be opened, whatever they point to; .git is not listed. A
// bare repository has none: everything in it is Missing.
func (r *Repo) Worktree() fs.FS {
	if r.root == nil {
		return noWorktree{}
	}
	return worktree{r}
}

// Bare tells whether the repository has no work tree.
func (r *Repo) Bare() bool { return r.root == nil }

type noWorktree struct{}

func (noWorktree) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fault.WithHint(
		fault.New(fault.Missing, "a bare repository has no work tree: %w", fs.ErrNotExist), "run Vishwa in a clone")}
}

type worktree struct{ repo *Repo }

var (
	_ fs.ReadDirFS = worktree{}
	_ fs.StatFS    = worktree{}
)

// check refuses .git and any path that goes through a symbolic link.
func (w worktree) check(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return nil
	}
	for i := 0; i < len(name); {
		end := strings.IndexByte(name[i:], '/')
		if end < 0 {
			end = len(name) - i
		}
		if hidden(name[i : i+end]) {
			return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		i += end
		info, err := w.repo.root.Lstat(name[:i])
		if err != nil {
			return &fs.PathError{Op: op, Path: name, Err: cause(err)}
		}
		if info.Mode()&fs.ModeSymlink != 0 && (i < len(name) || op != "stat") {
			return &fs.PathError{Op: op, Path: name, Err: errLink}
		}
		i++
	}
	return nil
}

func hidden(name string) bool { return strings.EqualFold(name, ".git") }

// cause is the error below a path error, which would name a second path.
func cause(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

func (w worktree) Open(name string) (fs.File, error) {
	if err := w.check("open", name); err != nil {
		return nil, err
	}
	info, err := w.repo.root.Lstat(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: cause(err)}
	}
	if info.IsDir() {
		l, err := w.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &folder{stat: renamed{info, path.Base(name)}, rest: l}, nil
	}
	if !info.Mode().IsRegular() { // a pipe would wait for a writer
		return nil, &fs.PathError{Op: "open", Path: name, Err: fault.New(fault.Invalid, "is not a regular file")}
	}
	f, err := w.repo.root.Open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: cause(err)}
	}
	return f, nil
}

func (w worktree) Stat(name string) (fs.FileInfo, error) {
	if err := w.check("stat", name); err != nil {
		return nil, err
	}
	info, err := w.repo.root.Lstat(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: cause(err)}
	}
	return renamed{info, path.Base(name)}, nil
}

func (w worktree) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := w.check("readdir", name); err != nil {
		return nil, err
	}
	f, err := w.repo.root.Open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: cause(err)}
	}
	defer f.Close()
	l, err := f.ReadDir(-1)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: cause(err)}
	}
	l = slices.DeleteFunc(l, func(e fs.DirEntry) bool { return hidden(e.Name()) || strings.Contains(e.Name(), `\`) })
	slices.SortFunc(l, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return l, nil
}

// renamed is a file's info under the name that it was asked for by.
type renamed struct {
	fs.FileInfo
	name string
}

func (r renamed) Name() string { return r.name }
