// Large objects that gather over several tries: what has come of one stays when the
// program ends, and the next goes on with it.

package dvccache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
)

// PartialObject is a folder of one object's bytes, and nobody else's until Close.
type PartialObject struct {
	Dir  string
	lock *os.File
}

func (c *Cache) halves() string { return filepath.Join(c.root, "files", "md5", underway, "half") }

// Partial opens the folder for an object, as an earlier try left it. It is nil where
// another program is at the same object.
func (c *Cache) Partial(oid dvc.OID) (*PartialObject, error) {
	h, err := c.half(string(oid))
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("write cache: %w", err), c.root)
	}
	return h, nil
}

func (c *Cache) half(name string) (*PartialObject, error) {
	for {
		dir := filepath.Join(c.halves(), name)
		if err := c.mkdir(c.halves()); err != nil {
			return nil, err
		}
		if err := c.mkdir(dir); err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its owner is done with it
		}
		if err != nil {
			return nil, err
		}
		if lock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
			f.Close()
			return nil, nil
		}
		held, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if now, err := os.Stat(dir); err == nil && os.SameFile(now, held) {
			return &PartialObject{dir, f}, nil
		}
		f.Close()
	}
}

// Close lets others have it.
func (h *PartialObject) Close() { h.lock.Close() }

// Remove forgets what has come, and closes it.
func (h *PartialObject) Remove() {
	_ = os.RemoveAll(h.Dir) // what stays is the next one's to go on with
	h.Close()
}

// Abandon removes the halves that nobody is at: all, or those of objects that came in
// another way.
func (c *Cache) Abandon(all bool) {
	names, err := readNames(c.halves())
	if err != nil {
		return
	}
	for _, name := range names {
		if oid, err := dvc.ParseOID(name); err == nil && !all && !c.Has(oid) {
			continue
		}
		if h, err := c.half(name); err == nil && h != nil {
			h.Remove()
		}
	}
}

// Adopt takes in a file that lies on the cache's file system, as Take does what it reads.
func (b *Batch) Adopt(ctx context.Context, path string, want dvc.OID) (Sum, error) {
	n, sum, err := b.adopt(ctx, path)
	if err != nil {
		return Sum{}, artifact.Disk(fmt.Errorf("write cache: %w", err), b.c.root)
	}
	return b.admit(n, sum, want)
}

func (b *Batch) adopt(ctx context.Context, path string) (temporary, Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, Sum{}, err
	}
	defer f.Close()
	sum, err := copyHashed(nil, ended.Reader(ctx, f, "read"))
	if err != nil {
		return 0, sum, err
	}
	if err := f.Chmod(b.mode()); err != nil {
		return 0, sum, err
	}
	place, n, err := b.temp() // a name that is nobody else's
	if err != nil {
		return 0, sum, err
	}
	place.Close()
	return n, sum, os.Rename(path, place.Name())
}

// Partial opens the folder for an object of the batch's cache.
func (b *Batch) Partial(oid dvc.OID) (*PartialObject, error) { return b.c.Partial(oid) }
