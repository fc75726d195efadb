// The CSV scanner: RFC 4180 as encoding/csv reads it, several times faster,
// because profiles of large files wait for it.

package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

const block = 256 << 10

type dialect struct {
	delimiter, quote, comment byte
	nulls                     [][]byte
}

func dialectOf(f schemas.Format, name string) (dialect, error) {
	d := dialect{delimiter: ',', quote: '"'}
	for _, c := range []struct {
		key, text string
		to        *byte
	}{{"delimiter", f.Delimiter, &d.delimiter}, {"quote", f.Quote, &d.quote}, {"comment", f.Comment, &d.comment}} {
		if c.text == "" {
			continue
		}
		if len(c.text) > 1 || c.text[0] >= utf8.RuneSelf || c.text == "\n" || c.text == "\r" || c.text == "\x00" {
			return d, fault.WithHint(fault.New(fault.Invalid, "%s: %s %q cannot be used", name, c.key, c.text), "declare one ASCII character")
		}
		*c.to = c.text[0]
	}
	if d.delimiter == d.quote || d.delimiter == d.comment || d.quote == d.comment {
		return d, fault.WithHint(fault.New(fault.Invalid, "%s: delimiter, quote and comment are not three characters", name), "declare three different ones")
	}
	for _, n := range f.Nulls {
		d.nulls = append(d.nulls, []byte(n))
	}
	return d, nil
}

// scanner reads records. A record that does not end within the buffer is read
// again from its start when more has come in: the buffer doubles, so that the
// work stays linear.
type scanner struct {
	dialect
	in      io.Reader
	name    string
	buf     []byte
	at, end int
	eof     bool
	suspect bool // buf may hold NUL or bytes beyond ASCII
	decoded bool // bytes went through a decoder, which marks what it cannot read with U+FFFD
	stops   [256]bool
	line    int64 // lines read before buf[at]
	row     Row
	cells   [][]byte
	scratch []byte
	columns []string
}

var errMore = errors.New("the record goes on")

func newScanner(in io.Reader, d dialect, name string) *scanner {
	s := &scanner{dialect: d, in: in, name: name, buf: make([]byte, block)}
	s.stops[d.delimiter], s.stops[d.quote], s.stops['\n'], s.stops['\r'] = true, true, true, true
	return s
}

func (s *scanner) Columns() []string { return s.columns }

// header reads the first record as names, or counts its fields where there is none.
func (s *scanner) header(no bool) error {
	err := s.record()
	if errors.Is(err, io.EOF) {
		return fault.WithHint(fault.New(fault.Invalid, "%s: the file is empty", s.name), "write a header row")
	}
	if err != nil {
		return err
	}
	if len(s.cells) > mostColumns {
		return crowded(s.name, 0, s.row.Line)
	}
	seen := map[string]bool{}
	for i, c := range s.cells {
		name := string(c)
		if no {
			name = strconv.Itoa(i + 1)
		}
		if seen[name] {
			return invalid(s.name, 0, s.row.Line, "column %q is in the header twice", cut(name))
		}
		seen[name] = true
		s.columns = append(s.columns, name)
	}
	return nil
}

func (s *scanner) Next() (*Row, error) {
	if err := s.record(); err != nil {
		return nil, err
	}
	s.row.Number++
	if len(s.cells) != len(s.columns) {
		return nil, invalid(s.name, s.row.Number, s.row.Line, "%s, the header has %d", plural.Of(len(s.cells), "field"), len(s.columns))
	}
	for i, c := range s.cells {
		if len(c) == 0 {
			s.cells[i] = nil
			continue
		}
		for _, n := range s.nulls {
			if bytes.Equal(c, n) {
				s.cells[i] = nil
			}
		}
	}
	s.row.Cells = s.cells
	return &s.row, nil
}

// record reads the next record that is neither blank nor a comment into cells.
func (s *scanner) record() error {
	for {
		next, lines, err := s.parse()
		if errors.Is(err, errMore) {
			if err := s.fill(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		start := s.line + 1
		s.at, s.line = next, s.line+lines
		if len(s.cells) == 0 {
			continue
		}
		s.row.Line = start
		if s.suspect {
			return s.readable()
		}
		return nil
	}
}

// readable refuses cells whose bytes are not the declared encoding's.
func (s *scanner) readable() error {
	for i, c := range s.cells {
		switch {
		case bytes.IndexByte(c, 0) >= 0:
			return invalid(s.name, s.row.Number+1, s.row.Line, "column %s holds a NUL byte", s.column(i))
		case !utf8.Valid(c), s.decoded && bytes.Contains(c, []byte("\uFFFD")):
			return invalid(s.name, s.row.Number+1, s.row.Line, "column %s holds bytes that are not of the file's encoding", s.column(i))
		}
	}
	return nil
}

func (s *scanner) column(i int) string {
	if i < len(s.columns) {
		return strconv.Quote(cut(s.columns[i]))
	}
	return strconv.Itoa(i + 1)
}

// fill reads more behind what is there.
func (s *scanner) fill() error {
	if s.at > 0 {
		copy(s.buf, s.buf[s.at:s.end])
		s.end, s.at = s.end-s.at, 0
		s.suspect = !plain(s.buf[:s.end])
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= LongestRow {
			return invalid(s.name, s.row.Number+1, s.line+1, "is longer than %d MiB: is a quote not closed?", LongestRow>>20)
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := io.ReadFull(s.in, s.buf[s.end:])
	s.suspect = s.suspect || !plain(s.buf[s.end:s.end+n])
	s.end += n
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.eof = true
		return nil
	}
	return err
}

// plain says whether all bytes are ASCII other than NUL.
func plain(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		// Taking one from each byte sets its highest bit only where it was 0 or above 0x80.
		if x := binary.LittleEndian.Uint64(b); (x-ones|x)&highs != 0 {
			return false
		}
	}
	for _, c := range b {
		if c-1 >= utf8.RuneSelf-1 {
			return false
		}
	}
	return true
}

// parse reads the record at s.at into cells, none for a blank line or comment,
// and says where the next one starts and how many lines this one took.
func (s *scanner) parse() (next int, lines int64, err error) {
	b, i := s.buf[:s.end], s.at
	s.cells, s.scratch = s.cells[:0], s.scratch[:0]
	if i == len(b) {
		if s.eof {
			return 0, 0, io.EOF
		}
		return 0, 0, errMore
	}
	if blank, ok := s.blank(b, i); ok {
		return blank, 1, nil
	}
	if s.comment != 0 && b[i] == s.comment {
		return s.skip(b, i)
	}
	for {
		var cell []byte
		var more int64
		if i < len(b) && b[i] == s.quote {
			cell, i, more, err = s.quoted(b, i+1, lines)
		} else {
			cell, i, err = s.bare(b, i, lines)
		}
		lines += more
		if err != nil {
			return 0, 0, err
		}
		s.cells = append(s.cells, cell)
		if i == len(b) {
			if !s.eof {
				return 0, 0, errMore
			}
			return i, lines + 1, nil
		}
		i++
		if b[i-1] == '\n' {
			return i, lines + 1, nil
		}
	}
}

func (s *scanner) blank(b []byte, i int) (int, bool) {
	rest := b[i:]
	switch {
	case rest[0] == '\n':
		return i + 1, true
	case rest[0] != '\r':
		return 0, false
	case len(rest) > 1 && rest[1] == '\n':
		return i + 2, true
	}
	return i + 1, len(rest) == 1 && s.eof
}

func (s *scanner) skip(b []byte, i int) (int, int64, error) {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n + 1, 1, nil
	}
	if s.eof {
		return len(b), 1, nil
	}
	return 0, 0, errMore
}

// bare reads a field without quotes up to the delimiter or line end at i.
func (s *scanner) bare(b []byte, i int, lines int64) ([]byte, int, error) {
	from := i
	for i < len(b) && !s.stops[b[i]] {
		i++
	}
	if i < len(b) && b[i] == s.quote {
		return nil, 0, s.broken(lines, "holds a quote in a field that does not begin with one")
	}
	cell := b[from:i:i]
	if i < len(b) && b[i] == '\r' {
		switch i++; {
		case i == len(b) && s.eof, i < len(b) && b[i] == '\n':
		case i < len(b):
			return nil, 0, s.broken(lines, "holds a carriage return that ends no line: if it is to end one, write line ends as LF or CR LF; if it is part of a value, quote the value")
		}
	}
	if i == len(b) && !s.eof {
		return nil, 0, errMore
	}
	return cell, i, nil
}

// quoted reads a field whose opening quote stands before i.
func (s *scanner) quoted(b []byte, i int, before int64) (cell []byte, next int, lines int64, err error) {
	from, start, copied := i, len(s.scratch), false
	for {
		n := bytes.IndexByte(b[i:], s.quote)
		if n < 0 {
			if s.eof {
				return nil, 0, 0, s.broken(before, "opens a quote that is not closed")
			}
			return nil, 0, 0, errMore
		}
		i += n + 1
		if i == len(b) && !s.eof {
			return nil, 0, 0, errMore
		}
		if i < len(b) && b[i] == s.quote {
			s.scratch, copied = append(s.scratch, b[from:i]...), true
			i++
			from = i
			continue
		}
		break
	}
	cell = b[from : i-1]
	if copied {
		s.scratch = append(s.scratch, cell...)
		cell = s.scratch[start:len(s.scratch):len(s.scratch)]
	}
	if lines = int64(bytes.Count(cell, []byte{'\n'})); lines > 0 && bytes.Contains(cell, []byte("\r\n")) {
		cell = bytes.ReplaceAll(cell, []byte("\r\n"), []byte("\n"))
	}
	switch {
	case i == len(b), b[i] == s.delimiter, b[i] == '\n':
		return cell, i, lines, nil
	case b[i] == '\r' && i+1 == len(b) && !s.eof:
		return nil, 0, 0, errMore
	case b[i] == '\r' && (i+1 == len(b) || b[i+1] == '\n'):
		return cell, i + 1, lines, nil
	}
	return nil, 0, 0, s.broken(before+lines, "goes on behind a closing quote")
}

func (s *scanner) broken(lines int64, what string) error {
	return invalid(s.name, s.row.Number+1, s.line+lines+1, "column %s %s", s.column(len(s.cells)), what)
}
