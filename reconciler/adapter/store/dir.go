// Package store holds the adapters that keep bytes by their digest. Dir is the
// embedded default: a folder of read-only files, each named by its SHA-256.
//
//	<path>/sha256/<2 hex digits>/<62 hex digits>   content, mode 0400; in a shared folder 0440
//	<path>/tmp/                                    Puts under way; a Put renames, so half of one is never seen
//	<path>/lock                                    shared by Puts; whoever gets it alone may clear tmp/
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Dir opens the store in the folder at path, which is this user's alone, and makes the
// folder where it is absent. What Puts left behind that were killed is cleared away.
func Dir(path string) (port.Store, error) {
	return openDir(path, func(fs.FileMode) fs.FileMode { return 0 })
}

// Shared is Dir for a folder that others use as well: what is made in it has the bits for
// the group that the folder itself has.
func Shared(path string) (port.Store, error) {
	return openDir(path, func(m fs.FileMode) fs.FileMode { return m & 0o070 })
}

func openDir(path string, group func(fs.FileMode) fs.FileMode) (port.Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // all above it was made as well: it is a place for no folders
			return nil, fault.WithHint(fault.New(fault.Invalid, "open store: %w", err), "no folder can be made there: name another one in spec.store.dir")
		}
		return nil, artifact.Disk(fmt.Errorf("open store: %w", err), path)
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("open store: %w", err), path)
	}
	d := dir{path, group(st.Mode().Perm())}
	if d.group == 0 && st.Mode().Perm() != 0o700 { // an older vishwa made it for all to see
		if err := os.Chmod(path, 0o700); err != nil {
			return nil, artifact.Disk(fmt.Errorf("open store: %w", err), path)
		}
	}
	d.clear()
	return d, nil
}

// dir is the store in a folder; group are the bits for the group that its folders have.
type dir struct {
	path  string
	group fs.FileMode
}

func (d dir) file(name digest.Digest) string {
	h := name.Hex()
	return filepath.Join(d.path, "sha256", h[:2], h[2:])
}

func (d dir) tmp() string { return filepath.Join(d.path, "tmp") }

// mkdir makes a folder with the store's bits, whatever the umask is; it may be there.
func (d dir) mkdir(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil && d.group != 0 {
		err = os.Chmod(path, 0o700|d.group|fs.ModeSetgid)
	}
	return err
}

// Has tells whether the store has a regular file under the name. That its bytes
// are right is found out by reading them.
func (d dir) Has(ctx context.Context, name digest.Digest) (bool, error) {
	name, err := digest.Parse(string(name))
	if err != nil {
		return false, fault.New(fault.Invalid, "look into store: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	st, err := os.Lstat(d.file(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, artifact.Disk(fmt.Errorf("look into store: %w", err), d.path)
	}
	return st.Mode().IsRegular(), nil
}

// Get opens content; the reader ends with Corrupt where the bytes are not what they are named.
func (d dir) Get(ctx context.Context, name digest.Digest) (io.ReadCloser, error) {
	name, err := digest.Parse(string(name))
	if err != nil {
		return nil, fault.New(fault.Invalid, "read store: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := d.file(name)
	// Neither is a link followed nor does a named pipe block the open.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not in the store at %s", name, d.path), "restore it from a copy, or run vishwa apply, which makes it again where a step needs it")
	case errors.Is(err, syscall.ELOOP):
		return nil, tampered(name, path)
	case err != nil:
		return nil, artifact.Disk(fmt.Errorf("read store: %w", err), d.path)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, tampered(name, path)
	}
	return newReader(ctx, f, name), nil
}

// TestWrite makes a file in tmp and takes it away again.
func (d dir) TestWrite(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.mkdir(d.tmp()); err != nil && !errors.Is(err, fs.ErrExist) {
		return artifact.Disk(fmt.Errorf("write store: %w", err), d.path)
	}
	unlock, err := d.lock(syscall.LOCK_SH)
	if err != nil {
		return artifact.Disk(fmt.Errorf("write store: %w", err), d.path)
	}
	defer unlock()
	f, err := os.CreateTemp(d.tmp(), "put-")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err == nil {
		err = shards(filepath.Join(d.path, "sha256"))
	}
	if err != nil {
		return artifact.Disk(fmt.Errorf("write store: %w", err), d.path)
	}
	return nil
}

// shards tells whether content may be added to the folders that there are for it: another
// user may have made some.
func shards(path string) error {
	made, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, at := range append([]string{"."}, names(made)...) {
		if err := unix.Access(filepath.Join(path, at), unix.W_OK|unix.X_OK); err != nil {
			return &fs.PathError{Op: "write to", Path: filepath.Join(path, at), Err: err}
		}
	}
	return nil
}

func names(entries []fs.DirEntry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// Put writes beside its place, makes sure that the disk has it, and renames. An
// older file of that name is replaced: where it was tampered with, that heals it.
func (d dir) Put(ctx context.Context, r io.Reader) (digest.Digest, int64, error) {
	name, n, err := d.putContent(ctx, r)
	if err != nil {
		return "", 0, artifact.Disk(fmt.Errorf("write store: %w", err), d.path)
	}
	return name, n, nil
}

func (d dir) putContent(ctx context.Context, r io.Reader) (name digest.Digest, n int64, err error) {
	err = d.beside(func() (string, digest.Digest, error) {
		tmp, err := os.CreateTemp(d.tmp(), "put-")
		if err != nil {
			return "", "", err
		}
		defer tmp.Close()
		if name, n, err = artifact.Copy(ctx, tmp, r); err == nil {
			err = d.settle(tmp)
		}
		return tmp.Name(), name, err
	})
	return name, n, err
}

// beside has make put a file into tmp, while nobody clears it, and gives it the place of its content.
func (d dir) beside(make func() (path string, name digest.Digest, err error)) error {
	if err := d.mkdir(d.tmp()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	unlock, err := d.lock(syscall.LOCK_SH)
	if err != nil {
		return err
	}
	defer unlock()
	path, name, err := make()
	if path != "" {
		defer os.Remove(path) // gone already where all went well
	}
	if err != nil {
		return err
	}
	return d.place(path, d.file(name))
}

// settle makes a file read-only and makes sure that the disk has it.
func (d dir) settle(f *os.File) error {
	if err := f.Chmod(0o400 | d.group&0o040); err != nil {
		return err
	}
	return f.Sync()
}

// place renames and makes the new name durable, with the folders above it.
func (d dir) place(tmp, path string) error {
	shard := filepath.Dir(path)
	made := d.mkdir(filepath.Dir(shard))
	if made == nil || errors.Is(made, fs.ErrExist) {
		made = d.mkdir(shard)
	}
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return made
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	if err := syncDir(shard); err != nil {
		return err
	}
	if made != nil {
		return nil
	}
	if err := syncDir(filepath.Dir(shard)); err != nil {
		return err
	}
	return syncDir(d.path)
}

// clear removes what killed Puts have left. It needs the lock alone: while any
// Put of any process is under way, it waits for the next time.
func (d dir) clear() {
	old, err := os.ReadDir(d.tmp())
	if err != nil || len(old) == 0 {
		return
	}
	unlock, err := d.lock(syscall.LOCK_EX | syscall.LOCK_NB)
	if err != nil {
		return
	}
	defer unlock()
	for _, e := range old {
		os.Remove(filepath.Join(d.tmp(), e.Name()))
	}
}

func (d dir) lock(how int) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_RDONLY|os.O_CREATE, 0o600|d.group&0o060)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, nil // closing gives the lock back
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
