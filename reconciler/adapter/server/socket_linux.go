// A Unix socket's path may have 108 bytes, a state folder any number. On Linux an
// open folder has a short path of its own, which no other user can put anything at.

package server

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// short is another path of the file at path, valid until free is called.
func short(path string) (same string, free func(), err error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("open state folder: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path)), func() { unix.Close(fd) }, nil
}
