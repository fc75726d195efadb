// The log of a worker that left no result: out of memory, stopped, or on a machine that is gone.
// The pieces that it wrote while it ran are joined.

package dispatch

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// What is joined of a log. Whoever has the worker's loan may have written the pieces.
const (
	MostPiece   = 8 << 20  // bytes of a piece that is read
	mostPieces  = 1 << 20  // a day has 86,400 of one a second
	sideLog     = 16       // pieces that are read side by side
	pastTheFull = 64 << 10 // what a worker writes behind a log that is full
)

// Streamed is the log whose pieces lie below prefix, as far as a log of most bytes may be long;
// nil where there is none. A line at its end says what is not there.
func Streamed(ctx context.Context, shelf port.Bucket, prefix string, most int64) (io.ReadCloser, error) {
	s := streamed{shelf: shelf, prefix: prefix}
	if err := s.list(ctx, most); err != nil || len(s.pieces) == 0 {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	fault.Go(func() { pw.CloseWithError(s.write(ctx, pw, s.ahead(ctx))) }, func(err error) { pw.CloseWithError(err) })
	return closing{pr, stop}, nil
}

// streamed is what there is of a log: pieces that follow each other from its beginning, and why
// there are no more of them, where something lies behind them.
type streamed struct {
	shelf  port.Bucket
	prefix string
	pieces []piece
	cut    string
}

// piece is size bytes of a log from at.
type piece struct{ at, size int64 }

// list takes as much as a log may be long. What no worker writes counts for nothing, nor does
// what overlaps: a worker that was begun again began its log anew.
func (s *streamed) list(ctx context.Context, most int64) error {
	next := int64(0)
	for o, err := range s.shelf.List(ctx, s.prefix+LogPrefix) {
		if err != nil {
			return fmt.Errorf("list the pieces of the log: %w", err)
		}
		var at int64
		name := strings.TrimPrefix(o.Key, s.prefix)
		if _, err := fmt.Sscanf(name, LogPrefix+"%d", &at); err != nil || name != LogName(at) || at < next || o.Size <= 0 {
			continue
		}
		switch {
		case at > next:
			s.cut = fmt.Sprintf("there is no piece of the log at byte %d: what follows is not kept", next)
		case o.Size > MostPiece:
			s.cut = fmt.Sprintf("the piece of the log at byte %d is larger than %d MiB: it and what follows are not kept", at, MostPiece>>20)
		case len(s.pieces) == mostPieces || next+o.Size > most+pastTheFull:
			s.cut = fmt.Sprintf("the log is full at %d bytes: what follows is not kept", next)
		}
		if s.cut != "" {
			return nil
		}
		s.pieces, next = append(s.pieces, piece{at, o.Size}), next+o.Size
	}
	return nil
}

// read is a piece that is being read.
type read struct {
	raw []byte
	err error
}

// ahead reads pieces in their order, several at once.
func (s *streamed) ahead(ctx context.Context) <-chan chan read {
	out := make(chan chan read, sideLog)
	fault.Go(func() {
		defer close(out)
		for _, p := range s.pieces {
			one := make(chan read, 1)
			select {
			case out <- one:
			case <-ctx.Done():
				return
			}
			fault.Go(func() {
				raw, err := s.piece(ctx, p)
				one <- read{raw, err}
			}, func(err error) { one <- read{err: err} })
		}
	}, func(error) {}) // that it is not whole is seen by who writes it
	return out
}

// piece reads at most a byte more than it was listed with.
func (s *streamed) piece(ctx context.Context, p piece) ([]byte, error) {
	body, _, err := s.shelf.Get(ctx, s.prefix+LogName(p.at), port.All)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, p.size+1))
}

// write writes what was read; pieces that are not as they were listed end it.
func (s *streamed) write(ctx context.Context, w io.Writer, ahead <-chan chan read) error {
	for _, p := range s.pieces {
		one, more := <-ahead
		if !more {
			return fault.New(fault.Cancelled, "read log: %w", context.Cause(ctx))
		}
		got := <-one
		if kind := fault.Of(got.err); got.err != nil && kind != fault.Missing && kind != fault.Invalid && kind != fault.Corrupt {
			return got.err
		}
		if int64(len(got.raw)) != p.size {
			s.cut = fmt.Sprintf("the piece of the log at byte %d was changed while it was read: it and what follows are not kept", p.at)
			break
		}
		if _, err := w.Write(got.raw); err != nil {
			return err
		}
	}
	if s.cut == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nvishwa: %s\n", s.cut)
	return err
}

// closing ends what reads ahead.
type closing struct {
	*io.PipeReader
	stop context.CancelFunc
}

func (c closing) Close() error {
	c.stop()
	return c.PipeReader.Close()
}
