// Package wandb shows what a ledger records as runs of Weights & Biases that are offline: each run is a folder as wandb itself
// leaves one, and "wandb sync" takes it to a server at a time of its user's choosing, with the user's own credential. A run is
// written whole or not at all, under a name made of its key: who writes it twice, or at the same time, comes to one.
package wandb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	wandblog "github.com/vishwaops/vishwa/reconciler/format/wandb"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	wandbUnfinished = ".vishwa-" // before the name of a folder that is being written
	wandbShown      = "vishwa-shown"
)

type wandb struct {
	spec schemas.WandBTracker
	dir  string
	now  func() time.Time
	// changes is asked before each change that others see, by tests.
	changes func() error
}

// New is runs of W&B that are offline, in the folder wandb below dir.
func New(spec schemas.WandBTracker, dir string, now func() time.Time) port.Tracker {
	return &wandb{spec: spec, dir: filepath.Join(dir, "wandb"), now: now, changes: func() error { return nil }}
}

// Record implements port.Tracker. It shows runs; W&B's registry of models is not written to.
func (w *wandb) Record(ctx context.Context, p port.Projection, dry bool) (out port.Recorded, err error) {
	if len(p.Runs) == 0 {
		return out, nil
	}
	there, err := w.names()
	if err != nil {
		return out, err
	}
	shown, err := w.shown()
	if err != nil {
		return out, err
	}
	var gone []string
	var failed []error
	for _, r := range p.Runs {
		if ctx.Err() != nil {
			return out, fault.New(fault.Cancelled, "write runs of W&B: %w", ctx.Err())
		}
		id := wandbID(p.Ledger, r.Key)
		switch {
		case there[wandbFolder(r, id)]:
			if !shown[id] && !dry { // it was cut off in between
				if err := w.note(id); err != nil {
					return out, err
				}
			}
			continue
		case shown[id] && !p.Heal:
			gone = append(gone, fmt.Sprint(r.Entry))
			continue
		case shown[id]:
			out.Drift = bounded.Few(append(out.Drift, fmt.Sprintf("run %s of entry %d was deleted", r.Name, r.Entry)))
		}
		if !dry {
			if err := w.write(ctx, p.Ledger, r, id); err != nil {
				if failed = append(failed, fmt.Errorf("record run %s of entry %d: %w", r.Name, r.Entry, err)); bounded.Stops(failed) {
					return out, errors.Join(failed...)
				}
				continue
			}
		}
		out.Runs++
		out.Writes++
	}
	if len(gone) > 0 {
		out.Drift = append(out.Drift, bounded.Shortened(fmt.Sprintf("%s deleted from %s, as wandb sync --clean does too: entry %s", plural.Of(len(gone), "run"), w.dir, strings.Join(gone, ", ")), bounded.MostWords))
	}
	return out, errors.Join(failed...)
}

// names are the folders of runs that are there.
func (w *wandb) names() (map[string]bool, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, w.failed("read", err)
	}
	out := map[string]bool{}
	for _, e := range entries {
		out[e.Name()] = true
	}
	return out, nil
}

// shown are the runs that were written at some time: one that is not there any more was taken away.
func (w *wandb) shown() (map[string]bool, error) {
	raw, err := os.ReadFile(filepath.Join(w.dir, wandbShown))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, w.failed("read", err)
	}
	out := map[string]bool{}
	for id := range strings.Lines(string(raw)) { // a line that was cut off is none of them, and is noted again
		out[strings.TrimSuffix(id, "\n")] = true
	}
	return out, nil
}

func (w *wandb) note(id string) error {
	err := w.changes()
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(filepath.Join(w.dir, wandbShown), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return w.failed("write", err)
	}
	_, err = f.WriteString(id + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return w.failed("write", err)
	}
	return nil
}

// write writes a run beside its place and moves it there. Where somebody else was first, theirs is the same.
func (w *wandb) write(ctx context.Context, ledger string, r port.TrackerRun, id string) error {
	var more port.TrackerLog
	if r.Logged != nil {
		var err error
		if more, err = r.Logged(ctx); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return w.failed("write", err)
	}
	w.sweep()
	made, err := os.MkdirTemp(w.dir, wandbUnfinished)
	if err != nil {
		return w.failed("write", err)
	}
	defer os.RemoveAll(made)
	if err := w.fill(made, ledger, r, more, id); err != nil {
		return w.failed("write", err)
	}
	if err = w.changes(); err == nil {
		err = os.Rename(made, filepath.Join(w.dir, wandbFolder(r, id)))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return w.failed("write", err)
	}
	return w.note(id)
}

// fill lays a run's folder out.
func (w *wandb) fill(made, ledger string, r port.TrackerRun, more port.TrackerLog, id string) error {
	for _, name := range []string{"files", "logs"} { // as wandb's own has them
		if err := os.Mkdir(filepath.Join(made, name), 0o700); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(made, "run-"+id+".wandb"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	buffered := bufio.NewWriterSize(f, 256<<10)
	log := wandblog.NewWriter(buffered, w.about(ledger, id, r, more.Params))
	return errors.Join(log.End(r.Finished, rows(log, r, more.Series)), buffered.Flush(), f.Sync())
}

// sweep takes away what was left unfinished.
func (w *wandb) sweep() {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return // what is written next says why
	}
	for _, e := range entries {
		at, err := e.Info()
		if strings.HasPrefix(e.Name(), wandbUnfinished) && err == nil && w.now().Sub(at.ModTime()) > bounded.Abandoned {
			_ = sandbox.Remove(filepath.Join(w.dir, e.Name()))
		}
	}
}

func (w *wandb) failed(doing string, err error) error {
	return fault.WithHint(fault.New(fault.Transient, "%s runs of W&B: %w", doing, err), "make %s a folder that this process may write to, with room left", w.dir)
}
