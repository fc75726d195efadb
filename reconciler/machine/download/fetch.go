// Package download reads many files at once, each going on where its body was cut off.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	tries    = 4 // in a row that brought next to nothing, before it is given up
	progress = 64 << 10
	pause    = 100 * time.Millisecond
	buffer   = 256 << 10 // bytes

	// Piece is how many bytes of a large file are read beside its others.
	Piece = 8 << 20
	// Stall is how long nothing may come, before a body counts as cut off.
	Stall = time.Minute
)

// Place is how the files of one place are read.
type Place struct {
	// Open reads n bytes of f from a place in it, n below zero being to the end. What
	// is not the file that was sighted is Conflict.
	Open func(ctx context.Context, f port.SourceFile, from, n int64) (io.ReadCloser, error)
	// Check says whether the file, now complete at path, is what it should be; nil is always.
	Check  func(ctx context.Context, f port.SourceFile, path string) error
	Absent fault.Kind // what it means that a file is not there
	Jobs   int        // files or pieces that are read at once
	Pieces bool       // the place gives pieces of a file side by side
}

// Fetch reads what look saw into dir, as port.Source promises.
func (g *Place) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Cancelled, "read the source: %w", err)
	}
	if len(look.Files) == 0 {
		return fault.New(fault.Internal, "there is nothing to read: the source was not looked at")
	}
	if err := CheckNames(look.Files); err != nil {
		return err
	}
	s, err := openStage(dir, look)
	if err != nil {
		return err
	}
	defer s.close()
	r := &run{Place: g, s: s, gate: make(chan struct{}, g.Jobs), told: newTold(look.Files, tell)}
	var all routine.Group
	all.SetLimit(g.Jobs)
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for i, f := range look.Files {
		if inner.Err() != nil {
			break
		}
		all.Start(func() error {
			err := fault.Guard(func() error { return r.one(inner, i, f) })
			if err != nil {
				stop(err) // the first one says why; the others only ended with it
			}
			return err
		})
	}
	_ = all.Wait()
	switch err := context.Cause(inner); {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "read the source: %w", ctx.Err())
	case err != nil:
		return err
	}
	if err := r.missing(); err != nil {
		return err
	}
	return s.publish(look.Files)
}

// run is one Fetch.
type run struct {
	*Place
	s    *stage
	gate chan struct{} // bodies that are open
	told *told

	mu   sync.Mutex
	gone []string
	way  string
}

func (r *run) missing() error {
	if len(r.gone) == 0 {
		return nil
	}
	slices.Sort(r.gone)
	err := fault.New(r.Absent, "%d of the source's files are not there: %s", len(r.gone), strings.Join(r.gone, ", "))
	return fault.WithHint(err, "%s", r.way)
}

func (r *run) one(ctx context.Context, i int, f port.SourceFile) error {
	p, err := r.s.begin(i)
	if err != nil {
		return err
	}
	if p == nil {
		r.told.add(max(f.Size, 0))
		return nil
	}
	r.told.add(p.safe)
	switch err = r.body(ctx, p, f); {
	case err == nil && r.Check != nil:
		if err = r.Check(ctx, f, p.file()); err != nil {
			p.drop()
			return err
		}
		return p.done()
	case err == nil:
		return p.done()
	case fault.Of(err) == fault.Missing:
		p.drop()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gone = append(r.gone, Quoted(f.Path))
		if r.way = fault.HintOf(err); r.way == "" {
			r.way = "run the command again: it looks at the source anew"
		}
		return nil
	}
	if cerr := p.f.Close(); cerr != nil {
		return artifact.Disk(errors.Join(err, cerr), r.s.dir)
	}
	return err
}

// body reads what is still to come of a file.
func (r *run) body(ctx context.Context, p *part, f port.SourceFile) error {
	if !r.Pieces || f.Size-p.safe <= Piece {
		to := &span{part: p, at: p.safe, end: f.Size, size: f.Size, first: true}
		err := r.stream(ctx, f, to)
		if err != nil && to.at >= worth && kept(err) {
			if kerr := p.reached(to.at); kerr != nil {
				return kerr
			}
		}
		return err
	}
	return r.abreast(ctx, p, f)
}

// kept tells whether what came before err is worth something.
func kept(err error) bool {
	k := fault.Of(err)
	return k == fault.Transient || k == fault.Cancelled || k == fault.Denied
}

// stream reads a span, and goes on where a body was cut off.
func (r *run) stream(ctx context.Context, f port.SourceFile, to *span) error {
	select {
	case r.gate <- struct{}{}:
		defer func() { <-r.gate }()
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "read %s: %w", Quoted(f.Path), ctx.Err())
	}
	for try := 1; ; try++ {
		was := to.at
		err := r.pour(ctx, f, to)
		switch {
		case err == nil:
			to.complete.Store(true)
			return nil
		case ctx.Err() != nil:
			return fault.New(fault.Cancelled, "read %s: %w", Quoted(f.Path), ctx.Err())
		case fault.Of(err) != fault.Transient:
			return err
		case to.at-was >= progress:
			try = 1
		case try == tries:
			return err
		}
		select {
		case <-time.After(pause << (try - 1)):
		case <-ctx.Done():
		}
	}
}

// pour reads one body into its span.
func (r *run) pour(ctx context.Context, f port.SourceFile, to *span) error {
	if to.end >= 0 && to.at >= to.end && to.end > 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(Stall, cancel)
	defer quiet.Stop()
	n := int64(-1)
	if to.end >= 0 && to.end < to.size {
		n = to.end - to.at
	}
	body, err := r.Open(ctx, f, to.at, n)
	if err != nil {
		return Stalled(ctx, quiet, f, err)
	}
	defer body.Close()
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		n, err := body.Read(*b)
		quiet.Reset(Stall)
		if n > 0 {
			if werr := to.write((*b)[:n], f); werr != nil {
				return werr
			}
			r.told.add(int64(n))
		}
		switch {
		case err == io.EOF && to.end >= 0 && to.at < to.end:
			return fault.New(fault.Transient, "read %s: the body ended after %d of %d bytes", Quoted(f.Path), to.at, to.end)
		case err == io.EOF:
			return nil
		case err != nil:
			return Stalled(ctx, quiet, f, err)
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, buffer); return &b }}

// stalled tells a body that stood still from one that was ended by the caller.
func Stalled(ctx context.Context, quiet *time.Timer, f port.SourceFile, err error) error {
	if ctx.Err() != nil && !quiet.Stop() {
		return fault.New(fault.Transient, "read %s: nothing came for %v", Quoted(f.Path), Stall)
	}
	return fmt.Errorf("read %s: %w", Quoted(f.Path), err)
}
