// Package terminal is where all that the programs print goes through: no verb can
// forget to make harmless what others wrote.
package terminal

import (
	"io"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// Writer prints to w what harmless.Filter leaves. It may be used by several goroutines.
type Writer struct {
	mu     sync.Mutex
	w      io.Writer
	filter harmless.Filter
	buf    []byte
}

// New is a Writer to w.
func New(w io.Writer) *Writer { return &Writer{w: w} }

// Write prints p.
func (t *Writer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = t.filter.Append(t.buf[:0], p)
	if err := t.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Steer prints a sequence of the program's own as it is. What follows is taken for the
// beginning of a line.
func (t *Writer) Steer(sequence string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.filter.End(t.buf[:0]), sequence...)
	t.filter.Break()
	return t.flush()
}

// End prints what was held back because it could have been the beginning of something.
func (t *Writer) End() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = t.filter.End(t.buf[:0])
	return t.flush()
}

// flush hands on what is in buf; an empty piece is none.
func (t *Writer) flush() error {
	if len(t.buf) == 0 {
		return nil
	}
	_, err := t.w.Write(t.buf)
	if cap(t.buf) > 64<<10 {
		t.buf = nil
	}
	return err
}

// JSON is a writer of whole JSON values to w, such as lines of a log, with all escaped
// that a terminal would not show.
func JSON(w io.Writer) io.Writer { return values{w} }

type values struct{ w io.Writer }

func (v values) Write(p []byte) (int, error) {
	if _, err := v.w.Write(harmless.JSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
