// The laws of tables: the same records as encoding/csv, and parts make the whole.

package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

func records(text string) (out [][]string, err error) {
	s := newScanner(strings.NewReader(text), dialect{delimiter: ',', quote: '"'}, "f")
	for {
		if err := s.record(); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		var r []string
		for _, c := range s.cells {
			r = append(r, string(c))
		}
		out = append(out, r)
	}
}

func FuzzRecordsAreThoseOfEncodingCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\r\n\"x\r\ny\"\"z\"\r", "\"a\"b\n", "a\"b\n", "\"", "\n\n,\n", "\r", "a\r", "\"a\"\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !plain([]byte(s)) {
			return
		}
		r := csv.NewReader(strings.NewReader(s))
		r.FieldsPerRecord = -1
		want, wrong := r.ReadAll()
		got, err := records(s)
		if err != nil && strings.Contains(err.Error(), "carriage return that ends no line") && strings.Contains(strings.ReplaceAll(s, "\r\n", ""), "\r") {
			return // which encoding/csv takes for part of a value, and others for a line's end
		}
		if (wrong != nil) != (err != nil) || err == nil && len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %q %v, want %q %v", s, got, err, want, wrong)
		}
	})
}

func sample() string {
	var b strings.Builder
	b.WriteString("id,x,note\n")
	for i := range 120000 {
		fmt.Fprintf(&b, "%d,%g,\"line %d\n, with a \"\"quote\"\"\"\n", i, float64(i*7919%10007)/8, i%50)
	}
	return b.String()
}

// TestTimesAreInTheOrderOfTime: in which zone, and how, they are written says nothing of that.
func TestTimesAreInTheOrderOfTime(t *testing.T) {
	all := NewProfiler(nil)
	for _, part := range []string{"at\n2024-03-01T00:30:00+02:00\n2024-02-29T23:00:00Z\n2024-03-01 03:00:00\n", "at\n2024-03-01\n2024-02-29T22:30:00Z\n2024-03-01T02:59:00-01:00\n"} {
		r, err := Split(strings.NewReader(part), int64(len(part)), schemas.Format{}, "f.csv", 1)
		if err != nil {
			t.Fatal(err)
		}
		p := NewProfiler(nil)
		if err := errors.Join(Scan(r[0], p, nil, nil), all.Merge(p)); err != nil {
			t.Fatal(err)
		}
	}
	got := all.Profile(0).Columns[0]
	if got.Type != "timestamp" || got.Min != "2024-02-29T22:30:00Z" || got.Max != "2024-03-01T02:59:00-01:00" {
		t.Errorf("%+v", got)
	}
}

func TestPartsMakeTheWhole(t *testing.T) {
	in := sample()
	var got [2]Profile
	for i, n := range []int{1, 4} {
		readers, err := Split(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv", n)
		if err != nil || len(readers) != n {
			t.Fatal(len(readers), err)
		}
		all := NewProfiler(nil)
		for _, r := range readers {
			p := NewProfiler(nil)
			if err := Scan(r, p, nil, nil); err != nil {
				t.Fatal(err)
			}
			if err := all.Merge(p); err != nil {
				t.Fatal(err)
			}
		}
		got[i] = all.Profile(int64(len(in)))
	}
	for i, a := range got[0].Columns {
		b := got[1].Columns[i]
		if a.Type != b.Type || a.Nulls != b.Nulls || a.Distinct != b.Distinct || a.Min != b.Min || a.Max != b.Max {
			t.Errorf("%+v, want %+v", b, a)
		}
		if a.Numbers != nil && (math.Abs(a.Numbers.Mean/b.Numbers.Mean-1) > 1e-9 || math.Abs(a.Numbers.Deviation/b.Numbers.Deviation-1) > 1e-9 || a.Numbers.Quantiles != b.Numbers.Quantiles) {
			t.Errorf("%+v, want %+v", b.Numbers, a.Numbers)
		}
	}
	if got[0].Rows != 120000 || got[1].Rows != 120000 {
		t.Error(got[0].Rows, got[1].Rows)
	}
}

func TestViolationsNameThePlace(t *testing.T) {
	in := "id,age\n1,20\n2,old\n2,-1\n"
	zero := 0.0
	d := &schemas.Dataset{Columns: map[string]schemas.Column{
		"id": {Unique: true}, "age": {Type: "integer", Min: &zero, Tags: []string{"personal"}}}}
	c, err := NewChecker(d, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for again := true; again; again = c.Again() {
		c.Begin("f.csv")
		r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
		if err != nil {
			t.Fatal(err)
		}
		if err := Scan(r, nil, c, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []Violation{
		{Column: "age", Rule: "min 0", Count: 1, Examples: []Example{{"f.csv", 3, 4, ""}}}, {Column: "age", Rule: "type integer", Count: 1, Examples: []Example{{"f.csv", 2, 3, ""}}},
		{Column: "id", Rule: "unique", Count: 1, Examples: []Example{{"f.csv", 3, 4, "2"}}}}
	if got := c.Violations(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestDatesAloneAreTimestampsWhereAllOfAFileAre: pandas and R leave the time out of midnights,
// where a file has no other times; in parts, the file is whole all the same.
func TestDatesAloneAreTimestampsWhereAllOfAFileAre(t *testing.T) {
	const mixed = "type timestamp, and a time as other values of the file have"
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"dates alone":              {[]string{"2024-01-02\n2024-01-03\n"}, "[]"},
		"times":                    {[]string{"2024-01-02 10:00:00\n2024-01-03 00:00:00\n"}, "[]"},
		"a file of each":           {[]string{"2024-01-02\n2024-01-03\n", "2024-01-02 10:00:00\n"}, "[]"},
		"dates before a time":      {[]string{"2024-01-02\n2024-01-03\n2024-01-04T10:00:00Z\n"}, mixed + " 2 rows 1 2"},
		"a date behind a time":     {[]string{"2024-01-04T10:00:00Z\n2024-01-02\n"}, mixed + " 1 rows 2"},
		"infinity":                 {[]string{"infinity\n2024-01-02 10:00:00\n"}, "infinity is no moment"},
		"before Christ":            {[]string{"0044-03-15 00:00:00 BC\n"}, "years before Christ"},
		"a month that there isn't": {[]string{"2024-13-02\n"}, "type timestamp 1 rows 1"},
	} {
		for _, parts := range []int{1, 2} {
			all := timestamps(t)
			for i, rows := range c.files {
				all.Begin(fmt.Sprintf("%d.csv", i))
				in := "at\n" + rows
				if parts == 1 {
					r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
					if err != nil {
						t.Fatal(err)
					}
					if err := Scan(r, nil, all, nil); err != nil {
						t.Fatal(err)
					}
					continue
				}
				for row := range strings.Lines(rows) {
					part := timestamps(t)
					in := "at\n" + row
					r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
					if err != nil {
						t.Fatal(err)
					}
					if err := Scan(r, nil, part, nil); err != nil {
						t.Fatal(err)
					}
					all.Merge(part)
				}
			}
			said := []string{}
			for _, v := range all.Violations() {
				line := fmt.Sprintf("%s %d rows", v.Rule, v.Count)
				for _, e := range v.Examples {
					line += fmt.Sprint(" ", e.Row)
				}
				said = append(said, line)
			}
			if got := fmt.Sprint(said); !strings.Contains(got, c.want) {
				t.Errorf("%s in %d parts: %s; want %s", name, parts, got, c.want)
			}
		}
	}
}

func timestamps(t *testing.T) *Checker {
	t.Helper()
	c, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"at": {Type: "timestamp"}}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestValuesAreNumbersWhereTheColumnIs(t *testing.T) {
	for name, c := range map[string]struct {
		column schemas.Column
		cells  string
		broken int64
	}{
		"integers":                {schemas.Column{Type: "integer", Values: []schemas.Value{"0", "1"}}, "0\n1\n2\n", 1},
		"numbers however written": {schemas.Column{Type: "number", Values: []schemas.Value{"0.5", "1"}}, "1.0\n0.50\n.5\n1e0\n2\n", 1},
		"texts as they are":       {schemas.Column{Type: "string", Values: []schemas.Value{"1", "a"}}, "1\na\n1.0\n", 1},
		"booleans":                {schemas.Column{Type: "boolean", Values: []schemas.Value{"true"}}, "true\nfalse\n", 1},
	} {
		checker, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"x": c.column}}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		checker.Begin("f.csv")
		in := "x\n" + c.cells
		r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
		if err == nil {
			err = Scan(r, nil, checker, nil)
		}
		if got := checker.Violations(); err != nil || len(got) != 1 || got[0].Rule != "values" || got[0].Count != c.broken {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

func TestUniqueIsExactBeyondWhatIsHeld(t *testing.T) {
	var b strings.Builder
	b.WriteString("id\n")
	for i := range held*5/2 + 7 {
		fmt.Fprintln(&b, i)
	}
	b.WriteString("0\n5\n9\n")
	in := b.String()
	c, _ := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"id": {Unique: true}}}, time.Time{})
	for again := true; again; again = c.Again() {
		c.Begin("f.csv")
		r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
		if err != nil {
			t.Fatal(err)
		}
		if err := Scan(r, nil, c, nil); err != nil {
			t.Fatal(err)
		}
	}
	if v := c.Violations(); len(v) != 1 || v[0].Count != 3 {
		t.Errorf("%+v", v)
	}
}

func TestBrokenFilesAreRefusedWithTheirPlace(t *testing.T) {
	for in, want := range map[string]string{
		"a,b\n1,2\n3\n": "f.csv:3: row 2: 1 field, the header has 2", "a\n\"x\n": "row 1: column \"a\" opens a quote",
		"a\n\x00\n": "NUL", "a\nb\xff\n": "not of the file's encoding", "a,a\n": "twice", "": "empty",
		"a,b\r1,2\r": "f.csv:1: row 1: column 2 holds a carriage return that ends no line", "a\nx\ry\n": "f.csv:2: row 1: column \"a\" holds a carriage return",
	} {
		r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
		if err == nil {
			err = Scan(r, NewProfiler(nil), nil, nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// BenchmarkProfile reads about 100 MB, columns of every kind and one without a value twice.
func BenchmarkProfile(b *testing.B) {
	var text strings.Builder
	text.WriteString("id,price,rooms,city,sold,day,note\n")
	for i := range 1_500_000 {
		fmt.Fprintf(&text, "%d,%d.%02d,%d,city %d,%t,2024-%02d-%02d,\"note %d, of %d\"\n",
			i, i*7919%100_003, i%100, i%9, i*31%400, i%3 == 0, 1+i%12, 1+i%28, i*7919%1_000_003, i%7)
	}
	in := text.String()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
		if err != nil {
			b.Fatal(err)
		}
		if err := Scan(r, NewProfiler(nil), nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPlainIsASCIIWithoutNUL wherever the byte stands that is not.
func TestPlainIsASCIIWithoutNUL(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte{1}, n)
				b[at] = byte(c)
				if got, want := plain(b), c > 0 && c < 128; got != want {
					t.Fatalf("% x: %t", b, got)
				}
			}
		}
	}
}

// TestDatabasesTimesAreTimes: as PostgreSQL, pandas, Spark, BigQuery and others print them.
func TestDatabasesTimesAreTimes(t *testing.T) {
	at := time.Date(2024, 1, 2, 10, 30, 5, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"2024-01-02 10:30:05+00": at, "2024-01-02 16:00:05+05:30": at, "2024-01-02 16:00:05+0530": at, "2024-01-02 05:30:05-05": at,
		"2024-01-02 10:30:05": at, "2024-01-02 10:30:05+00:00": at, "2024-01-02T10:30:05Z": at, "2024-01-02T10:30:05.000Z": at,
		"2024-01-02T10:30:05.000+0000": at, "2024-01-02 10:30:05 UTC": at, "2024-01-02 10:30:05.000000 UTC": at, "2024-01-02 10:30:05 +0000": at,
		"2024-01-02 10:30:05.123456+00": at.Add(123456 * time.Microsecond), "2024-01-02 10:30:05.123456789": at.Add(123456789),
		"2024-01-02 10:30:05,123": at.Add(123 * time.Millisecond), "2024-01-02 10:30": at.Add(-5 * time.Second), "2024-01-02T10:30Z": at.Add(-5 * time.Second),
		"1890-01-02 00:53:28+00:53:28": time.Date(1890, 1, 2, 0, 0, 0, 0, time.UTC),
	} {
		if k, got := moment([]byte(in)); k != timestamp || !got.Equal(want) {
			t.Errorf("%s is %s %v", in, kindNames[k], got)
		}
	}
	for _, in := range []string{"2024-01-02 10", "2024-01-02 24:00:00", "2024-01-02 10:60", "2024-01-02 10:30:05.", "2024-01-02 10:30:05+", "2024-01-02 10:30:05+5",
		"2024-01-02 10:30:05+24", "2024-01-02 10:30:05+05:", "2024-01-02 10:30:05+05:3", "2024-01-02 10:30:05+05:30:00:00", "2024-01-02 10:30:05 ", "2024-01-02 ", "2024-01-02 1:30:05", "2024-01-02 10:30:05 CET"} {
		if k, got := moment([]byte(in)); k != text {
			t.Errorf("%s is %s %v", in, kindNames[k], got)
		}
	}
}

// TestAValueOfAnotherSpellingIsExplained: what people's tools write, and what to write in its place.
func TestAValueOfAnotherSpellingIsExplained(t *testing.T) {
	for declared, values := range map[string]map[string]string{
		"number":    {"1025,76": "write a point before decimals", "1,000": "nothing between thousands", "1.000,5": "a comma in a number", "n.a.": "spec.format.nulls", "NaN": "spec.format.nulls", "-": "spec.format.nulls", "abc": "", ",": "", "1;2": ""},
		"integer":   {"5.0": "pandas", "-12.": "pandas", "5.5": "", "#N/A": "spec.format.nulls"},
		"boolean":   {"t": "write true or false", "YES": "write true or false", "null": "spec.format.nulls", "2": ""},
		"date":      {"20240101": "2006-01-02", "2024/1/1": "2006-01-02", "01.02.2024": "2006-01-02", "2024-1-1": "2006-01-02", "2023-02-29": "", "None": "spec.format.nulls"},
		"timestamp": {"infinity": "PostgreSQL", "0044-03-15 BC": "before Christ", "01/02/2024": "2006-01-02", "noon": ""},
	} {
		for value, want := range values {
			p := &promise{col: schemas.Column{Type: declared}}
			k, x := classify([]byte(value))
			rule := p.unkept([]byte(value), k, x)
			if explained := rule != "type "+declared; !strings.HasPrefix(rule, "type "+declared) || explained != (want != "") || !strings.Contains(rule, want) {
				t.Errorf("%s of a %s: %q, want %q", value, declared, rule, want)
			}
		}
	}
}

// TestWholeNumbersHaveAnyNumberOfDigits: those beyond 64 bits are no less whole.
func TestWholeNumbersHaveAnyNumberOfDigits(t *testing.T) {
	for in, want := range map[string]kind{"18446744073709551615": integer, "-9223372036854775809": integer, "+123456789012345678901234567890": integer,
		"18446744073709551615.0": number, "1e30": number, "1-2": text, "--1": text} {
		if k, _ := classify([]byte(in)); k != want {
			t.Errorf("%s is %s", in, kindNames[k])
		}
	}
}
