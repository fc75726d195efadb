// Refs: one changes by a rename, so that a process killed at any moment leaves the old
// value or the new one.

package gitstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// Refs reads and moves the refs of a place.
type Refs struct {
	Place Place
	Store *Store
	Now   func() time.Time
}

// At is what name points to; the zero hash where it is not there.
func (r Refs) At(name plumbing.ReferenceName) (plumbing.Hash, error) {
	ref, err := r.Store.Reference(name)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, fault.WithHint(fault.New(fault.Corrupt, "read %s: %w", name, err), "look at the file of that name in the .git folder")
	}
	if ref.Type() != plumbing.HashReference {
		return plumbing.ZeroHash, fault.WithHint(fault.New(fault.Invalid, "%s points to another ref", name), "remove it: git symbolic-ref -d %s", name)
	}
	return ref.Hash(), nil
}

// staleLock is the age above which a ref's lock file was left behind: git holds
// one for milliseconds.
const staleLock = 10 * time.Second

// Move moves name from old to to, under git's own lock for the ref. A ref that
// is not at old is a Conflict.
func (r Refs) Move(ctx context.Context, name plumbing.ReferenceName, old, to plumbing.Hash) error {
	if old == to {
		return nil
	}
	file := filepath.Join(r.Place.Common, filepath.FromSlash(name.String()))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fault.WithHint(fault.New(fault.Conflict, "make room for %s: %w", name, err),
			"a branch may be in its way, such as vishwa for vishwa/ledger: rename that branch")
	}
	lock := file + ".lock"
	// The lock file appears complete, by a link: whoever finds one that was left
	// behind finds a whole value, and git sees a held lock meanwhile.
	draft, err := os.CreateTemp(r.Place.Common, "vishwa-ref-*")
	if err != nil {
		return CannotWrite(name, err)
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(to.String() + "\n")
	if err = errors.Join(err, draft.Chmod(0o644), draft.Close()); err != nil {
		return CannotWrite(name, err)
	}
	for err = os.Link(draft.Name(), lock); errors.Is(err, fs.ErrExist); err = os.Link(draft.Name(), lock) {
		if info, e := os.Stat(lock); e == nil && r.Now().Sub(info.ModTime()) > staleLock {
			_ = os.Remove(lock)
			continue
		}
		if err := httpx.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	if err != nil {
		return CannotWrite(name, err)
	}
	if now, err := r.At(name); err != nil || now != old {
		_ = os.Remove(lock)
		if err != nil {
			return err
		}
		return fault.WithHint(fault.New(fault.Conflict, "%s has moved from %s to %s", name, old, now), "try again")
	}
	if err := os.Rename(lock, file); err != nil {
		_ = os.Remove(lock)
		return CannotWrite(name, err)
	}
	return nil
}

// CannotWrite is the error of something of the repository that could not be written.
func CannotWrite(name plumbing.ReferenceName, err error) error {
	return fault.WithHint(fault.New(fault.Internal, "write %s: %w", name, err), "free some space, or make the repository writable, and try again")
}
