// Package alone makes folders that one process has for itself while it works. What a process left that ended is swept by whoever comes
// next.
package alone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// Folder is a folder that nobody else uses.
//
//	<parent>/turn             held while one is made, or swept
//	<parent>/<prefix>*.lock   held while its folder is used; what nobody holds is swept
//	<parent>/<prefix>*/
type Folder struct {
	Path string
	lock *os.File
}

// Make makes a folder in parent for this process, whose name begins with prefix, and sweeps those there that nobody uses.
func Make(ctx context.Context, parent, prefix string) (*Folder, error) {
	turn, err := sandbox.Lock(ctx, filepath.Join(parent, "turn"))
	if err != nil {
		return nil, err
	}
	defer turn.Close()
	if err := sweep(parent, prefix); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(parent, prefix+"*.lock")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	// The lock comes first: a folder without one is nobody's.
	if f, err = sandbox.LockFile(ctx, f); err != nil {
		return nil, err
	}
	out := &Folder{strings.TrimSuffix(f.Name(), ".lock"), f}
	if err := os.Mkdir(out.Path, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("make a folder: %w", err), out.Close())
	}
	return out, nil
}

// Close removes the folder. Where it cannot, the next Make does.
func (f *Folder) Close() error {
	defer f.lock.Close()
	if err := sandbox.Remove(f.Path); err != nil {
		return err
	}
	return os.Remove(f.lock.Name()) // nobody but its holder uses it
}

// Sweep removes the folders that Make made in parent for processes that ended. Where there are none, it does nothing.
func Sweep(ctx context.Context, parent, prefix string) error {
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	turn, err := sandbox.Lock(ctx, filepath.Join(parent, "turn"))
	if err != nil {
		return err
	}
	defer turn.Close()
	return sweep(parent, prefix)
}

// sweep removes what nobody uses. What cannot be removed is tried again the next time.
func sweep(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("look for folders that are left: %w", err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".lock")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		dir := filepath.Join(parent, name)
		if held, err := sandbox.Held(dir + ".lock"); err != nil || held || unlocked(dir) {
			continue
		}
		endInstallers(dir)
		if sandbox.Remove(dir) == nil {
			_ = os.Remove(dir + ".lock")
		}
	}
	return nil
}

// lockless is how long a folder without a lock is left alone: an older version of this program made its folders without one.
const lockless = 24 * time.Hour

// unlocked tells whether dir has no lock, and may still be in use by such a version.
func unlocked(dir string) bool {
	if _, err := os.Lstat(dir + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	info, err := os.Lstat(dir)
	return err == nil && time.Since(info.ModTime()) < lockless
}

// endInstallers ends what still installs environments below dir: an installer may live on when the process that began it does not.
func endInstallers(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if name, is := strings.CutSuffix(e.Name(), ".lock"); is {
			_ = sandbox.Sweep(sandbox.Installing(filepath.Join(dir, name)), time.Second) // what still writes keeps the folder from being removed
		}
	}
}
