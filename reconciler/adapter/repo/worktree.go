// The checkout as a file system, with the same view of the world as a revision:
// no symbolic link is followed and Git's own files are not there.

package repo

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Worktree is the checkout as it is now, committed or not: what Git calls unchanged reads
// as the commit has it. Symbolic links are listed and cannot be opened, whatever they
// point to; .git is not listed, and a folder that holds one, or that the index has as a
// submodule, is empty, with an irregular mode. A bare repository has none: everything in it is Missing.
func (r *Repo) Worktree() fs.FS {
	if r.root == nil {
		return noWorktree{}
	}
	return worktree{repo: r, git: newClean(r)}
}

// Bare tells whether the repository has no work tree.
func (r *Repo) Bare() bool { return r.root == nil }

type noWorktree struct{}

func (noWorktree) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fault.WithHint(
		fault.New(fault.Missing, "a bare repository has no work tree: %w", fs.ErrNotExist), "run Vishwa in a clone")}
}

type worktree struct {
	repo *Repo
	git  *clean
	near *near // nil: each file is looked for from the root, whoever asks and however late
}

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
	above := "" // the folder that stands above what is looked at
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
			// A folder that has what was looked for is not one that Git left empty.
			if within, wrong := w.hollow(above); wrong != nil {
				return &fs.PathError{Op: op, Path: name, Err: wrong}
			} else if within {
				return inNested(op, name, above)
			}
			return &fs.PathError{Op: op, Path: name, Err: cause(err)}
		}
		if info.Mode()&fs.ModeSymlink != 0 && (i < len(name) || op != "stat") {
			return &fs.PathError{Op: op, Path: name, Err: errLink}
		}
		if i < len(name) && info.IsDir() {
			if above = name[:i]; w.cloned(above) {
				return inNested(op, name, above)
			}
		}
		i++
	}
	return nil
}

// inNested says that name is in the repository at within.
func inNested(op, name, within string) error {
	return &fs.PathError{Op: op, Path: name, Err: fault.WithHint(fault.New(fault.Invalid, "%s %w", within, errNested), "name a path outside it, or keep its files in this repository")}
}

// nested tells whether a folder is a repository of its own: one that is here, or a
// submodule that git clone left empty.
func (w worktree) nested(name string) (bool, error) {
	if name == "." {
		return false, nil
	}
	if w.cloned(name) {
		return true, nil
	}
	return w.hollow(name)
}

// cloned tells whether the folder holds a repository.
func (w worktree) cloned(name string) bool {
	_, err := w.repo.root.Lstat(name + "/.git")
	return err == nil
}

// hollow tells whether the folder is a submodule that git clone left empty.
func (w worktree) hollow(name string) (bool, error) {
	if name == "" {
		return false, nil
	}
	// Git lists what the index has in a process of its own: only an empty folder may be one that it left so.
	d, err := w.repo.root.Open(name)
	if err != nil {
		return false, nil //nolint:nilerr // whoever reads it says why
	}
	defer d.Close()
	if has, _ := d.Readdirnames(1); len(has) > 0 {
		return false, nil
	}
	return w.git.link(name)
}

func hidden(name string) bool { return strings.EqualFold(name, ".git") }

// cause is the error below a path error, which would name a second path.
func cause(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// left is the commit's tree where name is not in the checkout because it is sparse.
func (w worktree) left(name string, err error) *tree {
	if !errors.Is(err, fs.ErrNotExist) || !fs.ValidPath(name) {
		return nil
	}
	return w.git.left(name)
}

func (w worktree) Open(name string) (fs.File, error) {
	if err := w.check("open", name); err != nil {
		if at := w.left(name, err); at != nil {
			return at.Open(name)
		}
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
		within, err := w.nested(name)
		return &folder{stat: renamed{info, path.Base(name), within}, rest: l}, err
	}
	if at, err := w.git.as(name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	} else if at != nil {
		return at.Open(name)
	}
	if !info.Mode().IsRegular() { // a pipe would wait for a writer
		return nil, &fs.PathError{Op: "open", Path: name, Err: fault.WithHint(fault.New(fault.Invalid, "is not a regular file"), "put a plain file there")}
	}
	f, err := w.repo.root.Open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: cause(err)}
	}
	return f, nil
}

func (w worktree) Stat(name string) (fs.FileInfo, error) {
	if w.near != nil {
		if info, err := w.near.info(w, name); err == nil {
			return renamed{info, path.Base(name), false}, nil
		}
	}
	if err := w.check("stat", name); err != nil {
		if at := w.left(name, err); at != nil {
			return at.Stat(name)
		}
		return nil, err
	}
	info, err := w.repo.root.Lstat(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: cause(err)}
	}
	if info.IsDir() {
		within, err := w.nested(name)
		if err != nil {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
		return renamed{info, path.Base(name), within}, nil
	}
	if at, err := w.git.as(name); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	} else if at != nil {
		return at.Stat(name)
	}
	return renamed{info, path.Base(name), false}, nil
}

func (w worktree) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := w.check("readdir", name); err != nil {
		if at := w.left(name, err); at != nil {
			return at.ReadDir(name)
		}
		return nil, err
	}
	within, err := w.nested(name)
	if err == nil && within {
		return nil, nil
	}
	if err == nil {
		err = w.git.load()
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	f, err := w.repo.root.Open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: cause(err)}
	}
	defer f.Close()
	l, err := entries(f)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: cause(err)}
	}
	l = slices.DeleteFunc(l, func(e fs.DirEntry) bool { return hidden(e.Name()) || strings.Contains(e.Name(), `\`) })
	for i, e := range l {
		l[i] = keptEntry{e, w, path.Join(name, e.Name())}
		if !e.IsDir() {
			continue
		}
		if within, err := w.nested(path.Join(name, e.Name())); err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
		} else if within {
			l[i] = nestedEntry{l[i]}
		}
	}
	l = append(l, w.leftIn(name, l)...)
	slices.SortFunc(l, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return l, nil
}

// leftIn lists what a sparse checkout leaves out of a folder.
func (w worktree) leftIn(name string, there []fs.DirEntry) (out []fs.DirEntry) {
	if len(w.git.absent) == 0 {
		return nil
	}
	kept, err := w.git.head.ReadDir(name)
	if err != nil {
		return nil
	}
	for _, e := range kept {
		if w.git.absent[path.Join(name, e.Name())] && !slices.ContainsFunc(there, func(t fs.DirEntry) bool { return t.Name() == e.Name() }) {
			out = append(out, e)
		}
	}
	return out
}

// renamed is a file's info under the name that it was asked for by.
type renamed struct {
	fs.FileInfo
	name   string
	nested bool
}

func (r renamed) Name() string { return r.name }

func (r renamed) Mode() fs.FileMode {
	if r.nested {
		return r.FileInfo.Mode() | fs.ModeIrregular
	}
	return r.FileInfo.Mode()
}

// entries lists a folder. What os.Root opened looks at each of its files besides: here that is left to who asks for it.
func entries(f *os.File) ([]fs.DirEntry, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	plain := os.NewFile(uintptr(fd), f.Name())
	defer plain.Close()
	return plain.ReadDir(-1)
}

// keptEntry is looked at when it is asked: Git may keep a file as another content than is on disk, and what stands above it may be
// another by then.
type keptEntry struct {
	fs.DirEntry
	tree worktree
	path string
}

func (k keptEntry) Info() (fs.FileInfo, error) { return k.tree.Stat(k.path) }

// nestedEntry is a folder that is a repository of its own.
type nestedEntry struct{ fs.DirEntry }

func (n nestedEntry) Type() fs.FileMode { return n.DirEntry.Type() | fs.ModeIrregular }

func (n nestedEntry) Info() (fs.FileInfo, error) {
	info, err := n.DirEntry.Info()
	return renamed{info, n.Name(), true}, err
}
