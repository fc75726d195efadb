// What a served process has written, for people: its log and the one before it, and
// what comes after while somebody looks on.

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// lookAgain is how often a log is looked at for what is new.
const lookAgain = 100 * time.Millisecond

// Output copies to w what the processes that are served under name have written, as far
// as it is kept in dir, the host's state folder. With follow it goes on until ctx ends,
// which is no error. No link out of the folder is followed.
func Output(ctx context.Context, w io.Writer, dir, name string, follow bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(folder(dir).log(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.WithHint(fault.New(fault.Missing, "nothing was ever served as %s on this machine", name), "vishwa status lists what is served; ask on the machine that serves it")
	}
	if err != nil {
		return fault.New(fault.Denied, "open the log of %s: %w", name, err)
	}
	defer root.Close()
	l := reader{root: root, name: filepath.Base(folder(dir).log(name)), w: w}
	defer l.close()
	if err := l.copyOld(); err != nil {
		return err
	}
	for {
		if err := l.copyNew(); err != nil {
			return fault.New(fault.Of(err), "read the log of %s: %w", name, err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookAgain):
		}
	}
}

// reader reads a log that a logfile writes.
type reader struct {
	root *os.Root
	name string
	w    io.Writer
	file *os.File // the log that is read; nil: none was there yet
}

// copyOld copies the log that made way.
func (l *reader) copyOld() error {
	f, err := l.root.Open(l.name + ".1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	_, err = io.Copy(l.w, f)
	return err
}

// copyNew copies what has come since, also where the log has made way for a new one.
func (l *reader) copyNew() error {
	for {
		if l.file == nil {
			f, err := l.root.Open(l.name)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("open log: %w", err)
			}
			l.file = f
		}
		now, missing := l.root.Stat(l.name) // before the rest is read: nothing comes after it once it has made way
		if _, err := io.Copy(l.w, l.file); err != nil {
			return err
		}
		open, err := l.file.Stat()
		if err != nil || missing != nil || os.SameFile(now, open) {
			return err
		}
		l.close()
	}
}

func (l *reader) close() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
