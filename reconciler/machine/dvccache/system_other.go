//go:build !linux

// Other systems wait for all disks, and have copies alone.

package dvccache

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll waits until the disks have everything.
func syncAll(*os.File) error { return unix.Sync() }

// clone is not there: the caller goes on to the next way of linking.
func clone(_, _ *os.File) error { return unix.ENOTSUP }

// setTime sets both times of a file, by its path: from an open folder they cannot.
func setTime(at Spot, t unix.Timespec) error {
	path := Spot{Name: at.String()}
	return path.do("set time", func(dir int) error { return unix.UtimesNanoAt(dir, path.Name, []unix.Timespec{t, t}, 0) })
}
