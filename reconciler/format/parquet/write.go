// Writing: tables without structures, whose values may be missing. Each column of a group is
// one page of plain values under zstd, which every reader of the format knows.

package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Field is a column that is written: Boolean, Int64, Double or ByteArray.
type Field struct {
	Name   string
	Type   Type
	Text   bool // bytes that are UTF-8
	JSON   bool // bytes that are one value of JSON
	Moment bool // an Int64 that counts microseconds since 1970, in UTC
}

// Cells are a column's values in a group, those that are there, in the order of their rows.
// The slice of the field's type is used; At says in which row each stands, and is sorted.
type Cells struct {
	At     []int32
	Bools  []bool
	Ints   []int64
	Floats []float64
	Bytes  [][]byte
}

// Writer writes one file.
type Writer struct {
	w      io.Writer
	at     int64
	fields []Field
	notes  map[string]string
	pack   *zstd.Encoder
	groups put
	count  int
	rows   int64
	err    error
}

const magic = "PAR1"

// NewWriter begins a file of these columns. Notes are names and values for readers, which
// stand in its footer.
func NewWriter(w io.Writer, fields []Field, notes map[string]string) (*Writer, error) {
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("write Parquet: %w", err)
	}
	for _, f := range fields {
		if f.Type != Boolean && f.Type != Int64 && f.Type != Double && f.Type != ByteArray {
			return nil, fmt.Errorf("write Parquet: column %q is of a type that is not written", f.Name)
		}
	}
	p := &Writer{w: w, fields: fields, notes: notes, pack: pack}
	p.write([]byte(magic))
	return p, p.err
}

func (p *Writer) write(b []byte) {
	if p.err != nil {
		return
	}
	n, err := p.w.Write(b)
	p.at += int64(n)
	p.err = err
}

// Group writes rows of all columns.
func (p *Writer) Group(rows int, columns []Cells) error {
	if len(columns) != len(p.fields) || rows <= 0 {
		return fmt.Errorf("write Parquet: a group of %d rows and %d columns, the file has %d", rows, len(columns), len(p.fields))
	}
	g := &p.groups
	p.count++
	p.rows += int64(rows)
	var total int64
	g.begin()
	g.list(1, isStruct, len(columns))
	for i, c := range columns {
		at := p.at
		size, packed, err := p.page(p.fields[i], rows, c)
		if err != nil {
			return err
		}
		total += size
		g.begin()
		g.long(2, at)
		g.nest(3, func() {
			g.int(1, int64(p.fields[i].Type))
			g.list(2, isInt, 2)
			g.varint(0) // plain
			g.varint(3) // runs
			g.list(3, isText, 1)
			g.raw(p.fields[i].Name)
			g.int(4, 6) // zstd
			g.long(5, int64(rows))
			g.long(6, size)
			g.long(7, packed)
			g.long(9, at)
		})
		g.end()
	}
	g.long(2, total)
	g.long(3, int64(rows))
	g.end()
	return p.err
}

// page writes one column's values, and tells how many bytes they take with their header.
func (p *Writer) page(f Field, rows int, c Cells) (size, packed int64, err error) {
	body, err := plainPage(f, rows, c)
	if err != nil {
		return 0, 0, fmt.Errorf("write Parquet: column %q: %w", f.Name, err)
	}
	small := p.pack.EncodeAll(body, nil)
	var h put
	h.begin()
	h.int(1, 0) // a data page
	h.int(2, int64(len(body)))
	h.int(3, int64(len(small)))
	h.nest(5, func() {
		h.int(1, int64(rows))
		h.int(2, 0)
		h.int(3, 3)
		h.int(4, 3)
	})
	h.end()
	p.write(h.b)
	p.write(small)
	return int64(len(h.b) + len(body)), int64(len(h.b) + len(small)), p.err
}

// plainPage is which rows have a value, in runs, and then the values.
func plainPage(f Field, rows int, c Cells) ([]byte, error) {
	n := map[Type]int{Boolean: len(c.Bools), Int64: len(c.Ints), Double: len(c.Floats), ByteArray: len(c.Bytes)}[f.Type]
	if n != len(c.At) {
		return nil, fmt.Errorf("%d values for %d rows", n, len(c.At))
	}
	levels := []byte{0, 0, 0, 0}
	run := func(length int, there byte) {
		if length > 0 {
			levels = append(binary.AppendUvarint(levels, uint64(length)<<1), there)
		}
	}
	next, length := 0, 0
	for _, at := range c.At {
		if int(at) < next || int(at) >= rows {
			return nil, fmt.Errorf("row %d is out of place among %d", at, rows)
		}
		if missing := int(at) - next; missing > 0 {
			run(length, 1)
			run(missing, 0)
			length = 0
		}
		length++
		next = int(at) + 1
	}
	run(length, 1)
	run(rows-next, 0)
	binary.LittleEndian.PutUint32(levels, uint32(len(levels)-4))
	out := bytes.NewBuffer(levels)
	switch f.Type {
	case Boolean:
		bits := make([]byte, (n+7)/8)
		for i, v := range c.Bools {
			if v {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		out.Write(bits)
	case Int64:
		for _, v := range c.Ints {
			out.Write(binary.LittleEndian.AppendUint64(out.AvailableBuffer(), uint64(v)))
		}
	case Double:
		for _, v := range c.Floats {
			out.Write(binary.LittleEndian.AppendUint64(out.AvailableBuffer(), math.Float64bits(v)))
		}
	case ByteArray:
		for _, v := range c.Bytes {
			out.Write(binary.LittleEndian.AppendUint32(out.AvailableBuffer(), uint32(len(v))))
			out.Write(v)
		}
	}
	return out.Bytes(), nil
}

// Close writes the footer, without which there is no file.
func (p *Writer) Close() error {
	var t put
	t.begin()
	t.int(1, 1)
	t.list(2, isStruct, 1+len(p.fields))
	t.begin()
	t.text(4, "schema")
	t.int(5, int64(len(p.fields)))
	t.end()
	for _, f := range p.fields {
		f.writeElement(&t)
	}
	t.long(3, p.rows)
	t.list(4, isStruct, p.count)
	t.b = append(t.b, p.groups.b...)
	if len(p.notes) > 0 {
		t.list(5, isStruct, len(p.notes))
		for _, name := range slices.Sorted(maps.Keys(p.notes)) {
			t.begin()
			t.text(1, name)
			t.text(2, p.notes[name])
			t.end()
		}
	}
	t.text(6, "vishwa")
	t.end()
	p.write(t.b)
	p.write(binary.LittleEndian.AppendUint32(nil, uint32(len(t.b))))
	p.write([]byte(magic))
	return p.err
}

func (f Field) writeElement(t *put) {
	t.begin()
	defer t.end()
	t.int(1, int64(f.Type))
	t.int(3, 1) // optional
	t.text(4, f.Name)
	switch {
	case f.Text:
		t.int(6, 0)
		t.nest(10, func() { t.nest(1, func() {}) })
	case f.JSON:
		t.int(6, 19)
		t.nest(10, func() { t.nest(12, func() {}) })
	case f.Moment:
		t.int(6, 10)
		t.nest(10, func() {
			t.nest(8, func() {
				t.truth(1, true)
				t.nest(2, func() { t.nest(2, func() {}) })
			})
		})
	}
}
