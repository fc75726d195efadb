// JSON lines: one object a line; objects within are flattened with dots.

package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/schemas"
)

type lines struct {
	in      *bufio.Scanner
	decoded bool // bytes went through a decoder, which marks what it cannot read with U+FFFD
	name    string
	nulls   []string
	columns []string
	at      map[string]place
	row     Row
}

// place is where a column stands, and how it is written: with how many of its name's dots
// between objects, and which.
type place struct {
	column int
	levels string
}

func newLines(in io.Reader, decodes bool, f schemas.Format, name string) *lines {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, block), LongestRow)
	return &lines{in: s, decoded: decodes, name: name, nulls: f.Nulls, at: map[string]place{}}
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
		if err := l.line(b); err != nil {
			return nil, invalid(l.name, l.row.Number, l.row.Line, "is not a JSON object: %v", err)
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

func (l *lines) line(b []byte) error {
	b = bytes.TrimSpace(b)
	if !json.Valid(b) || b[0] != '{' {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(b, &o); err != nil {
			return err
		}
		return errors.New("it is null")
	}
	return l.object("", "", b, 0)
}

func (l *lines) object(prefix, levels string, b []byte, depth int) error {
	if depth > deepest {
		return fmt.Errorf("objects lie more than %d deep in each other", deepest)
	}
	of, err := members(b)
	if err != nil {
		return err
	}
	slices.SortFunc(of, func(a, b member) int { return strings.Compare(a.key, b.key) })
	for i, m := range of {
		if i > 0 && of[i-1].key == m.key {
			return fmt.Errorf("an object has the key %q twice", cut(m.key))
		}
		if m.value[0] == '{' {
			inner := prefix + m.key + "."
			if err := l.object(inner, levels+strconv.Itoa(len(inner))+".", m.value, depth+1); err != nil {
				return err
			}
			continue
		}
		if err := l.set(prefix+m.key, levels, m.value); err != nil {
			return err
		}
	}
	return nil
}

// set puts a value that is no object into its cell.
func (l *lines) set(name, levels string, v []byte) error {
	i, err := l.column(name, levels)
	if err != nil {
		return err
	}
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
	return nil
}

// column finds or makes the column of a name. A key with a dot and an object's key are two,
// which one name would merge.
func (l *lines) column(name, levels string) (int, error) {
	p, ok := l.at[name]
	if !ok {
		p = place{len(l.columns), levels}
		l.at[name] = p
		l.columns = append(l.columns, name)
		l.row.Cells, l.row.Text = append(l.row.Cells, nil), append(l.row.Text, false)
	}
	if p.levels != levels {
		return 0, fmt.Errorf("%q is once a key with a dot and once a key within an object: rename one", cut(name))
	}
	return p.column, nil
}

type member struct {
	key   string
	value []byte
}

// members are those of an object that is sound JSON. Values are parts of b: copies of what
// lies in each other would take the memory of all levels.
func members(b []byte) (of []member, err error) {
	var m member
	from := 1 // where the key or value begins
	for i, depth := 0, 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case c == ':' && depth == 1:
			if err := json.Unmarshal(b[from:i], &m.key); err != nil {
				return nil, err
			}
			from = i + 1
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']' || c == ',':
			if c != ',' {
				depth--
			}
			if depth > 1 || depth == 1 && c != ',' {
				continue
			}
			m.value = bytes.TrimSpace(b[from:i])
			if from = i + 1; len(m.value) == 0 {
				return nil, nil // it is empty
			}
			if of = append(of, m); len(of) > mostColumns {
				return nil, fmt.Errorf("it has more than %d keys", mostColumns)
			}
		}
	}
	return of, nil
}
