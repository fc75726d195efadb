// Locks between processes: flock on a file, which the kernel lets go of when its
// holder dies, however it dies.

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Lock waits until this process alone holds the lock file at path, making it and
// its folder where they are not there. Closing the file lets go of it; a child
// that inherits the file keeps holding it. The file itself stays: removing it
// would let two processes hold two locks of one name.
func Lock(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make lock folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return LockFile(ctx, f)
}

// Unlock lets go of a lock that no child is to keep. It is free then, also where a process that begins in this moment
// has a copy of every file of this one.
func Unlock(f *os.File) {
	_ = flock(f, unix.LOCK_UN)
	f.Close()
}

// LockFile waits until this process alone holds the lock of f, which it has open. Where it cannot, it closes f.
func LockFile(ctx context.Context, f *os.File) (*os.File, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", filepath.Base(f.Name()), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fault.New(fault.Cancelled, "wait for lock %s: %w", filepath.Base(f.Name()), ctx.Err())
		case <-time.After(wait):
		}
	}
}

// Held tells whether any process holds the lock file at path. A file that is not
// there is not held.
func Held(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open lock: %w", err)
	}
	defer f.Close()
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at lock %s: %w", filepath.Base(path), err)
	}
	return false, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Hold takes the lock of a file that this process has open, without waiting; a
// lock that another process holds is a Conflict.
func Hold(f *os.File) error {
	err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fault.New(fault.Conflict, "lock %s: another process holds it", filepath.Base(f.Name()))
	}
	return err
}
