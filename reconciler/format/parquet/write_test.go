// What is written is read as it was given: by this reader, and by another's.

package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	upstream "github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

// table is what is written, a text for each cell, "-" for none.
func drawTable(t *rapid.T) (fields []Field, rows int, cells []Cells, want [][]string) {
	rows = rapid.IntRange(1, 80).Draw(t, "rows")
	types := []Field{{Type: Boolean}, {Type: Int64}, {Type: Int64, Moment: true}, {Type: Double}, {Type: ByteArray}, {Type: ByteArray, Text: true}}
	want = make([][]string, rows)
	for c := range rapid.IntRange(1, 12).Draw(t, "columns") {
		f := rapid.SampledFrom(types).Draw(t, "type")
		f.Name = fmt.Sprintf("c.%d", c)
		filled := rapid.IntRange(0, 3).Draw(t, "filled")
		var out Cells
		for r := range rows {
			if rapid.IntRange(0, 2).Draw(t, "there") >= filled {
				want[r] = append(want[r], "-")
				continue
			}
			out.At = append(out.At, int32(r))
			switch f.Type {
			case Boolean:
				out.Bools = append(out.Bools, rapid.Bool().Draw(t, "v"))
				want[r] = append(want[r], fmt.Sprint(out.Bools[len(out.Bools)-1]))
			case Int64:
				out.Ints = append(out.Ints, rapid.Int64().Draw(t, "v"))
				want[r] = append(want[r], fmt.Sprint(out.Ints[len(out.Ints)-1]))
			case Double:
				out.Floats = append(out.Floats, rapid.Float64().Draw(t, "v"))
				want[r] = append(want[r], fmt.Sprint(out.Floats[len(out.Floats)-1]))
			default:
				out.Bytes = append(out.Bytes, []byte(rapid.StringN(0, 20, -1).Draw(t, "v")))
				want[r] = append(want[r], string(out.Bytes[len(out.Bytes)-1]))
			}
		}
		fields, cells = append(fields, f), append(cells, out)
	}
	return fields, rows, cells, want
}

func text(v []byte, f Field) string {
	switch f.Type {
	case Boolean:
		return fmt.Sprint(v[0] == 1)
	case Int64:
		return fmt.Sprint(int64(binary.LittleEndian.Uint64(v)))
	case Double:
		return fmt.Sprint(math.Float64frombits(binary.LittleEndian.Uint64(v)))
	}
	return string(v)
}

func TestWhatIsWrittenIsReadAsItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields, rows, cells, want := drawTable(t)
		var b bytes.Buffer
		w, err := NewWriter(&b, fields, map[string]string{"who": "me"})
		if err == nil {
			err = errors.Join(w.Group(rows, cells), w.Group(rows, cells), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || f.Notes["who"] != "me" || len(f.Groups) != 2 {
			t.Fatal(err, f.Notes, len(f.Groups))
		}
		read := f.Rows(0, 2, 1<<30)
		for i := 0; ; i++ {
			got := make([][]byte, len(fields))
			if err := read.Next(got); errors.Is(err, io.EOF) {
				if i != 2*rows {
					t.Fatalf("%d rows of %d", i, 2*rows)
				}
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for c := range fields {
				said := "-"
				if got[c] != nil {
					said = text(got[c], fields[c])
				}
				if said != want[i%rows][c] {
					t.Fatalf("row %d, column %d: %q, was given %q", i, c, said, want[i%rows][c])
				}
			}
		}
		another(t, b.Bytes(), slices.Concat(want, want))
	})
}

// another holds what the library reads against what was given.
func another(t *rapid.T, raw []byte, want [][]string) {
	f, err := upstream.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		buf := make([]upstream.Row, 64)
		for {
			n, err := rows.ReadRows(buf)
			for _, r := range buf[:n] {
				for c, v := range r {
					said := "-"
					switch {
					case v.IsNull():
					case v.Kind() == upstream.Boolean:
						said = fmt.Sprint(v.Boolean())
					case v.Kind() == upstream.Int64:
						said = fmt.Sprint(v.Int64())
					case v.Kind() == upstream.Double:
						said = fmt.Sprint(v.Double())
					default:
						said = string(v.ByteArray())
					}
					if column := v.Column(); said != want[at][column] {
						t.Fatalf("row %d, column %d (%d): %q, was given %q", at, column, c, said, want[at][column])
					}
				}
				at++
			}
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		rows.Close()
	}
	if at != len(want) {
		t.Fatalf("%d rows of %d", at, len(want))
	}
}

func TestAWriterRefusesWhatIsNoTable(t *testing.T) {
	for name, c := range map[string]struct {
		fields []Field
		rows   int
		cells  []Cells
	}{
		"a column less":              {[]Field{{Name: "a", Type: Int64}}, 1, nil},
		"no rows":                    {[]Field{{Name: "a", Type: Int64}}, 0, []Cells{{}}},
		"a row beyond the end":       {[]Field{{Name: "a", Type: Int64}}, 1, []Cells{{At: []int32{1}, Ints: []int64{1}}}},
		"rows out of order":          {[]Field{{Name: "a", Type: Int64}}, 2, []Cells{{At: []int32{1, 0}, Ints: []int64{1, 2}}}},
		"values of another type":     {[]Field{{Name: "a", Type: Int64}}, 1, []Cells{{At: []int32{0}, Floats: []float64{1}}}},
		"a type that is not written": {[]Field{{Name: "a", Type: Int96}}, 1, []Cells{{}}},
	} {
		w, err := NewWriter(io.Discard, c.fields, nil)
		if err == nil {
			err = w.Group(c.rows, c.cells)
		}
		if err == nil {
			t.Errorf("%s: was written", name)
		}
	}
}
