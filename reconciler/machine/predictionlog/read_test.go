// What is read of logs: of this program's and of others', with all that is odd about them said.

package predictionlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
)

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLogsThatExistAreRead(t *testing.T) {
	day := func(from, to int) Query {
		return Query{From: noon.Add(time.Duration(from) * time.Hour), To: noon.Add(time.Duration(to) * time.Hour)}
	}
	for name, c := range map[string]struct {
		files map[string]string
		q     Query
		want  []string
		odd   func(Report) bool
	}{
		"csv":                             {map[string]string{"a.csv": "time,id,x\n2026-11-28T12:30:00Z,1,5\n2026-11-29T12:30:00Z,2,6\n"}, day(0, 1), []string{"1 5"}, func(r Report) bool { return r.Rows == 1 }},
		"json lines":                      {map[string]string{"b/a.jsonl": `{"time":"2026-11-28 12:30:00","id":"1","x":5}` + "\n" + `{"time":1795953600,"id":"2","x":6,"y":1}` + "\n"}, day(-30*24, 24), []string{"1 5"}, func(r Report) bool { return r.Timeless == 0 }},
		"other names of columns":          {map[string]string{"a.csv": "ts,key,x,id\n2026-11-28T12:30:00Z,1,5,9\n"}, Query{Time: "ts", ID: "key", From: noon, To: noon.Add(time.Hour)}, []string{"9 5"}, func(r Report) bool { return true }},
		"no time":                         {map[string]string{"a.csv": "id,x\n1,5\n"}, Query{Time: "-"}, []string{"1 5"}, func(r Report) bool { return r.Timeless == 0 }},
		"a time that is none":             {map[string]string{"a.csv": "time,id,x\nsoon,1,5\n2026-11-28T12:30:00Z,2,6\n"}, day(0, 1), []string{"2 6"}, func(r Report) bool { return r.Timeless == 1 }},
		"a clock in the future":           {map[string]string{"a.csv": "time,id,x\n2026-11-28T12:30:00Z,1,5\n2027-11-28T12:30:00Z,2,6\n"}, Query{Now: noon.Add(time.Hour)}, []string{"1 5"}, func(r Report) bool { return r.Future == 1 }},
		"ids twice":                       {map[string]string{"a.csv": "time,id,x\n2026-11-28T12:30:00Z,1,5\n2026-11-28T12:31:00Z,1,6\n"}, Query{}, []string{"1 5", "1 6"}, func(r Report) bool { return r.Duplicates == 1 }},
		"parts of two schemas":            {map[string]string{"a.csv": "id,x\n1,5\n", "b.csv": "x,y,id\n6,7,2\n"}, Query{Time: "-"}, []string{"1 5", "2 6"}, func(r Report) bool { return r.Parts == 2 }},
		"half a part":                     {map[string]string{"a.csv": "id,x\n1,5\n", "b.parquet": "PAR1\x00\x00", "c.csv": "id,x\n2,\"6\n"}, Query{Time: "-"}, []string{"1 5"}, func(r Report) bool { return len(r.Unreadable) == 2 }},
		"what is no part":                 {map[string]string{"a.csv": "id,x\n1,5\n", "_SUCCESS": "", ".partial-1": "x", "README.md": "hello", "_tmp.csv": "id\n9\n"}, Query{Time: "-"}, []string{"1 5"}, func(r Report) bool { return len(r.Unreadable) == 0 }},
		"another's hours":                 {map[string]string{"date=2026-11-28/hour=11/a.csv": "time,id,x\n2026-11-28T12:30:00Z,1,5\n", "date=2026-11-20/hour=11/a.csv": "time,id,x\n2026-11-28T12:30:00Z,2,5\n"}, day(0, 1), []string{"1 5"}, func(r Report) bool { return r.Parts == 1 }},
		"nothing":                         {nil, Query{}, nil, func(r Report) bool { return r.Rows == 0 && r.Parts == 0 }},
		"a part behind one that was read": {map[string]string{"a.csv": "id,x\n1,5\n", "b.csv": "id,x\n2,6\n"}, Query{Time: "-", After: "a.csv"}, []string{"2 6"}, func(r Report) bool { return r.Last == "b.csv" }},
	} {
		t.Run(name, func(t *testing.T) {
			got, report := told(t, lay(t, c.files), c.q, "id", "x")
			if fmt.Sprint(got) != fmt.Sprint(c.want) || !c.odd(report) {
				t.Errorf("%q, want %q; %+v", got, c.want, report)
			}
		})
	}
}

// Whoever is served names columns: as many of them as there are requests.
func TestColumnsWithoutEndAreNotHeld(t *testing.T) {
	const wide = 1000
	files, want := map[string]string{}, []string{}
	for part := range mostRead/wide + 1 {
		var head strings.Builder
		for i := range wide {
			fmt.Fprintf(&head, "junk%d_%d,", part, i)
		}
		files[fmt.Sprintf("%02d.csv", part)] = head.String() + "id,x\n" + strings.Repeat("7,", wide) + fmt.Sprintf("%d,5\n", part)
		want = append(want, fmt.Sprintf("%d 5", part))
	}
	got, report := told(t, lay(t, files), Query{Time: "-"}, "id", "x")
	if fmt.Sprint(got) != fmt.Sprint(want) || report.Unread != (mostRead/wide+1)*wide+2-mostRead {
		t.Errorf("%q, want %q; %d columns were not read", got, want, report.Unread)
	}
}

func TestAColumnThatChangesItsTypeIsSaid(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	for i, x := range []string{"1", "2.5", `"three"`, "true"} {
		l.Add(asked(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Hour), x))
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, report := told(t, dir, Query{}, "feature.x")
	if fmt.Sprint(got) != "[1 2.5 three true]" || !strings.HasPrefix(report.Retyped["feature.x"], "text, since 20261128T150000") {
		t.Errorf("%q %v", got, report.Retyped)
	}
}

// However long a log is, reading it takes the memory of a part.
func TestReadingTakesTheMemoryOfAPart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	text := strings.Repeat("x", 200)
	for part := range 20 {
		for i := range 1200 {
			l.Add(asked(fmt.Sprint(part, "-", i), noon, fmt.Sprintf("%q", fmt.Sprint(i, text))))
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	got, most := 0, uint64(0)
	b := Read(t.Context(), dirOf(t, dir), Query{ID: "-"})
	defer b.Close()
	for {
		if _, err := b.Next(); err != nil {
			break
		}
		if got++; got%8_000 == 0 {
			most = max(most, used())
		}
	}
	if got != 24_000 || most > before+24<<20 {
		t.Errorf("%d rows, %d MiB more than before", got, (most-before)>>20)
	}
}

func TestPartsAreFoundByTheirHour(t *testing.T) {
	name := predictions.Name(noon.Add(90*time.Minute), "abc")
	hour, ok := predictions.Hour("some/prefix/" + name)
	if !ok || !hour.Equal(noon.Add(time.Hour)) || !predictions.Own(name) {
		t.Error(name, hour, ok)
	}
	for _, other := range []string{"a.csv", "date=2026-11-28/a.parquet", "date=x/hour=y/20261128.parquet", ""} {
		if _, ok := predictions.Hour(other); ok || predictions.Own(other) {
			t.Errorf("%q has an hour", other)
		}
	}
}

// A client that sends a text where others send numbers does not make theirs texts, however the rows fall into parts.
func TestAValueKeepsItsTypeWhateverElseAPartHolds(t *testing.T) {
	values := []string{"1", "2.5", `"three"`, "true", `"7"`, "9007199254740993", `{"of":[1]}`, `"\u20ac \"quoted\""`, "null", "[]", `""`, `"<b>"`}
	read := func(each bool) (out []string) {
		dir := t.TempDir()
		l := open(t, Options{Dir: dir})
		for i, x := range values {
			l.Add(asked(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second), x))
			if each || i == len(values)-1 {
				if err := l.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		b, err := bucket.Dir(dir)
		if err != nil {
			t.Fatal(err)
		}
		r := Read(t.Context(), b, Query{})
		defer r.Close()
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			i := slices.Index(r.Columns(), "feature.x")
			if i < 0 || i >= len(row.Cells) || row.Cells[i] == nil {
				out = append(out, "none")
				continue
			}
			out = append(out, fmt.Sprintf("%s, text %t", row.Cells[i], row.Text[i]))
		}
	}
	one, many := read(false), read(true)
	if !slices.Equal(one, many) || one[0] != "1, text false" || one[2] != "three, text true" || one[4] != "7, text true" || one[5] != "9007199254740993, text false" {
		t.Errorf("in one part %q, each in its own %q", one, many)
	}
}
