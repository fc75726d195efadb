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

// Linker puts objects of a cache where they are wanted. It may be used side by side.
type Linker struct {
	c   *Cache
	top *os.File // the folder that objects are named from; nil: by their paths
}

// Linker opens the cache's folder for as long as many objects are asked of it.
func (c *Cache) Linker() (*Linker, error) {
	top, err := os.Open(c.top())
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("open cache: %w", err), c.root)
	}
	return &Linker{c, top}, nil
}

// Close lets go of the folder.
func (l *Linker) Close() { l.top.Close() }

// Has tells whether the object is there.
func (l *Linker) Has(oid dvc.OID) bool { return l.object(oid).isFile() }

func (l *Linker) object(oid dvc.OID) Spot { return l.c.object(l.top, oid) }

// Link is that of a Linker, for one object.
func (c *Cache) Link(oid dvc.OID, path string, exec bool) (known FileState, err error) {
	return (&Linker{c: c}).Link(oid, Spot{Name: path}, exec)
}

// Link puts an object at a spot, by the first kind of link that works there, in place
// of what was there. Exec makes it executable, which a hard or symbolic link cannot be.
// What is copied is held against its name on the way, and comes back as known; what is
// linked is known by its MD5 alone, where the object is protected: DVC trusts it too.
func (l *Linker) Link(oid dvc.OID, to Spot, exec bool) (known FileState, err error) {
	c, from := l.c, l.object(oid)
	st, err := from.stat(0)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return known, fault.WithHint(fault.New(fault.Missing, "%s is not in the cache", oid), "fetch it: vishwa data fetch")
	}
	if err := c.protect(oid, &st); err != nil {
		return known, err
	}
	tmp := c.draft(to)
	var last error
	for _, kind := range c.types {
		if exec && (kind == "hardlink" || kind == "symlink") {
			kind = "copy" // the object is shared, and so is its mode
		}
		if kind == "reflink" && c.noClone.Load() {
			continue
		}
		if kind == "copy" {
			if known, last = l.copy(oid, st.Size, tmp, exec); fault.Of(last) == fault.Corrupt {
				return known, last
			}
		} else {
			last = l.link(kind, oid, tmp, exec)
		}
		if kind == "reflink" && none(last) {
			c.noClone.Store(true) // this file system has none: it is not asked again
		}
		if last == nil {
			if err := tmp.rename(to); err != nil {
				_ = tmp.remove()
				return known, artifact.Disk(fmt.Errorf("place %s: %w", to, err), filepath.Dir(to.String()))
			}
			if kind == "copy" {
				return landed(to, known)
			}
			return c.trusted(oid, from, to)
		}
		_ = tmp.remove()
		if errors.Is(last, unix.ENOSPC) {
			break
		}
	}
	if last == nil || none(last) { // this file system has no such links
		types := strings.Join(c.types, ",")
		return known, fault.WithHint(fault.New(fault.Invalid, "%s can be put there by none of cache.type %s: the file system cannot", to, types), "allow copies: vishwa data config cache.type %s,copy", types)
	}
	return known, artifact.Disk(fmt.Errorf("link %s: %w", to, last), filepath.Dir(to.String()))
}

// protect holds an object that somebody could have written to, through a link, against
// its name, and lets nobody write to it from then on.
func (c *Cache) protect(oid dvc.OID, st *unix.Stat_t) error {
	if c.shared || c.dos || st.Mode&0o222 == 0 {
		return nil
	}
	if _, err := c.Check(oid); err != nil {
		return err
	}
	return artifact.Disk(os.Chmod(c.Path(oid), 0o444), c.root)
}

// none tells that a file system has no links of a kind, or none from where the cache is.
func none(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL)
}

// backdate makes a file that has no name yet a little older than it is. Whoever writes to
// it once it has a name gives it a later time, however soon that is: what is known of it
// can be relied on at once.
func backdate(at Spot, s *Stamp) error {
	s.MTime -= 2 * granularity.Nanoseconds()
	return setTime(at, unix.NsecToTimespec(s.MTime))
}

// landed is k as the file stands under its name, where nobody has written to it since.
func landed(at Spot, k FileState) (FileState, error) {
	st, err := at.stat(unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return FileState{}, artifact.Disk(fmt.Errorf("look at %s: %w", at, err), filepath.Dir(at.String()))
	}
	now := StampOf(&st)
	if now.Inode != k.Inode || now.MTime != k.MTime || now.Size != k.Size {
		return FileState{}, nil
	}
	k.Stamp = now // the name is new, and the time of change with it
	return k, nil
}

// trusted is what is known of a link.
func (c *Cache) trusted(oid dvc.OID, from, at Spot) (k FileState, err error) {
	object, errObject := from.stat(0)
	st, err := at.stat(0)
	if err := errors.Join(errObject, err); err != nil {
		return FileState{}, artifact.Disk(fmt.Errorf("look at %s: %w", at, err), filepath.Dir(at.String()))
	}
	named, ok := key(oid)
	if !ok || c.dos || object.Mode&0o222 != 0 {
		return FileState{}, nil
	}
	k.Stamp = StampOf(&st)
	copy(k.Sum[:], named[:])
	return k, nil
}

// copy writes the bytes of an object of that size to a new file. Where they are not what
// they are named, nothing is kept, of the object neither.
func (l *Linker) copy(oid dvc.OID, size int64, to Spot, exec bool) (k FileState, err error) {
	if size <= InMemory {
		k, err = copySmall(l.object(oid), to, size, modeOf(exec))
	} else {
		k, err = copyLarge(l.object(oid), to, modeOf(exec))
	}
	if err == nil {
		err = backdate(to, &k.Stamp)
	}
	right := false
	if err == nil {
		right, err = l.c.named(oid, to, k)
	}
	if err != nil {
		return FileState{}, err
	}
	if !right {
		_ = to.remove()
		l.c.spoiled(oid)
		return FileState{}, fault.WithHint(fault.New(fault.Corrupt, "%s in the cache held other bytes, and was removed", oid), "fetch it again, or add the data anew")
	}
	return k, nil
}

// modeOf is a new file's in the work tree.
func modeOf(exec bool) fs.FileMode {
	if exec {
		return 0o777
	}
	return 0o666
}

// buffers are what small files are copied through.
var buffers = sync.Pool{New: func() any { b := make([]byte, InMemory+1); return &b }}

func copySmall(from, to Spot, size int64, mode fs.FileMode) (k FileState, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	src, err := from.open(unix.O_RDONLY, 0)
	if err != nil {
		return k, err
	}
	n, err := readSome(src, (*buf)[:size+1], int(size))
	unix.Close(src)
	if err != nil {
		return k, &fs.PathError{Op: "read", Path: from.String(), Err: err}
	}
	err = writeSmall(to, (*buf)[:n], mode, &k.Stamp)
	k.Sum = sumOf((*buf)[:n])
	return k, err
}

func copyLarge(from, to Spot, mode fs.FileMode) (k FileState, err error) {
	src, err := from.Open()
	if err != nil {
		return k, err
	}
	defer src.Close()
	dst, err := to.file(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return k, err
	}
	defer dst.Close()
	sum, err := copyHashed(dst, src)
	if err != nil {
		return k, err
	}
	stamp, err := stampOf(int(dst.Fd()))
	k, _ = Know(stamp, sum)
	return k, errors.Join(err, dst.Close())
}

// Copies tells whether files of the work tree are bytes of their own: what is linked
// to the cache must not be written to.
func (c *Cache) Copies() bool { return c.types[0] == "reflink" || c.types[0] == "copy" }

// link makes a link of a kind; what was cloned is a file of its own, and older than it is.
func (l *Linker) link(kind string, oid dvc.OID, to Spot, exec bool) error {
	from := l.object(oid)
	switch kind {
	case "hardlink":
		return from.link(to)
	case "symlink":
		abs, err := filepath.Abs(l.c.Path(oid))
		if err != nil {
			return err
		}
		return to.do("symlink", func(dir int) error { return unix.Symlinkat(abs, dir, to.Name) })
	}
	src, err := from.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.file(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, modeOf(exec))
	if err != nil {
		return err
	}
	defer dst.Close()
	if err := clone(dst, src); err != nil {
		return err
	}
	stamp, err := stampOf(int(dst.Fd()))
	if err := errors.Join(err, dst.Close()); err != nil {
		return err
	}
	return backdate(to, &stamp)
}
