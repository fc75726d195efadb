// Rows are read, and columns taken for what they are.

package sample

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/table"
)

type lines struct {
	names []string
	rows  [][]string
	at    int
}

func (l *lines) Columns() []string { return l.names }

func (l *lines) Next() (*table.Row, error) {
	if l.at == len(l.rows) {
		return nil, io.EOF
	}
	row := &table.Row{Number: int64(l.at + 1)}
	for _, c := range l.rows[l.at] {
		if c == "" {
			row.Cells = append(row.Cells, nil)
		} else {
			row.Cells = append(row.Cells, []byte(c))
		}
	}
	l.at++
	return row, nil
}

func columnOf(values ...string) *lines {
	l := &lines{names: []string{"x"}}
	for _, v := range values {
		l.rows = append(l.rows, []string{v})
	}
	return l
}

func TestColumnsAreTakenForWhatTheyAre(t *testing.T) {
	many := func(f func(i int) string) (out []string) {
		for i := range 40 {
			out = append(out, f(i))
		}
		return out
	}
	letters := "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"
	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"numbers":            {[]string{"1.5", "2", "", "NaN", "inf"}, "number"},
		"few whole numbers":  {many(func(i int) string { return letters[i%3 : i%3+1][:0] + string(rune('0'+i%3)) }), "category"},
		"many whole numbers": {many(func(i int) string { return strings.Repeat("1", i%20+1) }), "number"},
		"names":              {many(func(i int) string { return letters[i%4 : i%4+1] }), "category"},
		"text":               {many(func(i int) string { return letters[:i+1] }), "text"},
		"truths":             {[]string{"true", "false"}, "category"},
		"times":              {[]string{"2026-01-01", "2026-01-02T00:00:00Z"}, "time"},
		"nothing":            {[]string{"", ""}, ""},
	} {
		var s Side
		if err := s.Read(columnOf(c.values...), nil, nil, nil); err != nil || s.Type("x") != c.want {
			t.Errorf("%s: %q, %v", name, s.Type("x"), err)
		}
	}
	var s Side
	if err := s.Read(columnOf("1", "b"), nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample("x", "number"); err == nil {
		t.Error("a name is a number")
	}
	if _, err := s.Sample("y", "number"); err == nil {
		t.Error("a column is there that is not")
	}
}

func TestRowsThatAreRefusedEndTheReading(t *testing.T) {
	no := errors.New("no")
	var s Side
	err := s.Read(columnOf("1", "2"), nil, func(cell func(string) []byte) (bool, error) {
		if string(cell("x")) == "2" || cell("y") != nil {
			return false, no
		}
		return true, nil
	}, nil)
	if !errors.Is(err, no) || s.Rows != 1 {
		t.Errorf("%v after %d rows", err, s.Rows)
	}
}

func TestOneTextMakesAColumnOfNumbersNoOther(t *testing.T) {
	read := func(log, text bool, values ...string) *Side {
		l := columnOf(values...)
		s := &Side{Log: log}
		if err := s.Read(typed{l, text}, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		return s
	}
	numbers := func(n int, more ...string) (out []string) {
		for i := range n {
			out = append(out, strings.Repeat("1", i%9+1)+".5")
		}
		return append(out, more...)
	}
	for name, c := range map[string]struct {
		side *Side
		n    int
		left int
		bad  bool
	}{
		"numbers":                           {read(false, false, numbers(40)...), 40, 0, false},
		"one text":                          {read(false, false, numbers(40, "soon")...), 40, 1, false},
		"one text of a few":                 {read(false, false, numbers(3, "soon")...), 3, 1, false},
		"many texts":                        {read(false, false, numbers(40, "a", "b", "c", "d")...), 0, 0, true},
		"texts alone":                       {read(false, false, "soon"), 0, 0, true},
		"a column that is text":             {read(false, true, numbers(40)...), 0, 0, true},
		"a column of a log that is text":    {read(true, true, numbers(40, "soon")...), 40, 1, false},
		"a log's names in a number's place": {read(true, true, "a", "b", "c"), 0, 0, true},
	} {
		got, left, err := c.side.Window("x", "number")
		if (err != nil) != c.bad || err == nil && (got.N() != c.n || left != c.left) {
			t.Errorf("%s: %v, %d left out, %v", name, got, left, err)
		}
	}
	if _, err := read(false, false, numbers(40, "soon")...).Sample("x", "number"); err == nil {
		t.Error("a reference holds texts among its numbers")
	}
}

type typed struct {
	*lines
	text bool
}

func (l typed) Next() (*table.Row, error) {
	row, err := l.lines.Next()
	if err == nil && l.text {
		row.Text = []bool{true}
	}
	return row, err
}
