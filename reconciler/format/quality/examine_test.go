// What is told of data must be right however it is cut up to be read.

package quality

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

type text struct{ *strings.Reader }

func (text) Close() error { return nil }

func file(path, in string) File {
	return File{Path: path, Size: int64(len(in)), Open: func(context.Context) (Content, error) { return text{strings.NewReader(in)}, nil }}
}

func bounded(most float64) *schemas.Dataset {
	return &schemas.Dataset{Columns: map[string]schemas.Column{"n": {Type: "integer", Max: &most}}}
}

// TestAViolationNamesItsFileAndRow: of the file that it is in, whichever part of it, and
// whatever order another file has its columns in.
func TestAViolationNamesItsFileAndRow(t *testing.T) {
	long := strings.Builder{}
	long.WriteString("n,name\n")
	for i := range 300_000 {
		fmt.Fprintf(&long, "%d,row %d\n", i, i)
	}
	files := []File{file("data/a.csv", long.String()), file("data/b.csv", "name,n\nx,5\ny,999999\n"), file("data/c.csv", "name\nz\n"), file("data/README", "?")}
	for _, parts := range []int{1, 3} {
		e := &examination{spec: bounded(299_998), parts: parts}
		for _, f := range files[:3] {
			e.tables = append(e.tables, tableFile{f, schemas.Format{Type: "csv"}})
		}
		found, err := e.all(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`n: column is missing in data/c.csv, of 1 row; there are "name"`,
			`n: max 299998 is broken 2 times, first in data/a.csv, row 300000 (line 300001): "299999"`,
		}
		if got := Sentence(found.Violations); !reflect.DeepEqual(got, want) {
			t.Errorf("%d parts: %q", parts, got)
		}
		if second := found.Violations[1].Examples[1]; second.File != "data/b.csv" || second.Row != 2 || second.Line != 3 {
			t.Errorf("%d parts: second is %+v", parts, second)
		}
		if p := found.Profile; p.Rows != 300_003 || p.Columns[0].Nulls != 1 || p.Columns[1].Nulls != 0 {
			t.Errorf("%d parts: %+v", parts, p.Columns)
		}
	}
}

// TestABrokenRowIsNamedAsItStandsInTheFile: also where another part of the file has it.
func TestABrokenRowIsNamedAsItStandsInTheFile(t *testing.T) {
	in := "n,m\n" + strings.Repeat("1,2\n", 400_000) + "3\n" + strings.Repeat("1,2\n", 10)
	_, err := Data(t.Context(), &schemas.Dataset{}, []File{file("data/a.csv", in)}, time.Time{})
	if err == nil || !strings.Contains(err.Error(), "data/a.csv:400002: row 400001: 1 field, the header has 2") {
		t.Fatal(err)
	}
}

// TestWhatIsNoTableIsLeftAlone unless rows are promised.
func TestWhatIsNoTableIsLeftAlone(t *testing.T) {
	pictures := []File{file("data/1.png", "x"), file("data/2.png", "y")}
	if found, err := Data(t.Context(), &schemas.Dataset{}, pictures, time.Time{}); err != nil || found.Profile != nil {
		t.Error(found, err)
	}
	if _, err := Data(t.Context(), bounded(1), pictures, time.Time{}); err == nil {
		t.Error("rows were promised of pictures")
	}
}

// TestARequiredKeyThatComesLate: rows of JSON before the first that has it have no value.
func TestARequiredKeyThatComesLate(t *testing.T) {
	spec := &schemas.Dataset{Columns: map[string]schemas.Column{"label": {Required: true}}}
	found, err := Data(t.Context(), spec, []File{file("d/a.jsonl", `{"x":1}
{"x":2}
{"x":3,"label":"y"}
{"x":4}
`), file("d/b.jsonl", `{"label":"z"}
`), file("d/c.jsonl.gz", "?")}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := Sentence(found.Violations); len(got) != 1 || !strings.HasPrefix(got[0], "label: required is broken 3 times, first in d/a.jsonl, row 1") {
		t.Errorf("%q", got)
	}
	if got := found.Passed(); !strings.HasSuffix(got, ": d/c.jsonl.gz") {
		t.Errorf("%q", got)
	}
}

// TestAPromiseIsToldWithItsPlace, and too few rows with their number.
func TestAPromiseIsToldWithItsPlace(t *testing.T) {
	least := int64(5)
	spec := bounded(1)
	spec.Rows = &schemas.Bounds{Min: &least}
	decl := &schemas.Declaration{Pos: schemas.Position{File: "vishwa/d.yaml", Line: 1}, Spec: spec, Fields: func(path string) schemas.Position {
		return schemas.Position{File: "vishwa/d.yaml", Line: len(path), Column: 1}
	}}
	found, err := Data(t.Context(), spec, []File{file("a.csv", "n;m\n1;2\n")}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := `vishwa/d.yaml:9:1: rows min 5, and there are 1
    vishwa/d.yaml:14:1: n: column is missing in a.csv, of 1 row; there are "n;m": if another character separates the columns, set spec.format.delimiter`
	if got := Broken(decl, found.Violations); got != want {
		t.Errorf("%s", got)
	}
}

// TestWideTablesAreReadInFewerParts: what is held of a column is held once for each part.
func TestWideTablesAreReadInFewerParts(t *testing.T) {
	const columns = 10_000
	var text strings.Builder
	for i := range columns {
		fmt.Fprintf(&text, "c%d,", i)
	}
	text.WriteString("last\n")
	row := strings.Repeat("1,", columns) + "2\n"
	for range 60 {
		text.WriteString(row)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e := &examination{spec: bounded(1), parts: 16, tables: []tableFile{{file("w.csv", text.String()), schemas.Format{Type: "csv"}}}}
	found, err := e.all(t.Context(), 1)
	if err != nil || found.Profile.Rows != 60 {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := int64(after.TotalAlloc - before.TotalAlloc); used > 2<<30 {
		t.Errorf("%d MB were allocated", used>>20)
	}
}
