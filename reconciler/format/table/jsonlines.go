// JSON lines: one object a line; objects within are flattened with dots.

package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/schemas"
)

type lines struct {
	in      *bufio.Scanner
	decoded bool // bytes went through a decoder, which marks what it cannot read with U+FFFD
	name    string
	nulls   []string
	columns []string
	at      map[string]int
	row     Row
}

func newLines(in io.Reader, decodes bool, f schemas.Format, name string) *lines {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, block), LongestRow)
	return &lines{in: s, decoded: decodes, name: name, nulls: f.Nulls, at: map[string]int{}}
}

func (l *lines) Columns() []string { return l.columns }

func (l *lines) Next() (*Row, error) {
	for l.in.Scan() {
		l.row.Line++
		b := l.in.Bytes()
		if len(bytes.TrimSpace(b)) == 0 {
			continue
		}
		l.row.Number++
		if !utf8.Valid(b) || l.decoded && bytes.Contains(b, []byte("\uFFFD")) {
			return nil, invalid(l.name, l.row.Number, l.row.Line, "holds bytes that are not of the file's encoding")
		}
		l.row.Cells, l.row.Text = make([][]byte, len(l.columns)), make([]bool, len(l.columns))
		if err := l.object("", b, 0); err != nil {
			return nil, invalid(l.name, l.row.Number, l.row.Line, "is no JSON object: %v", err)
		}
		if len(l.columns) > mostColumns {
			return nil, crowded(l.name, l.row.Number, l.row.Line)
		}
		return &l.row, nil
	}
	if errors.Is(l.in.Err(), bufio.ErrTooLong) {
		return nil, invalid(l.name, l.row.Number+1, l.row.Line+1, "is longer than %d MiB", LongestRow>>20)
	}
	if err := l.in.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// deepest is how many objects may lie within each other: every level is read again for
// the one below it.
const deepest = 64

func (l *lines) object(prefix string, b []byte, depth int) error {
	if depth > deepest {
		return fmt.Errorf("objects lie more than %d deep in each other", deepest)
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if o == nil {
		return errors.New("it is null")
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		v := o[key]
		if v[0] == '{' {
			if err := l.object(prefix+key+".", v, depth+1); err != nil {
				return err
			}
			continue
		}
		i := l.column(prefix + key)
		switch {
		case v[0] == '"':
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return err
			}
			// As with CSV, an empty string is no value.
			if s != "" && !slices.Contains(l.nulls, s) {
				k, _ := classify([]byte(s))
				l.row.Cells[i], l.row.Text[i] = []byte(s), k != date && k != timestamp
			}
		case !bytes.Equal(v, []byte("null")):
			l.row.Cells[i], l.row.Text[i] = v, v[0] == '['
		}
	}
	return nil
}

func (l *lines) column(name string) int {
	i, ok := l.at[name]
	if !ok {
		i = len(l.columns)
		l.at[name] = i
		l.columns = append(l.columns, name)
		l.row.Cells, l.row.Text = append(l.row.Cells, nil), append(l.row.Text, false)
	}
	return i
}
