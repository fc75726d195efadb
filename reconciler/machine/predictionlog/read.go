// Reading a log back: the rows of a window, part after part, in constant memory; what is odd
// about them is counted and said.

package predictionlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Query says what is read. A zero field has its default.
type Query struct {
	Prefix   string    // of the parts' keys
	From, To time.Time // rows from the one and before the other; zero is without a bound
	After    string    // parts whose keys come later alone: who has read up to a part goes on behind it
	// A log that somebody else writes may call its columns otherwise; "-" says that it has none.
	Time, ID string
	Shadow   bool      // with the rows of a shadow: answers that nobody got; without it they are left out, as nothing came of them
	Now      time.Time // rows of later than a few minutes from here are not believed; zero: all are
}

const (
	ahead    = 5 * time.Minute // that another machine's clock may be
	inMemory = 32 << 20        // bytes of a part that is read at once; a larger one goes through a file
	mostIDs  = 1 << 20         // that are told apart
	mostRead = 16 << 10        // columns of all parts together: clients name them, and each row is as wide
	mostPart = 2 << 30         // bytes of a part
	mostOdd  = 20              // parts and columns that a report names
	foreign  = 24 * time.Hour  // by which rows of another program's part may be beside its name's hour, as zones are
)

// Report says what was read, and what is odd about it.
type Report struct {
	Parts      int               `json:"parts"`
	Rows       int64             `json:"rows"`
	Dropped    int64             `json:"dropped,omitempty"`    // requests that whoever wrote the log could not log
	Future     int64             `json:"future,omitempty"`     // rows of a time that is not yet; left out
	Timeless   int64             `json:"timeless,omitempty"`   // rows without a time that can be read; left out where a window is asked for
	Duplicates int64             `json:"duplicates,omitempty"` // rows whose id was met before
	Uncounted  bool              `json:"uncounted,omitempty"`  // there are more ids than are told apart: there may be more duplicates
	Unreadable []string          `json:"unreadable,omitempty"` // parts that cannot be read, and why
	Retyped    map[string]string `json:"retyped,omitempty"`    // columns whose type changed, and how
	Unread     int64             `json:"unread,omitempty"`     // columns of parts that were left out, since there are too many others
	Shadow     int64             `json:"shadow,omitempty"`     // rows of a shadow that were left out
	// Parts of the answers of a shadow that were left out without a look at their rows.
	ShadowParts int64  `json:"shadowParts,omitempty"`
	Last        string `json:"last,omitempty"` // key of the last part
}

// Reader reads the rows of a query as a table: columns of all parts by name. Not to be used
// by several at once; Close it.
type Reader struct {
	ctx     context.Context
	objects port.Objects
	q       Query
	keys    func() (port.Object, error, bool)
	stop    func()

	columns []string
	at      map[string]int
	types   map[string]string
	ids     map[uint64]struct{}
	report  Report

	part  table.Reader
	place []int // of the part's columns among all
	key   string
	file  *os.File
	buf   []byte
	row   table.Row
}

// Read begins to read. The table's rows are the parts' in the order of their keys, which is
// that of time to within a part.
func Read(ctx context.Context, objects port.Objects, q Query) *Reader {
	q.Time, q.ID = cmp.Or(q.Time, predictions.ColumnTime), cmp.Or(q.ID, predictions.ColumnID)
	r := &Reader{ctx: ctx, objects: objects, q: q, at: map[string]int{}, types: map[string]string{}, ids: map[uint64]struct{}{}}
	r.keys, r.stop = iter.Pull2(objects.List(ctx, q.Prefix)) // one at a time: a list of any length is never held
	return r
}

// Columns names the columns met so far.
func (r *Reader) Columns() []string { return r.columns }

// Report says what was read by now.
func (r *Reader) Report() Report { return r.report }

// Close ends reading.
func (r *Reader) Close() error {
	r.stop()
	r.end()
	return nil
}

func (r *Reader) end() {
	r.part = nil
	if r.file != nil {
		r.file.Close()
		os.Remove(r.file.Name())
		r.file = nil
	}
}

// Next reads the next row of the window; io.EOF is the end.
func (r *Reader) Next() (*table.Row, error) {
	for {
		if r.part == nil {
			if err := r.open(); err != nil {
				return nil, err
			}
			if r.part == nil {
				continue // it cannot be read
			}
		}
		row, err := r.part.Next()
		switch {
		case errors.Is(err, io.EOF):
			r.end()
			continue
		case err != nil:
			if stops(err) {
				return nil, err
			}
			r.unreadable(r.key, err)
			r.end()
			continue
		}
		r.gather(row)
		if r.wanted() {
			r.report.Rows++
			r.row.Number = r.report.Rows
			return &r.row, nil
		}
	}
}

// stops tells whether an error says that reading cannot go on, and not that a part is broken.
func stops(err error) bool {
	switch fault.Of(err) {
	case fault.Cancelled, fault.Transient, fault.Denied:
		return true
	}
	return false
}

func (r *Reader) unreadable(key string, err error) {
	if len(r.report.Unreadable) < mostOdd {
		r.report.Unreadable = append(r.report.Unreadable, fmt.Sprintf("%s: %v", key, err))
	}
}

// gather puts a part's row into the columns of all.
func (r *Reader) gather(row *table.Row) {
	for i := len(r.place); i < len(r.part.Columns()); i++ { // JSON lines bring columns as they go
		r.place = append(r.place, r.column(r.part.Columns()[i]))
	}
	if n := len(r.columns); len(r.row.Cells) < n {
		r.row.Cells, r.row.Text = make([][]byte, n, 2*n), make([]bool, n, 2*n)
	}
	clear(r.row.Cells)
	clear(r.row.Text)
	for i, c := range row.Cells {
		if r.place[i] < 0 {
			continue
		}
		r.row.Cells[r.place[i]] = c
		r.row.Text[r.place[i]] = row.Text != nil && row.Text[i]
	}
}

func (r *Reader) column(name string) int {
	i, known := r.at[name]
	if !known {
		if len(r.columns) >= mostRead {
			r.report.Unread++
			return -1
		}
		i = len(r.columns)
		r.at[name], r.columns = i, append(r.columns, name)
	}
	return i
}

func (r *Reader) cell(name string) []byte {
	if i, ok := r.at[name]; ok && i < len(r.row.Cells) {
		return r.row.Cells[i]
	}
	return nil
}

// Answered is false where the status of the row that was read last is an error's: there is
// nothing to have a label.
func (r *Reader) Answered() bool {
	status := r.cell(predictions.ColumnStatus)
	return status == nil || len(status) == 3 && status[0] == '2'
}

// wanted tells whether the row is of the window, and counts what is odd about it.
func (r *Reader) wanted() bool {
	if r.q.Time != "-" {
		t, ok := ParseTime(r.cell(r.q.Time))
		bounded := !r.q.From.IsZero() || !r.q.To.IsZero()
		switch {
		case !ok:
			r.report.Timeless++
			if bounded {
				return false
			}
		case !r.q.From.IsZero() && t.Before(r.q.From), !r.q.To.IsZero() && !t.Before(r.q.To):
			return false
		case !r.q.Now.IsZero() && t.After(r.q.Now.Add(ahead)):
			r.report.Future++
			return false
		}
	}
	if !r.q.Shadow && string(r.cell(predictions.ColumnArm)) == port.ArmShadow {
		r.report.Shadow++
		return false
	}
	if id := r.cell(r.q.ID); r.q.ID != "-" && id != nil {
		h := xxh3.HashString(predictions.ID(id))
		if _, twice := r.ids[h]; twice {
			r.report.Duplicates++
		} else if len(r.ids) < mostIDs {
			r.ids[h] = struct{}{}
		} else {
			r.report.Uncounted = true
		}
	}
	return true
}

// ParseTime reads a time as logs write it: RFC 3339, a date with a time, or seconds,
// milliseconds or microseconds since 1970.
func ParseTime(b []byte) (time.Time, bool) {
	s := string(b)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || x < 0 || x >= 1e17:
		return time.Time{}, false
	case x >= 1e14:
		return time.UnixMicro(int64(x)), true
	case x >= 1e11:
		return time.UnixMilli(int64(x)), true
	}
	return time.UnixMicro(int64(x * 1e6)), true
}
