// What Linux can do with whole file systems and with copies that share their blocks.

package dvccache

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll waits until the disk has everything of the file system that f is on.
func syncAll(f *os.File) error { return unix.Syncfs(int(f.Fd())) }

// clone makes dst a copy of src that shares its blocks until one of them is written.
func clone(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }

// setTime sets both times of a file, from the folder that it is in.
func setTime(at Spot, t unix.Timespec) error {
	return at.do("set time", func(dir int) error { return unix.UtimesNanoAt(dir, at.Name, []unix.Timespec{t, t}, 0) })
}
