// Refs and the lock between processes. A ref changes by a rename, so that a
// process killed at any moment leaves the old value or the new one.

package repo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// ref is what name points to; the zero hash where it is not there.
func (l *Ledger) ref(name plumbing.ReferenceName) (plumbing.Hash, error) {
	r, err := l.objects.store.Reference(name)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, fault.WithHint(fault.New(fault.Corrupt, "read %s: %w", name, err), "look at the file of that name in the .git folder")
	}
	if r.Type() != plumbing.HashReference {
		return plumbing.ZeroHash, fault.WithHint(fault.New(fault.Invalid, "%s points to another ref", name), "remove it: git symbolic-ref -d %s", name)
	}
	return r.Hash(), nil
}

// staleLock is the age above which a ref's lock file was left behind: git holds
// one for milliseconds.
const staleLock = 10 * time.Second

// setRef moves name from old to to, under git's own lock for the ref. A ref that
// is not at old is a Conflict.
func (l *Ledger) setRef(ctx context.Context, name plumbing.ReferenceName, old, to plumbing.Hash) error {
	if old == to {
		return nil
	}
	file := filepath.Join(l.place.common, filepath.FromSlash(name.String()))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fault.WithHint(fault.New(fault.Conflict, "make room for %s: %w", name, err),
			"a branch may be in its way, such as vishwa for vishwa/ledger: rename that branch")
	}
	lock := file + ".lock"
	// The lock file appears complete, by a link: whoever finds one that was left
	// behind finds a whole value, and git sees a held lock meanwhile.
	draft, err := os.CreateTemp(l.place.common, "vishwa-ref-*")
	if err != nil {
		return cannotWrite(name, err)
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(to.String() + "\n")
	if err = errors.Join(err, draft.Chmod(0o644), draft.Close()); err != nil {
		return cannotWrite(name, err)
	}
	for err = os.Link(draft.Name(), lock); errors.Is(err, fs.ErrExist); err = os.Link(draft.Name(), lock) {
		if info, e := os.Stat(lock); e == nil && l.opts.Now().Sub(info.ModTime()) > staleLock {
			_ = os.Remove(lock)
			continue
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	if err != nil {
		return cannotWrite(name, err)
	}
	if now, err := l.ref(name); err != nil || now != old {
		_ = os.Remove(lock)
		if err != nil {
			return err
		}
		return fault.WithHint(fault.New(fault.Conflict, "%s has moved from %s to %s", name, old, now), "try again")
	}
	if err := os.Rename(lock, file); err != nil {
		_ = os.Remove(lock)
		return cannotWrite(name, err)
	}
	return nil
}

func cannotWrite(name plumbing.ReferenceName, err error) error {
	return fault.WithHint(fault.New(fault.Internal, "write %s: %w", name, err), "free some space, or make the repository writable, and try again")
}

// lock keeps other processes from the ledger of this clone. The kernel lets go
// of it when the process ends, however it ends.
func (l *Ledger) lock(ctx context.Context) (unlock func(), err error) {
	dir := filepath.Join(l.place.common, "vishwa")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, cannotWrite("ledger lock", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "ledger.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, cannotWrite("ledger lock", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, cannotWrite("ledger lock", err)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "wait for the ledger: %w", ctx.Err())
	case <-t.C:
		return nil
	}
}
