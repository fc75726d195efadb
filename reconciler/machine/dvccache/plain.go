// Small files by Git's hundred thousand: each is opened, read, written and looked at
// with the system calls that this takes and no more. The library's files ask each time
// whether they can be polled, which costs as much again.

package dvccache

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// InMemory is up to which size, in bytes, a file is read as one piece.
const InMemory = 1 << 20

// ReadSmall reads a file of at most size bytes, at most InMemory, into buf, which has
// room for one byte more, and tells how the file stood before and after. n is above size
// where it has grown.
func ReadSmall(path string, size int64, buf []byte) (n int, before, after Stamp, err error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return 0, before, after, err
	}
	defer unix.Close(fd)
	if before, err = stampOf(fd); err != nil {
		return 0, before, after, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	for n < int(size)+1 {
		m, err := unix.Read(fd, buf[n:size+1])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, before, after, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if m == 0 {
			break
		}
		n += m
	}
	if after, err = stampOf(fd); err != nil {
		return n, before, after, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return n, before, after, nil
}

// writeSmall writes a new file, and tells how it stands.
func writeSmall(path string, p []byte, mode fs.FileMode) (Stamp, error) {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return Stamp{}, err
	}
	var s Stamp
	if err = writeAll(fd, p); err == nil {
		s, err = stampOf(fd)
	}
	if close := unix.Close(fd); err == nil {
		err = close
	}
	if err != nil {
		_ = os.Remove(path)
		return s, &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return s, nil
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func open(path string, flags int, mode fs.FileMode) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, uint32(mode.Perm()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

func stampOf(fd int) (Stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Stamp{}, err
	}
	return StampOf(&st), nil
}

// StampOf is how a file stands.
func StampOf(st *unix.Stat_t) Stamp {
	return Stamp{Size: st.Size, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Inode: st.Ino}
}
