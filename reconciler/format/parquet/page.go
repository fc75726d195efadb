// Pages: a column of a group lies in them. One of each column is held at a time, and its
// dictionary.

package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// largestPage is the most bytes that a page may unpack to. Writers aim at one MiB, but
	// look only after a thousand values or so.
	largestPage = 512 << 20
	// longestHeader is the most bytes of a page's header, which may tell the least and most value.
	longestHeader = 16 << 20
)

// Kinds of pages.
const (
	dataPage       = 0
	indexPage      = 1
	dictionaryPage = 2
	dataPage2      = 3
)

// header is what a page says of itself.
type header struct {
	kind, unpacked, packed int64
	sum                    int64 // -1 where there is none
	values, encoding       int64
	levels                 int64 // bytes of levels before the values, in the second kind of page
	repeats                int64
	asIs                   bool // the values are not compressed
}

func readHeader(t *thrift) header {
	h := header{kind: -1, sum: -1}
	t.fields(func(id int, kind byte) {
		switch id {
		case 1:
			h.kind = t.number(kind)
		case 2:
			h.unpacked = t.number(kind)
		case 3:
			h.packed = t.number(kind)
		case 4:
			h.sum = int64(uint32(t.number(kind)))
		case 5, 7:
			t.structure(kind, func(id int, kind byte) {
				switch id {
				case 1:
					h.values = t.number(kind)
				case 2:
					h.encoding = t.number(kind)
				case 3:
					if h.kind == dataPage {
						if t.number(kind) != 3 {
							h.levels = -1
						}
						return
					}
					t.skip(kind)
				default:
					t.skip(kind)
				}
			})
		case 8:
			t.structure(kind, func(id int, kind byte) { h.second(t, id, kind) })
		default:
			t.skip(kind)
		}
	})
	return h
}

func (h *header) second(t *thrift, id int, kind byte) {
	switch id {
	case 1:
		h.values = t.number(kind)
	case 4:
		h.encoding = t.number(kind)
	case 5:
		h.levels = t.number(kind)
	case 6:
		h.repeats = t.number(kind)
	case 7:
		h.asIs = !t.truth(kind)
	default:
		t.skip(kind)
	}
}

// headerAt reads the header of the page at, and where its bytes begin.
func (f *File) headerAt(at int64) (header, int64, error) {
	for size := int64(512); ; size *= 8 {
		b := make([]byte, max(0, min(size, f.size-at)))
		if n, err := f.in.ReadAt(b, at); n < len(b) {
			return header{}, 0, fmt.Errorf("read a page: %w", err)
		}
		t := &thrift{b: b}
		h := readHeader(t)
		if errors.Is(t.err, errShort) && int64(len(b)) == size && size < longestHeader {
			continue
		}
		if errors.Is(t.err, errShort) && int64(len(b)) == size {
			return h, 0, fmt.Errorf("a page's header is longer than %d MiB", longestHeader>>20)
		}
		if t.err != nil {
			return h, 0, t.err
		}
		begin := at + int64(t.at)
		switch {
		case h.packed < 0 || h.packed > f.size-begin || h.unpacked < 0 || h.values < 0,
			h.levels < 0 || h.repeats != 0 || h.kind == dataPage2 && h.levels > min(h.packed, h.unpacked):
			return h, 0, errors.New("a page's header is not of its page")
		case h.unpacked > largestPage || h.packed > largestPage:
			return h, 0, fmt.Errorf("a page of %d MiB is larger than %d MiB", max(h.unpacked, h.packed)>>20, largestPage>>20)
		}
		return h, begin, nil
	}
}

// column reads the values of one column of a group.
type column struct {
	*Column
	chunk
	rows       *Rows
	dictionary *dictionary
	page       []byte
	left       int64 // values of the page
	rest       int64 // values behind it
	levels     *hybrid
	values     decoder
}

// next is the next value, nil for none.
func (c *column) next() ([]byte, error) {
	for c.left == 0 {
		if err := c.load(); err != nil {
			return nil, err
		}
	}
	c.left--
	if c.levels != nil {
		level, err := c.levels.next()
		if err != nil {
			return nil, err
		}
		if int(level) < c.defined {
			return nil, nil
		}
		if int(level) > c.defined {
			return nil, errRuns
		}
	}
	v, err := c.values.next()
	if v == nil {
		v = []byte{} // a value without bytes is not none
	}
	if c.Means == Decimal && len(v) > mostDigits {
		return nil, fmt.Errorf("a decimal number of %d bytes is longer than %d", len(v), mostDigits)
	}
	return v, err
}

// load reads the next page.
func (c *column) load() error {
	f := c.rows.file
	h, begin, err := f.headerAt(c.at)
	if err != nil {
		return err
	}
	c.at = begin + h.packed
	isData := h.kind == dataPage || h.kind == dataPage2
	switch {
	case isData && h.values > c.rest:
		return errors.New("its pages hold more values than there are rows")
	case h.kind == indexPage, isData && h.values == 0:
		return nil
	}
	in, err := c.rows.scratch(h.packed)
	if err != nil {
		return err
	}
	if n, err := f.in.ReadAt(in, begin); n < len(in) && err != nil {
		return errors.Join(errPage, err)
	}
	if h.sum >= 0 && int64(crc32.ChecksumIEEE(in)) != h.sum {
		return errors.New("a page differs from its checksum")
	}
	if isData {
		return c.data(h, in)
	}
	if h.kind != dictionaryPage || c.dictionary != nil || h.encoding != 0 && h.encoding != 2 || c.Type == Boolean {
		return fmt.Errorf("a page is of kind %d and encoding %d, which is not allowed there", h.kind, h.encoding)
	}
	b, err := c.unpack(nil, in, h.unpacked, c.codec)
	if err != nil {
		return err
	}
	if c.Type == ByteArray {
		if err := c.rows.hold(h.values * 4); err != nil {
			return err
		}
	}
	c.dictionary, err = newDictionary(b, c.width(), h.values)
	return err
}

// data makes ready to read the values of a page.
func (c *column) data(h header, in []byte) error {
	codec := c.codec
	if h.asIs {
		codec = none
	}
	var err error
	if c.page, err = c.unpack(c.page, in[h.levels:], h.unpacked-h.levels, codec); err != nil {
		return err
	}
	b, levels := c.page, []byte(nil)
	switch {
	case h.kind == dataPage2:
		levels = bytes.Clone(in[:h.levels])
	case c.defined > 0:
		t := texts{b}
		if levels, err = t.next(); err != nil {
			return err
		}
		b = t.b
	}
	if c.levels = nil; c.defined > 0 {
		c.levels = &hybrid{b: levels, width: levelWidth(c.defined)}
	}
	c.left, c.rest = h.values, c.rest-h.values
	if c.values, err = c.decode(h.encoding, b); err != nil && c.levels != nil {
		c.values, err = broken{err}, nil // a page of nulls alone needs no encoding
	}
	return err
}

// broken is told when a value is asked for.
type broken struct{ error }

func (b broken) next() ([]byte, error) { return nil, b.error }

// unpack makes room within what is allowed, in place of old, and fills it.
func (c *column) unpack(old, in []byte, size int64, codec uint8) ([]byte, error) {
	if size == 0 && len(in) == 0 {
		return old[:0], nil
	}
	if !plausible(codec, in, size) {
		return nil, errSize
	}
	if int64(cap(old)) < size {
		if err := c.rows.hold(size - int64(cap(old))); err != nil {
			return nil, err
		}
		old = make([]byte, size)
	}
	out := old[:size:cap(old)]
	return out, c.rows.unpack(codec, out, in)
}

// Rows reads groups of rows.
type Rows struct {
	file   *File
	groups []Group
	cols   []column
	left   int64
	most   int64 // bytes that may be held
	held   int64
	buf    []byte
	zstd   *zstd.Decoder
}

// Rows reads the groups from the one to another, and holds at most so many bytes of them.
func (f *File) Rows(from, to int, most int64) *Rows {
	return &Rows{file: f, groups: f.Groups[from:to], most: most}
}

// hold counts bytes that are held from now on.
func (r *Rows) hold(n int64) error {
	if r.held += n; r.held > r.most {
		return fmt.Errorf("its pages take more than %d MiB at once: write smaller ones", r.most>>20)
	}
	return nil
}

// scratch is room for a page as it lies in the file.
func (r *Rows) scratch(n int64) ([]byte, error) {
	if int64(cap(r.buf)) < n {
		if err := r.hold(n - int64(cap(r.buf))); err != nil {
			return nil, err
		}
		r.buf = make([]byte, n)
	}
	return r.buf[:n], nil
}

// begin makes ready for the next group; what was held of pages is used again.
func (r *Rows) begin() {
	g := r.groups[0]
	r.groups, r.left, r.held = r.groups[1:], g.Rows, int64(cap(r.buf))
	if r.cols == nil {
		r.cols = make([]column, len(r.file.Columns))
	}
	for i := range r.cols {
		page := r.cols[i].page
		r.held += int64(cap(page))
		r.cols[i] = column{Column: &r.file.Columns[i], chunk: g.chunks[i], rows: r, page: page, rest: g.Rows}
	}
}

// Next puts the next row's values into cells: bytes as the column's type has them, in
// little-endian order; nil for none. They are valid until the next row. io.EOF is the end.
func (r *Rows) Next(cells [][]byte) error {
	for r.left == 0 {
		if len(r.groups) == 0 {
			return io.EOF
		}
		r.begin()
	}
	r.left--
	for i := range r.cols {
		v, err := r.cols[i].next()
		if err != nil {
			return fmt.Errorf("column %q: %w", r.cols[i].Path, err)
		}
		cells[i] = v
	}
	return nil
}

// Weight is about how many bytes reading rows of f holds at once.
func (f *File) Weight() int64 {
	var all int64
	for _, g := range f.Groups[:min(1, len(f.Groups))] {
		for _, c := range g.chunks {
			for at, kind := c.at, int64(dictionaryPage); kind == dictionaryPage; {
				h, begin, err := f.headerAt(at)
				if err != nil {
					break
				}
				kind, at, all = h.kind, begin+h.packed, all+2*h.unpacked
			}
		}
	}
	return all
}
