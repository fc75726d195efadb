// Taking a large file as it lies there: by a second name of it in place of a copy of its bytes.

package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

// worthTaking is the size from which on a copy takes longer than making sure of a file.
const worthTaking = 1 << 20

// errNotTaken says that a file is to be copied.
var errNotTaken = errors.New("the file cannot be taken as it is")

// TakeFile links f into the store. It makes sure that nobody has the file open for writing, by a lease that the kernel grants only
// then (fcntl(2), F_SETLEASE), and that nobody had since, by that the lease is still there when all is hashed. A file with other names
// is not taken, as it could be opened by those.
func (d dir) TakeFile(ctx context.Context, f *os.File) (name digest.Digest, n int64, taken bool, err error) {
	if d.group != 0 { // others would find neither their group's bits nor what the folder hands down
		return "", 0, false, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 || st.Size < worthTaking {
		return "", 0, false, nil
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return "", 0, false, nil
	}
	defer func() { _, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) }()
	err = d.beside(func() (string, digest.Digest, error) {
		tmp, err := d.link(f)
		if err != nil {
			return "", "", errNotTaken
		}
		if err := own(f, st); err != nil {
			return tmp, "", errNotTaken
		}
		if name, n, err = artifact.Sum(ctx, f); err == nil {
			err = d.settle(f)
		}
		if err != nil {
			return tmp, "", err
		}
		if held, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0); err != nil || held != unix.F_RDLCK {
			return tmp, "", fault.WithHint(fault.New(fault.Conflict, "another process opened the file for writing while it was read"), "let nothing else write there, then run the command again")
		}
		return tmp, name, nil
	})
	switch {
	case errors.Is(err, errNotTaken):
		_, err = f.Seek(0, 0)
		return "", 0, false, err
	case err != nil:
		return "", 0, false, artifact.Disk(fmt.Errorf("write store: %w", err), d.path)
	}
	return name, n, true, nil
}

// link gives the very file that is open a name in tmp, whatever stands at its path by now.
func (d dir) link(f *os.File) (string, error) {
	tmp := filepath.Join(d.tmp(), "put-"+rand.Text())
	return tmp, unix.Linkat(unix.AT_FDCWD, filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd()))), unix.AT_FDCWD, tmp, unix.AT_SYMLINK_FOLLOW)
}

// own takes a file from the user that a command had for itself: what the store has is its owner's.
func own(f *os.File, st unix.Stat_t) error {
	uid, gid := os.Geteuid(), os.Getegid()
	if int(st.Uid) == uid && int(st.Gid) == gid {
		return nil
	}
	return f.Chown(uid, gid)
}
