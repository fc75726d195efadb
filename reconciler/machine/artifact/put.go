// Into the store: files and folders become artifacts.

package artifact

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// PutFile keeps the regular file at path. A symbolic link or a special file is
// Invalid, an absent one Missing.
func PutFile(ctx context.Context, store port.Store, path string) (port.Artifact, error) {
	return keepFile(ctx, copied(store), path)
}

// PutTree keeps every file below dir, and the manifest that names the folder, as
// the last: a store that has a folder's digest has had all of its files. Symbolic
// links and special files are Invalid, as is a folder without any file.
func PutTree(ctx context.Context, store port.Store, dir string) (port.Artifact, error) {
	return keepTree(ctx, store, copied(store), dir)
}

// GiveFile is PutFile for a file that nothing writes to any more, and that its caller removes or leaves as it is: the store may take it
// without a copy, which makes it read-only.
func GiveFile(ctx context.Context, store port.Store, path string) (port.Artifact, error) {
	return keepFile(ctx, given(store), path)
}

// GiveTree is PutTree for a folder of such files.
func GiveTree(ctx context.Context, store port.Store, dir string) (port.Artifact, error) {
	return keepTree(ctx, store, given(store), dir)
}

// Disown takes away, below dir, the files that a store has taken: whoever changed one there would change what is kept.
func Disown(dir string) error {
	return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Nlink > 1 && st.Mode().Perm() == 0o400 {
			return os.Remove(p)
		}
		return nil
	})
}

// FileTaker is a Store that can keep a file of this machine as it lies there, without a copy of it.
type FileTaker interface {
	// TakeFile keeps what f holds, which is open for reading from its start, as Put does. Taken tells whether it could: where another
	// process may still write to the file, or the store is on another disk, nothing has changed, and Put copies it. A file that was
	// taken can be read by its old name as well, and is not to be changed by it.
	TakeFile(ctx context.Context, f *os.File) (d digest.Digest, size int64, taken bool, err error)
}

// keeping is how an open file comes into a store.
type keeping func(ctx context.Context, f *os.File) (digest.Digest, int64, error)

func copied(store port.Store) keeping {
	return func(ctx context.Context, f *os.File) (digest.Digest, int64, error) { return store.Put(ctx, f) }
}

func given(store port.Store) keeping {
	taker, can := store.(FileTaker)
	if !can {
		return copied(store)
	}
	return func(ctx context.Context, f *os.File) (digest.Digest, int64, error) {
		d, n, taken, err := taker.TakeFile(ctx, f)
		if err != nil || taken {
			return d, n, err
		}
		return store.Put(ctx, f)
	}
}

func keepFile(ctx context.Context, keep keeping, path string) (port.Artifact, error) {
	name := filepath.Base(path)
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return port.Artifact{}, opening(err, name)
	}
	defer root.Close()
	f, err := putFile(ctx, keep, root, name)
	return port.Artifact{Name: name, Digest: f.Digest, Size: f.Size}, err
}

func keepTree(ctx context.Context, store port.Store, keep keeping, dir string) (port.Artifact, error) {
	name := filepath.Base(dir)
	if st, err := os.Lstat(dir); err != nil {
		return port.Artifact{}, opening(err, name)
	} else if !st.IsDir() {
		return port.Artifact{}, fault.WithHint(fault.New(fault.Invalid, "%s is %s, not a folder", name, what(st.Mode())), "make it a folder of regular files")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return port.Artifact{}, opening(err, name)
	}
	defer root.Close()

	m := digest.Manifest{}
	err = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return opening(err, p)
		}
		if e.IsDir() {
			return nil
		}
		st, err := e.Info()
		if err != nil {
			return opening(err, p)
		}
		m = append(m, digest.File{Path: p, Size: st.Size()})
		return nil
	})
	if err == nil {
		err = Spread(ctx, m, func(ctx context.Context, i int) (err error) {
			m[i], err = putFile(ctx, keep, root, m[i].Path)
			return err
		})
	}
	if err != nil {
		return port.Artifact{}, fmt.Errorf("keep folder %s: %w", name, err)
	}
	if len(m) == 0 {
		return port.Artifact{}, fault.WithHint(fault.New(fault.Invalid, "folder %s holds no file", name), "write at least one file into it")
	}
	slices.SortFunc(m, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	if err := m.Check(); err != nil {
		return port.Artifact{}, fault.WithHint(fault.New(fault.Invalid, "keep folder %s: %w", name, err), "rename the file")
	}
	if err := PutManifest(ctx, store, m); err != nil {
		return port.Artifact{}, fmt.Errorf("keep folder %s: %w", name, err)
	}
	return port.Artifact{Name: name, Digest: m.Digest(), Size: m.Size(), Files: m}, nil
}

const (
	smallFile  = 1 << 20
	sideBySide = 16
)

// Spread does something for each file of m: for those up to a MiB some at a time, as each waits for the disk, or for a store that is far
// away, longer than it is read; for larger ones one after another, as several would take several times the memory.
func Spread(ctx context.Context, m digest.Manifest, do func(ctx context.Context, i int) error) error {
	g, some := routine.WithContext(ctx)
	g.SetLimit(sideBySide)
	for i, f := range m {
		if f.Size <= smallFile && some.Err() == nil {
			g.Start(func() error { return do(some, i) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, f := range m {
		if f.Size > smallFile {
			if err := do(ctx, i); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// ReadAll reads a small thing by its digest: a bundle, a log's tail, a manifest.
func ReadAll(ctx context.Context, store port.Store, d digest.Digest) ([]byte, error) {
	r, err := store.Get(ctx, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Short(), err)
	}
	return b, nil
}

// Has tells whether the store holds all that art consists of.
func Has(ctx context.Context, store port.Store, art port.Artifact) (bool, error) {
	if art.Files == nil {
		return store.Has(ctx, art.Digest)
	}
	for _, f := range art.Files {
		if ok, err := store.Has(ctx, f.Digest); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// PutManifest keeps the list of a folder, which names it.
func PutManifest(ctx context.Context, store port.Store, m digest.Manifest) error {
	b, err := digest.Canonical(m)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	_, _, err = store.Put(ctx, strings.NewReader(string(b)))
	return err
}

func putFile(ctx context.Context, keep keeping, root *os.Root, p string) (digest.File, error) {
	file := digest.File{Path: p}
	f, err := regular(root, p)
	if err != nil {
		return file, err
	}
	defer f.Close()
	if file.Digest, file.Size, err = keep(ctx, f); err != nil {
		return file, fmt.Errorf("keep %s: %w", p, err)
	}
	return file, nil
}

// regular opens a regular file. What was opened is compared with what stands at
// the path, so that a link that is slipped in between is not followed; O_NONBLOCK
// keeps a named pipe from blocking the open.
func regular(root *os.Root, p string) (*os.File, error) {
	st, err := root.Lstat(p)
	if err != nil {
		return nil, opening(err, p)
	}
	if !st.Mode().IsRegular() {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is %s, not a regular file", p, what(st.Mode())), "replace it with a copy of the file that is meant")
	}
	f, err := root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, opening(err, p)
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(st, now) {
		f.Close()
		return nil, fault.WithHint(fault.New(fault.Conflict, "%s was replaced while it was read", p), "let nothing else write there, then run the command again")
	}
	return f, nil
}

func opening(err error, name string) error {
	switch {
	case os.IsNotExist(err):
		return fault.WithHint(fault.New(fault.Missing, "%s is not there", name), "write it first")
	case os.IsPermission(err):
		return fault.WithHint(fault.New(fault.Denied, "%s cannot be read: permission denied", name), "let this user read it")
	default:
		return fmt.Errorf("open %s: %w", name, err)
	}
}

func what(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m.IsRegular():
		return "a file"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}
