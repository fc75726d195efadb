// Files of the work tree and their objects: linked as the configuration says, so
// that large data need not lie on the disk twice.

package dvccache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

// Link puts an object at path, by the first kind of link that works there, in place
// of what was at path. Exec makes it executable, which a hard or symbolic link cannot be.
// What is copied is held against its name on the way, and comes back as known; what is
// linked is known by its MD5 alone, where the object is protected: DVC trusts it too.
func (c *Cache) Link(oid dvc.OID, path string, exec bool) (known FileState, err error) {
	from := c.find(oid)
	if from == "" {
		return known, fault.WithHint(fault.New(fault.Missing, "%s is not in the cache", oid), "fetch it: vishwa data fetch")
	}
	if err := c.protect(oid, from); err != nil {
		return known, err
	}
	tmp := c.draft(path)
	var last error
	for _, kind := range c.types {
		if exec && (kind == "hardlink" || kind == "symlink") {
			kind = "copy" // the object is shared, and so is its mode
		}
		if kind == "reflink" && c.noClone.Load() {
			continue
		}
		if kind == "copy" {
			if known, last = c.copy(oid, from, tmp, exec); fault.Of(last) == fault.Corrupt {
				return known, last
			}
		} else if last = link(kind, from, tmp, exec); last == nil && kind == "reflink" {
			var st unix.Stat_t
			if last = unix.Stat(tmp, &st); last == nil {
				stamp := StampOf(&st)
				last = backdate(tmp, &stamp)
			}
		}
		if kind == "reflink" && none(last) {
			c.noClone.Store(true) // this file system has none: it is not asked again
		}
		if last == nil {
			if err := os.Rename(tmp, path); err != nil {
				_ = os.Remove(tmp)
				return known, artifact.Disk(fmt.Errorf("place %s: %w", path, err), filepath.Dir(path))
			}
			if kind == "copy" {
				return landed(path, known)
			}
			return c.trusted(oid, from, path)
		}
		_ = os.Remove(tmp)
		if errors.Is(last, unix.ENOSPC) {
			break
		}
	}
	if last == nil || none(last) { // this file system has no such links
		types := strings.Join(c.types, ",")
		return known, fault.WithHint(fault.New(fault.Invalid, "%s can be put there by none of cache.type %s: the file system cannot", path, types), "allow copies: vishwa data config cache.type %s,copy", types)
	}
	return known, artifact.Disk(fmt.Errorf("link %s: %w", path, last), filepath.Dir(path))
}

// protect holds an object that somebody could have written to, through a link, against
// its name, and lets nobody write to it from then on.
func (c *Cache) protect(oid dvc.OID, at string) error {
	var st unix.Stat_t
	if c.shared || c.dos || unix.Stat(at, &st) != nil || st.Mode&0o222 == 0 {
		return nil
	}
	if _, err := c.Check(oid); err != nil {
		return err
	}
	return artifact.Disk(os.Chmod(at, 0o444), c.root)
}

// none tells that a file system has no links of a kind, or none from where the cache is.
func none(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL)
}

// backdate makes a file that has no name yet a little older than it is. Whoever writes to
// it once it has a name gives it a later time, however soon that is: what is known of it
// can be relied on at once.
func backdate(path string, s *Stamp) error {
	s.MTime -= 2 * granularity.Nanoseconds()
	at := unix.NsecToTimespec(s.MTime)
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, 0); err != nil {
		return &fs.PathError{Op: "set time", Path: path, Err: err}
	}
	return nil
}

// landed is k as the file stands under its name, where nobody has written to it since.
func landed(path string, k FileState) (FileState, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return FileState{}, artifact.Disk(fmt.Errorf("look at %s: %w", path, err), filepath.Dir(path))
	}
	now := StampOf(&st)
	if now.Inode != k.Inode || now.MTime != k.MTime || now.Size != k.Size {
		return FileState{}, nil
	}
	k.Stamp = now // the name is new, and the time of change with it
	return k, nil
}

// trusted is what is known of a link at path.
func (c *Cache) trusted(oid dvc.OID, from, path string) (k FileState, err error) {
	var object, st unix.Stat_t
	if err := errors.Join(unix.Stat(from, &object), unix.Stat(path, &st)); err != nil {
		return FileState{}, artifact.Disk(fmt.Errorf("look at %s: %w", path, err), filepath.Dir(path))
	}
	named, ok := key(oid)
	if !ok || c.dos || object.Mode&0o222 != 0 {
		return FileState{}, nil
	}
	k.Stamp = StampOf(&st)
	copy(k.Sum[:], named[:])
	return k, nil
}

// copy writes the bytes of an object to a new file. Where they are not what they are
// named, nothing is kept, of the object neither.
func (c *Cache) copy(oid dvc.OID, from, to string, exec bool) (FileState, error) {
	mode := fs.FileMode(0o666)
	if exec {
		mode = 0o777
	}
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return FileState{}, &fs.PathError{Op: "stat", Path: from, Err: err}
	}
	var sum Sum
	var stamp Stamp
	var err error
	if st.Size <= InMemory {
		sum, stamp, err = copySmall(from, to, st.Size, mode)
	} else {
		sum, stamp, err = copyLarge(from, to, mode)
	}
	if err == nil {
		err = backdate(to, &stamp)
	}
	right := false
	if err == nil {
		right, err = c.named(oid, to, sum)
	}
	if err != nil {
		return FileState{}, err
	}
	if !right {
		_ = os.Remove(to)
		c.spoiled(oid)
		return FileState{}, fault.WithHint(fault.New(fault.Corrupt, "%s in the cache held other bytes, and was removed", oid), "fetch it again, or add the data anew")
	}
	k, _ := Know(stamp, sum)
	return k, nil
}

// buffers are what small files are copied through.
var buffers = sync.Pool{New: func() any { b := make([]byte, InMemory+1); return &b }}

func copySmall(from, to string, size int64, mode fs.FileMode) (Sum, Stamp, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	n, _, _, err := ReadSmall(from, size, *buf)
	if err != nil {
		return Sum{}, Stamp{}, err
	}
	stamp, err := writeSmall(to, (*buf)[:n], mode)
	return SumOf((*buf)[:n]), stamp, err
}

func copyLarge(from, to string, mode fs.FileMode) (Sum, Stamp, error) {
	src, err := os.Open(from)
	if err != nil {
		return Sum{}, Stamp{}, err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return Sum{}, Stamp{}, err
	}
	defer dst.Close()
	sum, err := copyHashed(dst, src)
	if err != nil {
		return Sum{}, Stamp{}, err
	}
	stamp, err := stampOf(int(dst.Fd()))
	return sum, stamp, errors.Join(err, dst.Close())
}

// Copies tells whether files of the work tree are bytes of their own: what is linked
// to the cache must not be written to.
func (c *Cache) Copies() bool { return c.types[0] == "reflink" || c.types[0] == "copy" }

func link(kind, from, to string, exec bool) error {
	mode := fs.FileMode(0o666)
	if exec {
		mode = 0o777
	}
	switch kind {
	case "hardlink":
		return os.Link(from, to)
	case "symlink":
		abs, err := filepath.Abs(from)
		if err != nil {
			return err
		}
		return os.Symlink(abs, to)
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = clone(dst, src)
	if close := dst.Close(); err == nil {
		err = close
	}
	return err
}
