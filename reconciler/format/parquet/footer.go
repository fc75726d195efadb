// Package parquet reads the rows of Parquet files that have no lists, in bounded memory
// whatever the file claims: no length is believed before it is held against what is there
// and against a ceiling. It is our own because the libraries at hand decode LZ4 wrongly
// or make room for what a few bytes claim: see docs/decisions/014-parquet-by-our-own-reader.md.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The physical types.
const (
	Boolean Type = iota
	Int32
	Int64
	Int96
	Float
	Double
	ByteArray
	Fixed
)

// Type is how a value lies in the file.
type Type int

// Meaning is what a value stands for.
type Meaning int

// The meanings that change how a value is written; Plain is that of its physical type.
const (
	Plain Meaning = iota
	Decimal
	Date
	Time
	Timestamp
	Unsigned
	Nothing // all its values are missing
	UUID
	Half
	JSON // bytes that are one value of JSON
)

// Column is one that holds values; those within structures have a longer path.
type Column struct {
	Path    []string
	Type    Type
	Length  int // of a Fixed value
	Means   Meaning
	Scale   int   // places of a Decimal
	Second  int64 // parts of a second that a Time or Timestamp counts
	UTC     bool  // a Timestamp is a moment, and not what a clock showed somewhere
	Repeats bool  // it lies in a list or a map
	defined int   // levels of structures and the column itself that may be null
}

// File is what the footer says.
type File struct {
	Columns []Column
	Groups  []Group
	Notes   map[string]string // what its writer says beside the data; the first hundred
	in      io.ReaderAt
	size    int64
}

// Group is some rows of all columns.
type Group struct {
	Rows   int64
	chunks []chunk
}

// chunk is one column of a group; 16 bytes, because a file may have millions.
type chunk struct {
	at    int64
	codec uint8
}

const (
	// longestFooter is the most bytes that what a file says of itself may take.
	longestFooter = 256 << 20
	// mostElements is the most columns and structures of them.
	mostElements = 1 << 16
	// mostPlaces is the most decimal places of a number; other programs end at 76.
	mostPlaces = 1000
	// mostDigits is the most bytes of a decimal number: to write it down takes the square of them.
	mostDigits = 512
)

// Open reads the footer of r, which has size bytes.
func Open(r io.ReaderAt, size int64) (*File, error) {
	var end [8]byte
	if _, err := r.ReadAt(end[:], max(0, size-8)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	switch {
	case string(end[4:]) == "PARE":
		return nil, errors.New("it is encrypted, which is not supported")
	case string(end[4:]) != "PAR1" || length > min(longestFooter, size-12):
		return nil, fmt.Errorf("it is no whole Parquet file: its %d bytes do not end with a footer", size)
	}
	b := make([]byte, length)
	if _, err := r.ReadAt(b, size-8-length); err != nil {
		return nil, err
	}
	f := &File{in: r, size: size}
	return f, f.readFooter(&thrift{b: b})
}

func (f *File) readFooter(t *thrift) error {
	var elements []element
	t.fields(func(id int, kind byte) {
		switch id {
		case 2:
			t.list(kind, func(kind byte) {
				if len(elements) == mostElements {
					t.fail(fmt.Errorf("it has more than %d columns", mostElements))
				}
				elements = append(elements, readElement(t, kind))
			})
			if t.err == nil {
				t.fail(f.schema(elements))
			}
		case 4:
			t.list(kind, func(kind byte) { f.group(t, kind) })
		case 5:
			t.list(kind, func(kind byte) { f.note(t, kind) })
		case 8:
			t.fail(errors.New("it is encrypted, which is not supported"))
		default:
			t.skip(kind)
		}
	})
	if t.err == nil && len(elements) == 0 {
		return errBroken
	}
	return t.err
}

// mostNotes and longestNote bound what is kept of what a writer says; pandas and Arrow put
// their whole schema there.
const (
	mostNotes   = 100
	longestNote = 4 << 10
)

func (f *File) note(t *thrift, kind byte) {
	var name, value string
	t.structure(kind, func(id int, kind byte) {
		switch id {
		case 1:
			name = t.text(kind)
		case 2:
			value = t.text(kind)
		default:
			t.skip(kind)
		}
	})
	if len(f.Notes) < mostNotes && len(name) <= longestNote && len(value) <= longestNote {
		if f.Notes == nil {
			f.Notes = map[string]string{}
		}
		f.Notes[name] = value
	}
}

func (f *File) group(t *thrift, kind byte) {
	g := Group{Rows: -1, chunks: make([]chunk, 0, len(f.Columns))}
	var values int64 = -1
	t.structure(kind, func(id int, kind byte) {
		switch id {
		case 1:
			t.list(kind, func(kind byte) {
				if len(g.chunks) == len(f.Columns) {
					t.fail(errors.New("a group of rows has more columns than the file"))
					return
				}
				c, n := f.chunk(t, kind, f.Columns[len(g.chunks)])
				if repeats := f.Columns[len(g.chunks)].Repeats; !repeats && values >= 0 && n != values {
					t.fail(errors.New("the columns of a group differ in their number of rows"))
				} else if !repeats {
					values = n
				}
				g.chunks = append(g.chunks, c)
			})
		case 3:
			g.Rows = t.number(kind)
		default:
			t.skip(kind)
		}
	})
	switch {
	case t.err != nil:
	case g.Rows < 0, len(g.chunks) != len(f.Columns), values >= 0 && values != g.Rows, len(f.Columns) == 0 && g.Rows > 0:
		t.fail(errors.New("a group of rows differs from its columns"))
	default:
		f.Groups = append(f.Groups, g)
	}
}

// chunk reads where a column lies, and how many values it has.
func (f *File) chunk(t *thrift, kind byte, of Column) (c chunk, values int64) {
	var data, dictionary int64
	typ, values := int64(-1), int64(-1)
	t.structure(kind, func(id int, kind byte) {
		switch id {
		case 1:
			if t.text(kind) != "" {
				t.fail(errors.New("its columns lie in other files, which is not supported"))
			}
		case 3:
			t.structure(kind, func(id int, kind byte) {
				switch id {
				case 1:
					typ = t.number(kind)
				case 4:
					c.codec = uint8(min(t.number(kind)&0xff, 0xff))
				case 5:
					values = t.number(kind)
				case 9:
					data = t.number(kind)
				case 11:
					dictionary = t.number(kind)
				default:
					t.skip(kind)
				}
			})
		case 8:
			t.fail(errors.New("it is encrypted, which is not supported"))
		default:
			t.skip(kind)
		}
	})
	if c.at = data; dictionary > 0 && dictionary < data {
		c.at = dictionary
	}
	if t.err == nil && (Type(typ) != of.Type || values < 0 || c.at < 0 || c.at > f.size) {
		t.fail(fmt.Errorf("column %q is not where the file says", of.Path))
	}
	return c, values
}
