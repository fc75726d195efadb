// Files without rows, and columns whose names are one to who reads them.

package table

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

// TestAFileWithoutRowsHasItsColumnsChecked where it says which it has.
func TestAFileWithoutRowsHasItsColumnsChecked(t *testing.T) {
	for in, broken := range map[string]int{"a,b\n": 0, "b\n": 1} {
		c, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"a": {Required: true}}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		c.Begin("f.csv")
		r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
		if err != nil {
			t.Fatal(err)
		}
		p := NewProfiler(nil)
		if err := Scan(r, p, c, nil); err != nil {
			t.Fatal(err)
		}
		if v := c.Violations(); len(v) != broken || broken == 1 && (v[0].Rule != "column is missing" || v[0].Count != 0 || v[0].Has[0] != "b") {
			t.Errorf("%q: %+v", in, v)
		}
		if got := p.Profile(0); len(got.Columns) != len(r.Columns()) {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

// TestAParquetFileWithoutRowsHasItsTypesChecked by its schema.
func TestAParquetFileWithoutRowsHasItsTypesChecked(t *testing.T) {
	low := 0.0
	for column, types := range map[string]string{
		"a": "integer number string", "price": "number string", "name": "string", "at": "timestamp string", "paid": "number string", "where.city": "string",
	} {
		for _, declared := range []string{"integer", "number", "boolean", "date", "timestamp", "string"} {
			in := purchases(t, 0)
			c, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{column: {Type: declared}}}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			c.Begin("f.parquet")
			r, err := Open(bytes.NewReader(in), int64(len(in)), schemas.Format{}, "f.parquet")
			if err != nil {
				t.Fatal(err)
			}
			if err := Scan(r, nil, c, nil); err != nil {
				t.Fatal(err)
			}
			fits := slices.Contains(strings.Fields(types), declared) || declared == "boolean" && column == "a"
			v := c.Violations()
			if fits != (len(v) == 0) || len(v) > 0 && (v[0].Count != 0 || v[0].Examples[0].File != "f.parquet" || !strings.HasPrefix(v[0].Rule, "type "+declared+", and the column is ")) {
				t.Errorf("%s declared %s: %+v", column, declared, v)
			}
		}
	}
	c, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"name": {Min: &low}}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	c.Begin("f.parquet")
	in := purchases(t, 0)
	r, err := Open(bytes.NewReader(in), int64(len(in)), schemas.Format{}, "f.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := Scan(r, nil, c, nil); err != nil || len(c.Violations()) != 1 {
		t.Error("text has no least value", err)
	}
}

// TestNoTwoKeysAreOneColumn of JSON: not those that stand twice, nor one with a dot and one
// within an object, in one row or in two.
func TestNoTwoKeysAreOneColumn(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1,"a":2}`: `an object has the key "a" twice`, `{"a":1,"\u0061":2}`: "twice", `{"o":{"x":1,"y":[{"x":":"}],"x":1}}`: "twice",
		`{"a":{"b":1},"a.b":2}`: "rename one", "{\"a\":{\"b\":1}}\n{\"a.b\":2}": "f.jsonl:2: row 2", `{"a.b":{"c":1},"a":{"b.c":2}}`: "rename one",
		`{"a":{"b":":\"}{"},"c":["{","]"],"d.e":{"f":1}}`: "",
	} {
		_, err := read([]byte(in), schemas.Format{}, "f.jsonl", 1)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}
