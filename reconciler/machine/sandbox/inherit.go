// What a caller left open is not handed on: a serving host and its process outlive
// the command, and a lock or pipe of the caller's must not live on in them.

package sandbox

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// SetCloseOnExec keeps every descriptor that this process was begun with, beyond the
// three standard streams, from the processes that it begins.
func SetCloseOnExec() error {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return fault.New(fault.Internal, "list open descriptors: %w", err)
	}
	for _, d := range open {
		if fd, err := strconv.Atoi(d.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}
