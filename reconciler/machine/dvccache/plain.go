// Small files by Git's hundred thousand: each is opened, read, written and looked at
// with the system calls that this takes and no more, from the folder that it is in. The
// library's files ask each time whether they can be polled, and a whole path is walked
// from the root, which cost as much again.

package dvccache

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// InMemory is up to which size, in bytes, a file is read as one piece.
const InMemory = 1 << 20

// Spot is where a file is, or is to be: a name in an open folder, or a path where there is none.
type Spot struct {
	In   *os.File
	Name string
}

func (s Spot) String() string {
	if s.In == nil {
		return s.Name
	}
	return filepath.Join(s.In.Name(), s.Name)
}

func (s Spot) folder() int {
	if s.In == nil {
		return unix.AT_FDCWD
	}
	return int(s.In.Fd())
}

// do makes a system call, once more where a signal came between.
func (s Spot) do(op string, call func(dir int) error) error {
	defer runtime.KeepAlive(s.In)
	for {
		switch err := call(s.folder()); err {
		case nil:
			return nil
		case unix.EINTR:
		default:
			return &fs.PathError{Op: op, Path: s.String(), Err: err}
		}
	}
}

// stat looks at the file, and not through a link where flags say so.
func (s Spot) stat(flags int) (st unix.Stat_t, err error) {
	err = s.do("stat", func(dir int) error { return unix.Fstatat(dir, s.Name, &st, flags) })
	return st, err
}

func (s Spot) isFile() bool {
	st, err := s.stat(0)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

func (s Spot) open(flags int, mode fs.FileMode) (fd int, err error) {
	err = s.do("open", func(dir int) error {
		fd, err = unix.Openat(dir, s.Name, flags|unix.O_CLOEXEC, uint32(mode.Perm()))
		return err
	})
	return fd, err
}

// Open opens the file to be read.
func (s Spot) Open() (*os.File, error) { return s.file(unix.O_RDONLY, 0) }

// file is open for what is large.
func (s Spot) file(flags int, mode fs.FileMode) (*os.File, error) {
	fd, err := s.open(flags, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), s.String()), nil
}

// link gives the file another name, too.
func (s Spot) link(to Spot) error {
	defer runtime.KeepAlive(to.In)
	return s.do("link", func(dir int) error { return unix.Linkat(dir, s.Name, to.folder(), to.Name, 0) })
}

// rename gives the file the name of to, in place of what had it. Unlike the library's it does not look first
// whether that is a folder: the system refuses it.
func (s Spot) rename(to Spot) error {
	defer runtime.KeepAlive(to.In)
	return s.do("rename", func(dir int) error { return unix.Renameat(dir, s.Name, to.folder(), to.Name) })
}

func (s Spot) remove() error {
	return s.do("remove", func(dir int) error { return unix.Unlinkat(dir, s.Name, 0) })
}

// Look tells how the file stands, a link's where it leads.
func (s Spot) Look() (Stamp, error) {
	st, err := s.stat(0)
	return StampOf(&st), err
}

// ReadSmall reads a file of at most size bytes, at most InMemory, into buf, which has
// room for one byte more, and tells how the file stood afterwards. n is above size
// where it has grown.
func ReadSmall(at Spot, size int64, buf []byte) (n int, after Stamp, err error) {
	fd, err := at.open(unix.O_RDONLY, 0)
	if err != nil {
		return 0, after, err
	}
	defer unix.Close(fd)
	if n, err = readSome(fd, buf[:size+1], int(size)); err != nil {
		return n, after, &fs.PathError{Op: "read", Path: at.String(), Err: err}
	}
	if after, err = stampOf(fd); err != nil {
		return n, after, &fs.PathError{Op: "stat", Path: at.String(), Err: err}
	}
	return n, after, nil
}

// readSome reads until it has so many bytes as are expected: who asks does not wait to be told that there are no more.
func readSome(fd int, buf []byte, expected int) (n int, err error) {
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if n += m; m == 0 || n == expected {
			break
		}
	}
	return n, nil
}

// writeSmall writes a new file. Where stamp is not nil it hears how the file stands.
func writeSmall(at Spot, p []byte, mode fs.FileMode, stamp *Stamp) error {
	fd, err := at.open(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err = writeAll(fd, p); err == nil && stamp != nil {
		*stamp, err = stampOf(fd)
	}
	if close := unix.Close(fd); err == nil {
		err = close
	}
	if err != nil {
		_ = at.remove()
		return &fs.PathError{Op: "write", Path: at.String(), Err: err}
	}
	return nil
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
