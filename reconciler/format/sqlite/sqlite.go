// Package sqlite reads the tables of an SQLite database file, as MLflow keeps its runs in one. It
// reads bytes of strangers and runs no SQL: whole tables are read row by row, every page at most
// once, and nothing is made larger than what is read. A database that was being written when its
// writer ended, or that is not one of rows as SQLite 3 lays them out, is refused.
//
// The format is that of https://sqlite.org/fileformat2.html.
package sqlite

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	magic      = "SQLite format 3\x00"
	headerSize = 100
	// MostRow is how many bytes a row may have.
	MostRow = 1 << 20
	// deepest is how many levels a table's tree may have.
	deepest = 24

	leaf     = 0x0d // of a table
	interior = 0x05
)

// Value is nil, int64, float64, string or []byte.
type Value any

// DB is a database file.
type DB struct {
	r      io.ReaderAt
	page   int64 // bytes of a page
	usable int64 // of those, what is used
	pages  uint32
}

func wrong(format string, args ...any) error {
	return fault.New(fault.Invalid, "the SQLite database: "+format, args...)
}

// Is tells whether a file that begins with head is a database.
func Is(head []byte) bool { return len(head) >= len(magic) && string(head[:len(magic)]) == magic }

// Open reads the header of a database of size bytes.
func Open(r io.ReaderAt, size int64) (*DB, error) {
	head := make([]byte, headerSize)
	if _, err := r.ReadAt(head, 0); err != nil || !Is(head) {
		return nil, wrong("it is none, or ends in its header")
	}
	page := int64(binary.BigEndian.Uint16(head[16:]))
	if page == 1 {
		page = 65536
	}
	d := &DB{r: r, page: page, usable: page - int64(head[20])}
	switch {
	case page < 512 || page&(page-1) != 0 || d.usable < 480:
		return nil, wrong("its pages have %d bytes, of which %d are used", page, d.usable)
	case binary.BigEndian.Uint32(head[56:]) > 1:
		return nil, wrong("its texts are not in UTF-8")
	case size < page || size/page > math.MaxUint32:
		return nil, wrong("it has %d bytes and pages of %d", size, page)
	}
	d.pages = uint32(size / page)
	return d, nil
}

// scan reads one table.
type scan struct {
	*DB
	seen  map[uint32]bool
	yield func(rowid int64, row []Value) error
}

// rows yields the rows of the table whose tree begins at root.
func (d *DB) rows(root uint32, yield func(rowid int64, row []Value) error) error {
	s := scan{DB: d, seen: map[uint32]bool{}, yield: yield}
	return s.tree(root, 0)
}

func (s scan) readPage(n uint32) ([]byte, error) {
	if n == 0 || n > s.pages {
		return nil, wrong("it names page %d of %d", n, s.pages)
	}
	if s.seen[n] {
		return nil, wrong("it names page %d twice", n)
	}
	s.seen[n] = true
	b := make([]byte, s.page)
	if _, err := s.r.ReadAt(b, int64(n-1)*s.page); err != nil {
		return nil, wrong("page %d cannot be read: %w", n, err)
	}
	return b, nil
}

func (s scan) tree(n uint32, depth int) error {
	if depth > deepest {
		return wrong("a table is more than %d levels deep", deepest)
	}
	b, err := s.readPage(n)
	if err != nil {
		return err
	}
	at := 0
	if n == 1 {
		at = headerSize
	}
	kind, cells := b[at], int(binary.BigEndian.Uint16(b[at+3:]))
	start := at + 8
	if kind == interior {
		start += 4
	}
	if kind != leaf && kind != interior {
		return wrong("page %d is none of a table with rows", n)
	}
	if int64(start+2*cells) > s.usable {
		return wrong("page %d has %d cells, for which there is no room", n, cells)
	}
	room := s.usable // cells that lie over each other would make a page many times what it has
	for i := range cells {
		off := int(binary.BigEndian.Uint16(b[start+2*i:]))
		if int64(off) >= s.usable {
			return wrong("page %d has a cell that is not in it", n)
		}
		cell := b[off:s.usable]
		if kind == leaf {
			err = s.cell(cell, &room)
		} else if len(cell) < 4 {
			err = wrong("page %d has a cell that is not in it", n)
		} else {
			err = s.tree(binary.BigEndian.Uint32(cell), depth+1)
		}
		if err != nil {
			return err
		}
	}
	if kind == interior {
		return s.tree(binary.BigEndian.Uint32(b[at+8:]), depth+1)
	}
	return nil
}

// cell reads a row, following it into the pages that it overflows to. What it takes of its page it takes of room.
func (s scan) cell(cell []byte, room *int64) error {
	size, n := varint(cell)
	if n == 0 {
		return wrong("a row ends in its length")
	}
	rowid, m := varint(cell[n:])
	if m == 0 {
		return wrong("a row ends in its number")
	}
	cell = cell[n+m:]
	if size < 0 || size > MostRow {
		return wrong("a row has %d bytes, more than %d", size, MostRow)
	}
	here := size
	if size > s.usable-35 {
		least := (s.usable-12)*32/255 - 23
		if here = least + (size-least)%(s.usable-4); here > s.usable-35 {
			here = least
		}
	}
	if here > int64(len(cell)) || here < size && here+4 > int64(len(cell)) {
		return wrong("a row leads out of its page")
	}
	if *room -= here + int64(n+m); *room < 0 {
		return wrong("rows of a page lie over each other")
	}
	payload := append(make([]byte, 0, size), cell[:here]...)
	for next := uint32(0); int64(len(payload)) < size; {
		if next == 0 {
			next = binary.BigEndian.Uint32(cell[here:])
		}
		b, err := s.readPage(next)
		if err != nil {
			return err
		}
		payload = append(payload, b[4:4+min(size-int64(len(payload)), s.usable-4)]...)
		if next = binary.BigEndian.Uint32(b); next == 0 && int64(len(payload)) < size {
			return wrong("a row ends before its length")
		}
	}
	row, err := record(payload)
	if err != nil {
		return err
	}
	return s.yield(rowid, row)
}

// record reads the values of a row.
func record(b []byte) ([]Value, error) {
	size, n := varint(b)
	if n == 0 || size < int64(n) || size > int64(len(b)) {
		return nil, wrong("the header of a row cannot be read")
	}
	head, body := b[n:size], b[size:]
	var out []Value
	for len(head) > 0 {
		kind, n := varint(head)
		if n == 0 || kind < 0 {
			return nil, wrong("the header of a row cannot be read")
		}
		head = head[n:]
		v, used, ok := value(kind, body)
		if !ok {
			return nil, wrong("a row ends before its values")
		}
		body = body[used:]
		out = append(out, v)
	}
	return out, nil
}

var widths = [...]int64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}

func value(kind int64, b []byte) (Value, int64, bool) {
	width := int64(0)
	switch {
	case kind < int64(len(widths)):
		width = widths[kind]
	case kind < 12:
		return nil, 0, false
	default:
		width = (kind - 12) / 2
	}
	if width > int64(len(b)) {
		return nil, 0, false
	}
	b = b[:width]
	switch {
	case kind == 0:
		return nil, 0, true
	case kind == 7:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), width, true
	case kind == 8, kind == 9:
		return kind - 8, 0, true
	case kind >= 12 && kind%2 == 0:
		return append([]byte{}, b...), width, true
	case kind >= 13:
		return string(b), width, true
	}
	v := int64(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return v, width, true
}

// varint reads SQLite's own: seven bits a byte, the first the highest, and all eight of a ninth.
func varint(b []byte) (v int64, n int) {
	for i, c := range b {
		if i == 8 {
			return v<<8 | int64(c), 9
		}
		if v = v<<7 | int64(c&0x7f); c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
