// Fetching a range of a topic: rows go to a file that has no name yet, and how far it has come is
// noted beside it now and then, so that a fetch that was cut off goes on from there.

package source

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	topicDir  = ".topic" // of what has not come whole
	topicPart = "rows"   // the rows so far
	topicMark = "mark"   // and how far that is
	noteEvery = 64 << 20 // bytes of rows between two notes
)

// mark is how far a fetch has come.
type mark struct {
	Token   string `json:"token"`
	Span    int    `json:"span"`   // the one that is read now
	Next    int64  `json:"next"`   // its offset that comes next
	Size    int64  `json:"size"`   // of the rows so far
	Rows    int64  `json:"rows"`   // likewise
	Values  int64  `json:"values"` // bytes of the records so far
	Schemas string `json:"schemas,omitempty"`
}

// taking is one fetch.
type taking struct {
	mark
	dir    string
	f      *os.File
	out    *bufio.Writer
	rows   *rowWriter
	tell   func(done, total int64)
	before string // schemas that were used before it was cut off
	noted  int64
	told   int64
}

// Fetch writes the rows of the ranges that look names, which need not be what the topic holds now.
func (s *stream) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	if err := s.fetch(ctx, look, dir, tell); err != nil {
		return fmt.Errorf("fetch %s: %w", s, err)
	}
	return nil
}

func (s *stream) fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) (err error) {
	pin, err := parsePinned(look.Token)
	if err != nil {
		return err
	}
	rows, read, err := s.reader(ctx)
	if err != nil {
		return err
	}
	if read != pin.read {
		return fault.WithHint(fault.New(fault.Conflict, "it is read in another way than when it was looked at"), "run the command again: it looks at the source anew")
	}
	t, err := topic.Open(s.of)
	if err != nil {
		return err
	}
	defer t.Close()
	all, err := beginTaking(dir, look.Token, rows, tell)
	if err != nil {
		return err
	}
	err = all.readSpans(ctx, t, pin, s.spec.Compacted)
	if err = errors.Join(err, all.close(err)); err != nil {
		return err
	}
	s.schemas = all.schemas()
	return all.end(s.name())
}

// beginTaking goes on where a fetch of the same was cut off, or begins.
func beginTaking(dir, token string, rows *rowWriter, tell func(done, total int64)) (*taking, error) {
	if tell == nil {
		tell = func(int64, int64) {}
	}
	dir = filepath.Join(dir, topicDir)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fault.New(fault.Transient, "write the rows: %w", err)
	}
	t := &taking{dir: dir, rows: rows, tell: tell, mark: mark{Token: token, Next: -1}}
	f, err := os.OpenFile(filepath.Join(dir, topicPart), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.New(fault.Transient, "write the rows: %w", err)
	}
	var was mark
	if b, err := os.ReadFile(filepath.Join(dir, topicMark)); err == nil && json.Unmarshal(b, &was) == nil && was.Token == token {
		if st, err := f.Stat(); err == nil && st.Size() >= was.Size && was.Size >= 0 {
			t.mark, t.before = was, was.Schemas
		}
	}
	err = f.Truncate(t.Size)
	if err == nil {
		_, err = f.Seek(t.Size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fault.New(fault.Transient, "write the rows: %w", err)
	}
	t.f, t.out, t.noted = f, bufio.NewWriterSize(f, 1<<20), t.Size
	return t, nil
}

func (t *taking) readSpans(ctx context.Context, from *topic.Topic, pin pinned, compacted bool) error {
	if t.Span > len(pin.spans) {
		return fault.New(fault.Internal, "go on with the rows: there are no %d partitions", t.Span)
	}
	for ; t.Span < len(pin.spans); t.Span, t.Next = t.Span+1, -1 {
		span := pin.spans[t.Span]
		if t.Next >= span.From {
			span.From = min(t.Next, span.To)
		}
		if err := from.Read(ctx, topic.Reading{ID: pin.id, Span: span, Compacted: compacted}, func(r topic.Record) error { return t.row(ctx, r) }); err != nil {
			return err
		}
	}
	if t.Rows == 0 {
		return fault.WithHint(fault.New(fault.Missing, "none of its records is a row: all were given up, or say that something is deleted"), "wait until something is sent there")
	}
	t.tell(t.Values, t.Values)
	return nil
}

// row writes what a record comes to.
func (t *taking) row(ctx context.Context, r topic.Record) error {
	b, err := t.rows.row(ctx, r)
	if err != nil {
		return err
	}
	if len(b) > 0 {
		if _, err := t.out.Write(b); err != nil {
			return fault.New(fault.Transient, "write the rows: %w", err)
		}
		t.Size += int64(len(b))
		t.Rows++
	}
	t.Next = r.Offset + 1
	if t.Values += int64(len(r.Value)); t.Values-t.told >= 1<<20 {
		t.told = t.Values
		t.tell(t.Values, -1)
	}
	if t.Size-t.noted >= noteEvery {
		return t.note()
	}
	return nil
}

// note writes down how far the rows have come.
func (t *taking) note() error {
	if err := t.out.Flush(); err != nil {
		return fault.New(fault.Transient, "write the rows: %w", err)
	}
	t.noted, t.Schemas = t.Size, t.schemas()
	b, err := json.Marshal(t.mark)
	if err != nil {
		return fault.New(fault.Internal, "note how far the rows have come: %w", err)
	}
	at := filepath.Join(t.dir, topicMark)
	if err := os.WriteFile(at+".new", b, 0o600); err != nil {
		return fault.New(fault.Transient, "note how far the rows have come: %w", err)
	}
	if err := os.Rename(at+".new", at); err != nil {
		return fault.New(fault.Transient, "note how far the rows have come: %w", err)
	}
	return nil
}

// close ends the writing; what came of a fetch that failed is noted for the next.
func (t *taking) close(failed error) error {
	var err error
	switch fault.Of(failed) {
	case fault.Transient, fault.Cancelled:
		if failed != nil && t.Size > 0 {
			err = t.note()
		}
	}
	if err = errors.Join(err, t.out.Flush(), t.f.Close()); err != nil {
		return fault.New(fault.Transient, "write the rows: %w", err)
	}
	return nil
}

// end gives the rows their name.
func (t *taking) end(name string) error {
	err := os.Rename(filepath.Join(t.dir, topicPart), filepath.Join(filepath.Dir(t.dir), name))
	if err = errors.Join(err, os.RemoveAll(t.dir)); err != nil {
		return fault.New(fault.Transient, "write the rows: %w", err)
	}
	return nil
}
