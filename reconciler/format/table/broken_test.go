// Whatever bytes come: no panic, no memory without bound, and an error that names the
// file, the row and the way out.

package table

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// read profiles and checks all rows, in as many parts.
func read(in []byte, f schemas.Format, name string, parts int) (*Profiler, error) {
	readers, err := Split(bytes.NewReader(in), int64(len(in)), f, name, parts)
	if err != nil {
		return nil, err
	}
	all := NewProfiler(nil)
	check, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"a": {Type: "integer", Unique: true}}}, time.Time{})
	if err != nil {
		return nil, err
	}
	check.Begin(name)
	for _, r := range readers {
		p := NewProfiler(nil)
		if err := Scan(r, p, check, nil); err != nil {
			return nil, err
		}
		if err := all.Merge(p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// told fails where an error does not say which file it is about and whose turn it is.
func told(t *testing.T, err error, name string) {
	t.Helper()
	if err == nil {
		return
	}
	if kind := fault.Of(err); kind != fault.Invalid && kind != fault.Corrupt {
		t.Fatalf("%v is %v", err, kind)
	}
	if !strings.Contains(err.Error(), name) {
		t.Fatalf("%v does not name %s", err, name)
	}
}

// within fails where reading in took more memory than files of its size and width may.
func within(t *testing.T, in []byte, f schemas.Format, name string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := read(in, f, name, 2)
	runtime.ReadMemStats(&after)
	told(t, err, name)
	columns := uint64(bytes.Count(in, []byte(","))+bytes.Count(in, []byte(":"))) + 1
	if p != nil {
		columns = max(columns, uint64(len(p.columns)))
	}
	most := 64<<20 + 256<<10*min(columns, mostColumns) + 1<<10*uint64(len(in))
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Fatalf("%d bytes took %d MiB, want at most %d", len(in), took>>20, most>>20)
	}
}

// FuzzMembersAreThoseOfEncodingJSON of every object in which no key stands twice.
func FuzzMembersAreThoseOfEncodingJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{}`, `{ "a" : [ 1 , {"b":"}"} ] , "\u0062\"" : "\\" }`, `{"a":{"a":{}},"b":[],"c":[[]],"d":{"x":[{}]}}`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want map[string]json.RawMessage
		if in = bytes.TrimSpace(in); json.Unmarshal(in, &want) != nil || want == nil {
			return
		}
		got, err := members(in)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range got {
			if !seen[m.key] && !bytes.Equal(m.value, want[m.key]) && strings.Count(string(in), ":") == len(want) {
				t.Fatalf("%q: %q is %q, want %q", in, m.key, m.value, want[m.key])
			}
			seen[m.key] = true
		}
		if len(seen) != len(want) {
			t.Fatalf("%q: %d keys, want %d", in, len(seen), len(want))
		}
	})
}

func FuzzJSONLinesAreReadOrRefused(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"a\":{\"b\":[1,2]}}", "null", "[]", "{}\n\n{}", `{"a":"2024-01-02"}`, "\xff\xfe{\x00}\x00", `{"a":1`, `{"a":{"a":{"a":1e999}}}`, `{"":""}`} {
		f.Add([]byte(s), "")
	}
	f.Add([]byte(`{"a":"`+"\x81"+`"}`), "shift_jis")
	f.Fuzz(func(t *testing.T, in []byte, encoding string) {
		within(t, in, schemas.Format{Encoding: encoding}, "f.jsonl")
	})
}

func FuzzEncodingsAreReadOrRefused(f *testing.F) {
	for _, name := range []string{"", "utf-8", "latin-1", "utf-16le", "utf-16be", "windows-1252", "shift_jis", "gb18030", "iso-2022-jp", "replacement", "x-user-defined", "euc-kr", "none"} {
		f.Add([]byte("a,b\n1,\xe4\n\"2\n\",\x00\n"), name)
	}
	f.Add([]byte("\xff\xfea\x00\n\x00\xd8\x00"), "")
	f.Fuzz(func(t *testing.T, in []byte, encoding string) {
		within(t, in, schemas.Format{Encoding: encoding}, "f.csv")
	})
}

type purchase struct {
	A     int64     `parquet:"a"`
	Price *float64  `parquet:"price,optional"`
	Name  string    `parquet:"name,dict"`
	At    time.Time `parquet:"at"`
	Paid  int64     `parquet:"paid,decimal(2:18)"`
	Where struct {
		City string `parquet:"city,snappy"`
	} `parquet:"where"`
}

// purchases is a file of Parquet in two row groups.
func purchases(t testing.TB, rows int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[purchase](&out)
	for i := range rows {
		x := float64(i) / 8
		p := purchase{A: int64(i), Price: &x, Name: fmt.Sprint("name ", i%3), At: time.Unix(int64(i), 0), Paid: int64(i)}
		p.Where.City = "Pune"
		if _, err := w.Write([]purchase{p}); err != nil {
			t.Fatal(err)
		}
		if i == rows/2 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAMarredFooterTakesNoMemory: its length is the file's own word, of up to 4 GiB.
func TestAMarredFooterTakesNoMemory(t *testing.T) {
	in := purchases(t, 20)
	copy(in[len(in)-8:], "\xff\xff\xff\xef")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := read(in, schemas.Format{}, "f.parquet", 1)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 || fault.Of(err) != fault.Corrupt {
		t.Errorf("took %d bytes: %v", took, err)
	}
	told(t, err, "f.parquet")
}

func FuzzParquetIsReadOrRefused(f *testing.F) {
	whole := purchases(f, 20)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, in []byte) {
		within(t, in, schemas.Format{}, "f.parquet")
	})
}

// TestParquetCutOrMarredIsRefusedByName: anywhere, and never with a panic.
func TestParquetCutOrMarredIsRefusedByName(t *testing.T) {
	whole := purchases(t, 300)
	if p, err := read(whole, schemas.Format{}, "f.parquet", 2); err != nil || p.rows != 300 {
		t.Fatal(p, err)
	}
	for n := range 200 {
		cut := whole[:len(whole)*n/200]
		_, err := read(cut, schemas.Format{}, "f.parquet", 1)
		if fault.Of(err) != fault.Corrupt {
			t.Fatalf("cut to %d bytes: %v", len(cut), err)
		}
		told(t, err, "f.parquet")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		marred := bytes.Clone(whole)
		marred[r.IntN(len(marred))] ^= byte(1 + r.IntN(255))
		_, err := read(marred, schemas.Format{}, "f.parquet", 1)
		told(t, err, "f.parquet")
	}
}

// TestBadTablesAreRefusedWithTheirPlace says what is wrong where, for each way that a
// table is usually broken.
func TestBadTablesAreRefusedWithTheirPlace(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("a,b\n1,2\n")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	wide := strings.Builder{}
	for i := range mostColumns/64 + 1 {
		fmt.Fprintf(&wide, "{\"c%d\":1", i)
		for k := range 63 {
			fmt.Fprintf(&wide, ",\"c%d of %d\":1", k, i)
		}
		wide.WriteString("}\n")
	}
	for name, c := range map[string]struct{ file, in, want string }{
		"a quote that is not closed":    {"f.csv", "a,b\n1,2\n3,\"4\n5,6\n", `f.csv:3: row 2: column "b" opens a quote that is not closed`},
		"a quote inside a field":        {"f.csv", "a,b\n1,2\n3,4\"5\n", `f.csv:3: row 2: column "b" holds a quote`},
		"text behind a closing quote":   {"f.csv", "a,b\n\"1\"x,2\n", `f.csv:2: row 1: column "a" goes on behind a closing quote`},
		"two encodings in a CSV":        {"f.csv", "a\nK\xc3\xb6ln\nK\xf6ln\n", `f.csv:3: row 2: column "a" holds bytes that are not of the file's encoding`},
		"two encodings in JSON lines":   {"f.jsonl", "{\"a\":\"K\xc3\xb6ln\"}\n{\"a\":\"K\xf6ln\"}\n", "f.jsonl:2: row 2: holds bytes that are not of the file's encoding"},
		"a NUL byte":                    {"f.csv", "a\n1\n\x00\n", `f.csv:3: row 2: column "a" holds a NUL byte`},
		"a NUL byte in JSON":            {"f.jsonl", "{\"a\":1}\n{\"a\":\"\x00\"}\n", "f.jsonl:2: row 2: is not a JSON object"},
		"a name twice in the header":    {"f.csv", "a,b,a\n1,2,3\n", `f.csv:1: row 0: column "a" is in the header twice`},
		"an empty file":                 {"f.csv", "", "f.csv: the file is empty"},
		"a short row":                   {"f.csv", "a,b\n1,2\n3\n", "f.csv:3: row 2: 1 field, the header has 2"},
		"a gzip file":                   {"f.csv", packed.String(), "f.csv: is compressed by gzip"},
		"a gzip file of JSON":           {"f.jsonl", packed.String(), "f.jsonl: is compressed by gzip"},
		"a JSON list":                   {"f.jsonl", "{\"a\":1}\n\n[1]\n", "f.jsonl:3: row 2: is not a JSON object"},
		"a JSON null":                   {"f.jsonl", "null\n", "f.jsonl:1: row 1: is not a JSON object"},
		"half a JSON object":            {"f.jsonl", "{\"a\":1}\n{\"a\":", "f.jsonl:2: row 2: is not a JSON object"},
		"JSON objects without a bottom": {"f.jsonl", strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), "f.jsonl:1: row 1: is not a JSON object: objects lie more than 64 deep"},
		"keys of its own in every row":  {"f.jsonl", wide.String(), "row 257: the table has more than 16384 columns"},
		"a header without an end":       {"f.csv", strings.Repeat("a,", mostColumns+1), "f.csv:1: row 0: the table has more than 16384 columns"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read([]byte(c.in), schemas.Format{}, c.file, 1)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
			told(t, err, c.file)
		})
	}
}

// endless is a row that does not end, behind a header.
type endless int64

func (n endless) ReadAt(b []byte, at int64) (int, error) {
	for i := range b {
		b[i] = 'x'
		if at+int64(i) == 1 {
			b[i] = '\n'
		}
	}
	return len(b), nil
}

// TestARowWithoutEndIsRefused before it fills the memory.
func TestARowWithoutEndIsRefused(t *testing.T) {
	for _, name := range []string{"f.csv", "f.jsonl"} {
		r, err := Open(endless(0), 1<<40, schemas.Format{}, name)
		if err == nil && name == "f.jsonl" {
			_, err = r.Next() // "x" alone is no object
			if err == nil {
				t.Fatal("read")
			}
			_, err = r.Next()
		} else if err == nil {
			_, err = r.Next()
		}
		if err == nil || !strings.Contains(err.Error(), "is longer than 64 MiB") || !strings.Contains(err.Error(), name+":2: row") {
			t.Errorf("%v", err)
		}
	}
}

// TestAColumnThatChangesItsTypeInTheLastRow breaks what is declared of it there, and is
// text in the profile.
func TestAColumnThatChangesItsTypeInTheLastRow(t *testing.T) {
	in := "a\n" + strings.Repeat("1\n", 5000) + "one\n"
	check, err := NewChecker(&schemas.Dataset{Columns: map[string]schemas.Column{"a": {Type: "integer"}}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	check.Begin("f.csv")
	r, err := Open(strings.NewReader(in), int64(len(in)), schemas.Format{}, "f.csv")
	if err != nil {
		t.Fatal(err)
	}
	p := NewProfiler(nil)
	if err := Scan(r, p, check, nil); err != nil {
		t.Fatal(err)
	}
	want := Example{"f.csv", 5001, 5002, "one"}
	if v := check.Violations(); len(v) != 1 || v[0].Rule != "type integer" || v[0].Count != 1 || v[0].Examples[0] != want {
		t.Errorf("%+v", v)
	}
	if got := p.Profile(0).Columns[0]; got.Type != "string" || got.Max != "one" {
		t.Errorf("%+v", got)
	}
}

// TestNoTwoColumnsOfParquetAreOne: not one of a structure and one whose name has a dot.
func TestNoTwoColumnsOfParquetAreOne(t *testing.T) {
	type inner struct {
		B int64 `parquet:"b"`
	}
	type dotted struct {
		A  inner `parquet:"a"`
		AB int64 `parquet:"a.b"`
	}
	var out bytes.Buffer
	if err := parquet.Write(&out, []dotted{{inner{1}, 2}}); err != nil {
		t.Fatal(err)
	}
	_, err := read(out.Bytes(), schemas.Format{}, "f.parquet", 1)
	if err == nil || !strings.Contains(err.Error(), `two columns have the name "a.b"`) {
		t.Error(err)
	}
	told(t, err, "f.parquet")
}

// TestALongRowOfParquetIsRefused as one of CSV is.
func TestALongRowOfParquetIsRefused(t *testing.T) {
	type long struct {
		A, B, C, D, E, F, G, H, I, J string // each with its least and most value in its page's header
	}
	part := strings.Repeat("x", LongestRow/10+1)
	var out bytes.Buffer
	if err := parquet.Write(&out, []long{{A: "short"}, {part, part, part, part, part, part, part, part, part, part}}); err != nil {
		t.Fatal(err)
	}
	_, err := read(out.Bytes(), schemas.Format{}, "f.parquet", 1)
	if err == nil || !strings.Contains(err.Error(), "f.parquet: row 2: is longer than 64 MiB") {
		t.Error(err)
	}
	told(t, err, "f.parquet")
}
