// Parts on disk: written beside and renamed, so that a reader, or a crash, finds a whole part
// or none; sent to another place where one keeps them, as long as that takes.

package predictionlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	partial    = ".partial-"
	stale      = 10 * time.Minute // by which a part that is being written is whole
	sendWithin = 2 * time.Minute  // for one part
	sendAgain  = time.Second / 4  // the first wait before a part is sent again, doubled up to sendMost
	sendMost   = time.Minute
)

// parts is the folder of a log.
type parts struct {
	o      Options
	counts *counts
	used   atomic.Int64 // bytes
	pruned time.Time
	wake   chan struct{}
	stop   context.CancelFunc
	sender routine.Set
}

func openParts(o Options, c *counts) (*parts, error) {
	p := &parts{o: o, wake: make(chan struct{}, 1), counts: c}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, artifact.Disk(fmt.Errorf("make the folder of the prediction log: %w", err), o.Dir)
	}
	left, err := filepath.Glob(filepath.Join(o.Dir, partial+"*"))
	if err != nil {
		return nil, fault.New(fault.Internal, "open the prediction log: %w", err)
	}
	for _, f := range left { // of a log that was killed; another of this folder may be writing one now
		if st, err := os.Lstat(f); err == nil && time.Since(st.ModTime()) > stale {
			_ = os.Remove(f) // what stays is no part to anybody
		}
	}
	for _, f := range p.list() {
		if st, err := os.Lstat(f); err == nil {
			p.used.Add(st.Size())
		}
	}
	p.prune(o.Now())
	if o.Place != nil {
		var ctx context.Context
		ctx, p.stop = context.WithCancel(context.Background()) // ends by close, not with whoever opened the log
		p.sender.Start(func() { p.send(ctx) })
		p.wake <- struct{}{}
	}
	return p, nil
}

func (p *parts) close() {
	if p.stop != nil {
		p.stop()
		p.sender.Wait()
		p.o.Place.Close()
	}
}

// list are the files of whole parts, the oldest first.
func (p *parts) list() []string {
	found, _ := filepath.Glob(filepath.Join(p.o.Dir, "date=*", "hour=*", "*.parquet")) // the only error is a bad pattern
	return found
}

// keep writes a part; second says that its answers are those that nobody got.
func (p *parts) keep(part *predictions.Part, second bool, dropped int64) (err error) {
	if used := p.used.Load(); used >= p.o.Room {
		return fault.WithHint(fault.New(fault.Transient, "the prediction log has %d MiB, all that it may take", used>>20), "raise spec.log.room, lower spec.log.sample, or shorten spec.log.keep")
	}
	defer func() { err = artifact.Disk(err, p.o.Dir) }()
	f, err := os.CreateTemp(p.o.Dir, partial) // 0600
	if errors.Is(err, fs.ErrNotExist) {       // somebody removed the folder
		if err = os.MkdirAll(p.o.Dir, 0o700); err == nil {
			f, err = os.CreateTemp(p.o.Dir, partial)
		}
	}
	if err != nil {
		return fmt.Errorf("write a part of the prediction log: %w", err)
	}
	defer os.Remove(f.Name()) // renamed away where all went well
	err = part.Write(f, dropped)
	if err == nil {
		err = f.Sync()
	}
	st, serr := f.Stat()
	if err = errors.Join(err, serr, f.Close()); err != nil {
		return fmt.Errorf("write a part of the prediction log: %w", err)
	}
	named := predictions.Name
	if second {
		named = predictions.SecondName
	}
	to := filepath.Join(p.o.Dir, filepath.FromSlash(named(part.First(), strings.ToLower(rand.Text()[:8]))))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("write a part of the prediction log: %w", err)
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return fmt.Errorf("write a part of the prediction log: %w", err)
	}
	p.used.Add(st.Size())
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// prune removes the parts that are too old, at most once an hour.
func (p *parts) prune(now time.Time) {
	if p.o.Place != nil || now.Sub(p.pruned).Abs() < time.Hour {
		return
	}
	p.pruned = now
	for _, f := range p.list() {
		hour, ok := predictions.Hour(filepath.ToSlash(f[len(p.o.Dir):]))
		if !ok || now.Sub(hour) <= p.o.Keep {
			continue
		}
		p.remove(f)
	}
}

// remove deletes a part, and its folders where they are empty by then.
func (p *parts) remove(f string) {
	st, err := os.Lstat(f)
	if err != nil || os.Remove(f) != nil {
		return
	}
	p.used.Add(-st.Size())
	_ = os.Remove(filepath.Dir(f))
	_ = os.Remove(filepath.Dir(filepath.Dir(f)))
}

// send puts parts into their place, the oldest first, and removes them here once they are there.
func (p *parts) send(ctx context.Context) {
	again := sendAgain
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for {
			waiting := p.list()
			p.counts.waiting.Store(int64(len(waiting)))
			if len(waiting) == 0 || ctx.Err() != nil {
				break
			}
			var lost int64
			err := fault.Guard(func() (err error) { lost, err = p.upload(ctx, waiting[0]); return err })
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				p.counts.report(p.o.Log, "predictions wait to be sent", err)
				select {
				case <-ctx.Done():
					return
				case <-time.After(again):
				}
				again = min(2*again, sendMost)
				continue
			}
			again = sendAgain
			p.counts.refuse(p.o.Log, lost)
			p.remove(waiting[0])
		}
	}
}

func (p *parts) upload(ctx context.Context, file string) (lost int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // another log of this folder has sent it
	}
	if err != nil {
		return 0, artifact.Disk(err, p.o.Dir)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, artifact.Disk(err, p.o.Dir)
	}
	key, err := filepath.Rel(p.o.Dir, file)
	if err != nil {
		return 0, fault.New(fault.Internal, "send a part of the prediction log: %w", err)
	}
	return p.o.Place.Keep(ctx, filepath.ToSlash(key), f, st.Size())
}

// refuse counts rows that the place never takes; without any, all is well.
func (c *counts) refuse(log *slog.Logger, lost int64) {
	if lost == 0 {
		c.wrong.Store(nil)
		return
	}
	c.rows.Add(-lost)
	c.lost.Add(lost)
	c.report(log, "predictions are not logged", fault.WithHint(fault.New(fault.Invalid, "%s too large for the place of the log", plural.Of(lost, "row")), "raise what a record may have there, as max.message.bytes of a topic; or log no bodies"))
}
