// Files of the work tree and their objects: linked as the configuration says, so
// that large data need not lie on the disk twice.
package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/adapter/content"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Link puts an object at path, by the first kind of link that works there, in place
// of what was at path. Exec makes it executable, which a hard or symbolic link cannot be.
func (c *Cache) Link(oid dvc.OID, path string, exec bool) error {
	from := c.find(oid)
	if from == "" {
		return fault.Hint(fault.New(fault.Missing, "%s is not in the cache", oid), "fetch it: vishwa data fetch")
	}
	tmp := path + ".vishwa-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(c.pending.Add(1), 36)
	var last error
	for _, kind := range c.types {
		if exec && (kind == "hardlink" || kind == "symlink") {
			kind = "copy" // the object is shared, and so is its mode
		}
		if kind == "reflink" && c.noClone.Load() {
			continue
		}
		last = link(kind, from, tmp, exec)
		if kind == "reflink" && (errors.Is(last, unix.EOPNOTSUPP) || errors.Is(last, unix.EXDEV) || errors.Is(last, unix.EINVAL)) {
			c.noClone.Store(true) // this file system has none: it is not asked again
		}
		if last == nil {
			if err := os.Rename(tmp, path); err != nil {
				_ = os.Remove(tmp)
				return content.Disk(fmt.Errorf("place %s: %w", path, err), filepath.Dir(path))
			}
			return nil
		}
		_ = os.Remove(tmp)
		if errors.Is(last, unix.ENOSPC) {
			break
		}
	}
	return content.Disk(fmt.Errorf("link %s: %w", path, last), filepath.Dir(path))
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
	if kind == "reflink" {
		err = unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
	} else {
		_, err = io.Copy(dst, src)
	}
	if close := dst.Close(); err == nil {
		err = close
	}
	return err
}
