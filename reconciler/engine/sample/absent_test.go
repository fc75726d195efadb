// A column that comes empty is a fault, and one that comes half empty is told.

package sample

import (
	"strings"
	"testing"
)

func TestAColumnThatComesEmptyIsAFault(t *testing.T) {
	side := func(rows, nulls int) *Side {
		return &Side{Rows: int64(rows), columns: map[string]*column{"a": {nulls: nulls}}}
	}
	for name, c := range map[string]struct {
		base, now   *Side
		fault, note string
	}{
		"as it was":                {side(1000, 100), side(500, 50), "", ""},
		"empty":                    {side(1000, 0), side(500, 500), "none of its 500 rows has a value, and of the reference 100 % have one", ""},
		"empty, of one row":        {side(1000, 0), side(1, 1), "none of its 1 row has a value", ""},
		"empty by chance":          {side(1000, 500), side(3, 3), "", ""},
		"empty, and not by chance": {side(1000, 500), side(30, 30), "none of its 30 rows", ""},
		"empty, as it nearly was":  {side(1000, 999), side(100, 100), "", ""},
		"half empty":               {side(1000, 0), side(500, 250), "", "column a: 50 % of the rows have no value, and of the reference 0 %"},
		"filled":                   {side(1000, 900), side(500, 0), "", "0 % of the rows have no value, and of the reference 90 %"},
		"a little more, surely":    {side(1000000, 0), side(1000000, 30000), "", ""},
		"more by chance":           {side(1000, 0), side(10, 1), "", "column a: 10 %"},
		"of few rows":              {side(100, 10), side(10, 3), "", ""},
		"no rows":                  {side(1000, 0), side(0, 0), "", ""},
		"no reference":             {side(0, 0), side(10, 10), "", ""},
	} {
		fault, note := Absent(c.base, c.now, "a")
		if !strings.Contains(fault, c.fault) || (fault == "") != (c.fault == "") || !strings.Contains(note, c.note) || (note == "") != (c.note == "") {
			t.Errorf("%s: %q, %q", name, fault, note)
		}
	}
}
