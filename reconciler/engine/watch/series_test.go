// Numbers that are moved out of memory are those that came.

package watch

import (
	"fmt"
	"io"
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
	all  []float64
	left int
}

func (s *shelf) Append(v []float64) (int64, error) {
	if s.left--; s.left < 0 {
		return 0, fault.New(fault.Transient, "the disk is full")
	}
	at := int64(len(s.all))
	s.all = append(s.all, v...)
	return at, nil
}

func (s *shelf) Read(at int64, into []float64) error {
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
	if len(spool.all) == 0 || len(moved.columns["down"].numbers.held) >= n {
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
