// The lock between processes: one at a time reads or writes the ledger of a clone.

package gitledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// lock keeps other processes from the ledger of this clone. The kernel lets go
// of it when the process ends, however it ends.
func (l *Ledger) lock(ctx context.Context) (unlock func(), err error) {
	dir := filepath.Join(l.place.Common, "vishwa")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, gitstore.CannotWrite("ledger lock", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "ledger.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, gitstore.CannotWrite("ledger lock", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, gitstore.CannotWrite("ledger lock", err)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if err := httpx.Sleep(ctx, d); err != nil {
		return fault.New(fault.Cancelled, "wait for the ledger: %w", err)
	}
	return nil
}
