// Parting a CSV file at row borders, so that its parts can be read at once; and
// the encodings a text file can have.

package table

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// decoded reads text of any encoding as UTF-8 without its byte order mark.
// decodes says whether a decoder stands between.
func decoded(in *io.SectionReader, name, file string) (r io.Reader, decodes bool, err error) {
	mark := make([]byte, 3)
	n, err := in.ReadAt(mark, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	mark = mark[:n]
	rest := func(skip int64) *io.SectionReader { return io.NewSectionReader(in, skip, in.Size()-skip) }
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		return rest(3), false, nil
	case bytes.HasPrefix(mark, []byte("\xff\xfe")):
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder().Reader(rest(2)), true, nil
	case bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder().Reader(rest(2)), true, nil
	case name == "", strings.EqualFold(name, "utf-8"), strings.EqualFold(name, "utf8"):
		return rest(0), false, nil
	case strings.EqualFold(name, "latin-1"), strings.EqualFold(name, "iso-8859-1"), strings.EqualFold(name, "latin1"):
		return charmap.ISO8859_1.NewDecoder().Reader(rest(0)), true, nil
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, false, fault.WithHint(fault.New(fault.Invalid, "%s: encoding %q is not known", file, name),
			"declare one by its web name, such as utf-8, utf-16le, iso-8859-1 or windows-1252")
	}
	return e.NewDecoder().Reader(rest(0)), true, nil
}

func splitCSV(r io.ReaderAt, size int64, f schemas.Format, name string, n int) ([]Reader, error) {
	d, err := dialectOf(f, name)
	if err != nil {
		return nil, err
	}
	in, decodes, err := decoded(io.NewSectionReader(r, 0, size), f.Encoding, name)
	if err != nil {
		return nil, err
	}
	first := newScanner(in, d, name)
	first.decoded = decodes
	if err := first.header(f.NoHeader); err != nil {
		return nil, err
	}
	if f.NoHeader {
		first.at, first.line = 0, 0
	}
	// Quotes in comments do not pair, and borders are not found in other encodings.
	if n < 2 || decodes || d.comment != 0 || size < int64(n)*block {
		return []Reader{first}, nil
	}
	cuts, err := borders(r, size, d.quote, n)
	if err != nil {
		return nil, err
	}
	section := in.(*io.SectionReader)
	read, err := section.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	read += size - section.Size()
	if len(cuts) == 0 || cuts[0].at < read {
		return []Reader{first}, nil
	}
	first.in = io.NewSectionReader(r, read, cuts[0].at-read)
	first.eof = false
	out := []Reader{first}
	for i, c := range cuts {
		to := size
		if i+1 < len(cuts) {
			to = cuts[i+1].at
		}
		s := newScanner(io.NewSectionReader(r, c.at, to-c.at), d, name)
		s.columns, s.line = first.columns, c.line
		out = append(out, s)
	}
	return out, nil
}

// border is where a row starts, and how many lines stand before it.
type border struct{ at, line int64 }

// borders finds up to n-1 row starts that part the file evenly. A line end is a
// row's where an even number of quotes stands before it: a quote inside a field
// that has none is refused by the scanner, so all quotes pair.
func borders(r io.ReaderAt, size int64, quote byte, n int) ([]border, error) {
	var out []border
	var at, quotes, line int64
	want := size / int64(n)
	buf := make([]byte, block)
	for at < size && len(out) < n-1 {
		m, err := r.ReadAt(buf, at)
		if m == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, err
		}
		b := buf[:m]
		for len(b) > 0 && len(out) < n-1 {
			take := b
			if at >= want {
				if i := bytes.IndexByte(b, '\n'); i >= 0 {
					take = b[:i+1]
				}
			} else if int64(len(b)) > want-at {
				take = b[:want-at]
			}
			quotes += int64(bytes.Count(take, []byte{quote}))
			line += int64(bytes.Count(take, []byte{'\n'}))
			searching := at >= want
			at += int64(len(take))
			b = b[len(take):]
			if searching && take[len(take)-1] == '\n' && quotes%2 == 0 && at < size {
				out = append(out, border{at, line})
				want = size / int64(n) * int64(len(out)+1)
			}
		}
	}
	return out, nil
}
