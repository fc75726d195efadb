// What goes wrong with disks, classed by what happens next.

package artifact

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Disk gives an error of the file system in or below dir its kind and its way
// out. An error that already has a kind keeps it.
func Disk(err error, dir string) error {
	var known *fault.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.WithHint(fault.New(fault.Transient, "%w", err), "free some space for %s, then run the command again; nothing half-written was kept", dir)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fault.WithHint(fault.New(fault.Denied, "%w", err), "let this user read and write %s, or choose another folder", dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fault.WithHint(fault.New(fault.Invalid, "%w", err), "a file is where a folder is needed: move it away from %s", dir)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.WithHint(fault.New(fault.Transient, "%w", err), "raise the limit of open files (ulimit -n), then run the command again")
	default:
		return err
	}
}
