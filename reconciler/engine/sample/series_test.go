// Numbers that are moved out of memory are those that came.

package sample

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/schemas"
)

// shelf is a Spool in memory, which takes so many chunks.
type shelf struct {
	all  []byte
	left int
}

func (s *shelf) Append(raw []byte) (int64, error) {
	if s.left--; s.left < 0 {
		return 0, fault.New(fault.Transient, "the disk is full")
	}
	at := int64(len(s.all))
	s.all = append(s.all, raw...)
	return at, nil
}

func (s *shelf) Read(at int64, into []byte) error {
	copy(into, s.all[at:])
	return nil
}

// counting is a table of n rows: a number that goes down, one of few, and in every seventh row none.
type counting struct {
	n, at int
	row   table.Row
}

func (c *counting) Columns() []string { return []string{"down", "few", "gaps"} }
func (c *counting) Next() (*table.Row, error) {
	if c.at == c.n {
		return nil, io.EOF
	}
	c.at++
	c.row.Cells = [][]byte{strconv.AppendInt(nil, int64(c.n-c.at), 10), strconv.AppendInt(nil, int64(c.at%3), 10), []byte("1.5")}
	if c.at%7 == 0 {
		c.row.Cells[2] = nil
	}
	return &c.row, nil
}

func TestNumbersThatAreMovedAreThoseThatCame(t *testing.T) {
	const n, most = 50_000, 40_000 // of three columns: they are moved several times, and some are left
	held, spool := &Side{}, &shelf{left: 100}
	moved := &Side{Spool: spool, most: most}
	for _, s := range []*Side{held, moved} {
		if err := s.Read(&counting{n: n}, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(spool.all) == 0 || len(moved.columns["down"].numbers.decimals) >= n {
		t.Fatal("nothing was moved")
	}
	for name, typ := range map[string]string{"down": "number", "few": "category", "gaps": "number"} {
		if got := moved.Type(name); got != typ || held.Type(name) != typ || moved.Nulls(name) != held.Nulls(name) {
			t.Errorf("%s is a %s, want %s", name, got, typ)
		}
		a, err := held.Sample(name, typ)
		b, bad := moved.Sample(name, typ)
		if err != nil || bad != nil || a.N() != b.N() || a.Whole != b.Whole {
			t.Fatalf("%s: %v, %v", name, err, bad)
		}
		null := func(drift.Method, float64, int) drift.Null { return drift.Null{Enough: true} }
		if c := drift.Hold(name, drift.Setting{}, a, b, null); c.Alarm || c.Score == nil || float64(*c.Score) != 0 {
			t.Errorf("%s: they differ: %+v", name, c)
		}
	}
	if err := (&Side{Spool: &shelf{}, most: most}).Read(&counting{n: n}, nil, nil, nil); fault.Of(err) != fault.Transient {
		t.Errorf("a full disk: %v", err)
	}
}

// TestColumnsThatAreReadAtOnceAreAsOneAfterTheOther: columns that come late, cells that are missing, texts, and rows that are more than one
// batch.
func TestColumnsThatAreReadAtOnceAreAsOneAfterTheOther(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, `{"a":%d,"b":"x%d"`, i, i%3)
		for c := range 40 {
			if (i+c)%7 > 0 {
				fmt.Fprintf(&text, `,"c%02d":%d.5`, c, i*c)
			}
		}
		if i > 300 {
			fmt.Fprintf(&text, `,"late":%d`, i%2)
		}
		text.WriteString("}\n")
	}
	read := func(each func(int, func(int))) *Side {
		s := &Side{Each: each, Log: true}
		r, err := table.Open(strings.NewReader(text.String()), int64(text.Len()), schemas.Format{}, "a.jsonl")
		if err == nil {
			err = s.Read(r, func(name string) bool { return name != "c05" }, nil, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := read(nil)
	several := read(func(n int, do func(int)) { // in another order
		for i := range n {
			do(n - 1 - i)
		}
	})
	if one.Rows != 1000 || one.Nulls("late") != 301 || one.Has("c05") || len(one.order) != 42 {
		t.Errorf("%d rows, %d without late, %q", one.Rows, one.Nulls("late"), one.order)
	}
	if !reflect.DeepEqual(one.columns, several.columns) || !slices.Equal(one.order, several.order) || one.held != several.held {
		t.Error("they differ")
	}
}

// TestDecimalsOfAllKindsAreTheirNumbers: columns whose values have other places, more than an integer holds, exponents, or stand
// in several parts, moved and held, are the numbers that were written.
func TestDecimalsOfAllKindsAreTheirNumbers(t *testing.T) {
	columns := map[string]func(i int) string{
		"places that grow":       func(i int) string { return strconv.FormatFloat(float64(i)/8, 'f', min(3, i/100), 64) },
		"as short as can be":     func(i int) string { return strconv.FormatFloat(float64(i%1000)/1000, 'g', -1, 64) },
		"fits until it does not": func(i int) string { return fmt.Sprintf("%d.%0*d", i*7, i/200, 0) },
		"large after small":      func(i int) string { return strconv.Itoa(i * i * 1000) },
		"an exponent":            func(i int) string { return []string{"1.25", "1e-3", "-7"}[i%3] },
		"one late":               func(i int) string { return []string{strconv.Itoa(i), "1.23456789012"}[i/1999] },
		"many places":            func(i int) string { return fmt.Sprintf("0.00000000%04d", i) },
		"ends":                   func(i int) string { return []string{"2147483647", "-2147483648", "0"}[i%3] },
		"beyond the ends":        func(i int) string { return []string{"2147483648", "-2147483649", "0.5"}[i%3] },
		"of any number":          func(i int) string { return strconv.FormatFloat(math.Sqrt(float64(i)), 'g', -1, 64) },
		"spelled with a + sign":  func(i int) string { return fmt.Sprintf("%+.2f", float64(i)-1000) },
	}
	const rows = 2000
	for name, cell := range columns {
		var text strings.Builder
		var numbers []float64
		text.WriteString("x\n")
		for i := range rows {
			text.WriteString(cell(i) + "\n")
			x, err := strconv.ParseFloat(cell(i), 64)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, x)
		}
		want := drift.Numeric(numbers)
		for _, most := range []int{1 << 20, 300} {
			s := &Side{Spool: &shelf{left: 100}, most: most}
			r, err := table.Open(strings.NewReader(text.String()), int64(text.Len()), schemas.Format{}, "a.csv")
			if err == nil {
				err = s.Read(r, nil, nil, nil)
			}
			if err != nil {
				t.Fatal(name, err)
			}
			for range 2 { // once more is the same
				got, err := s.Sample("x", "number")
				if err != nil || !slices.Equal(got.Numbers, want.Numbers) {
					t.Errorf("%s, most %d: they differ (%v)", name, most, err)
				}
			}
		}
	}
}
