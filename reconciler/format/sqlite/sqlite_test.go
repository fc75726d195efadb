// What SQLite itself wrote is what is read, and no bytes bring the reader to a fall.

package sqlite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/sqlite"
)

// made is a database that Python's SQLite writes, by statements.
func made(t testing.TB, script string) []byte {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is not there, whose SQLite this is held against")
	}
	file := filepath.Join(t.TempDir(), "x.db")
	cmd := exec.Command(python, "-c", "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\n"+script+"\nc.commit()", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func all(raw []byte, table string, columns ...string) (out [][]sqlite.Value, err error) {
	d, err := sqlite.Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	err = d.Table(table, columns, func(row []sqlite.Value) error { out = append(out, row); return nil })
	return out, err
}

func TestRowsAreWhatSQLiteWrote(t *testing.T) {
	raw := made(t, `
c.execute('create table "m" ("key" VARCHAR(250) NOT NULL, value FLOAT NOT NULL, step BIGINT DEFAULT \'0, (x\' NOT NULL, b BLOB, PRIMARY KEY ("key"), CHECK (step IN (0, 1)) )'.replace('CHECK (step IN (0, 1))', 'UNIQUE (value, step)'))
for i in range(3000):
    c.execute('insert into m values (?,?,?,?)', ('loss/%d' % i, i / 7, (-1) ** i * i ** 5, None))
c.execute('insert into m values (?,?,?,?)', ('long', 1e300, 2**62, b'\x01' * 50000))
c.execute('alter table m add column late TEXT')
c.execute('insert into m values (?,?,?,?,?)', ('last', -0.5, -1, None, 'é'))
c.execute('delete from m where step between -3000 and 3000')`)
	rows, err := all(raw, "m", "step", "key", "value", "late", "b")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]sqlite.Value{}
	for i := range 3000 {
		step := int64(i)
		step = step * step * step * step * step
		if i%2 == 1 {
			step = -step
		}
		if step < -3000 || step > 3000 {
			want[fmt.Sprintf("loss/%d", i)] = []sqlite.Value{step, fmt.Sprintf("loss/%d", i), float64(i) / 7, nil, nil}
		}
	}
	want["long"] = []sqlite.Value{int64(1) << 62, "long", 1e300, nil, bytes.Repeat([]byte{1}, 50000)}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for _, row := range rows {
		key := row[1].(string)
		if v, isInt := row[2].(int64); isInt { // SQLite keeps whole numbers of a FLOAT so
			row[2] = float64(v)
		}
		if !reflect.DeepEqual(row, want[key]) {
			g, _ := json.Marshal(row[:4])
			t.Errorf("%s: got %s", key, g)
		}
	}
}

func TestWhatIsNoTableIsRefused(t *testing.T) {
	raw := made(t, `c.execute('create table a (x INTEGER)')`)
	for name, c := range map[string]struct {
		raw     []byte
		table   string
		columns []string
		says    string
	}{
		"no database":       {[]byte(strings.Repeat("x", 200)), "a", nil, "it is none"},
		"nothing":           {nil, "a", nil, "it is none"},
		"cut in its header": {raw[:50], "a", nil, "it is none"},
		"cut in a page":     {raw[:len(raw)-1], "a", nil, "begins nowhere"},
		"no such table":     {raw, "b", nil, "no table b"},
		"no such column":    {raw, "a", []string{"y"}, "no column y"},
	} {
		if _, err := all(c.raw, c.table, c.columns...); fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestATreeThatGoesInCirclesEnds: a page names itself as its child.
func TestATreeThatGoesInCirclesEnds(t *testing.T) {
	raw := made(t, `
c.execute('create table a (x TEXT)')
for i in range(1000): c.execute('insert into a values (?)', ('x' * 200,))`)
	root := raw[4096:] // the second page, where the table begins
	if root[0] != 5 {
		t.Fatalf("page 2 is of kind %d", root[0])
	}
	copy(root[8:12], []byte{0, 0, 0, 2})
	if _, err := all(raw, "a", "x"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got %v", err)
	}
}

func TestRowsThatLieOverEachOtherAreRefused(t *testing.T) {
	raw := made(t, `
c.execute('pragma page_size = 65536')
c.execute('vacuum')
c.execute('create table m (a)')
c.execute('insert into m values (?)', ('x' * 30000,))`)
	const page = 65536
	leaf := raw[page : 2*page]
	if leaf[0] != 0x0d || leaf[4] != 1 {
		t.Fatalf("the table is not on the second page: %x", leaf[:8])
	}
	for i := 0; i < 16_000; i++ { // each of as many rows is the one that is there
		copy(leaf[8+2*i:], leaf[8:10])
	}
	leaf[3], leaf[4] = 16_000>>8, 16_000&0xff
	rows, err := all(raw, "m", "a")
	if fault.Of(err) != fault.Invalid || len(rows) > 2 {
		t.Errorf("%d rows of 30000 bytes on one page, %v", len(rows), err)
	}
}

func FuzzSQLite(f *testing.F) {
	f.Add(made(f, `
c.execute('create table a (x TEXT, y REAL)')
for i in range(30): c.execute('insert into a values (?, ?)', ('x' * 2000, i / 3))`))
	f.Add(made(f, "c.execute('pragma page_size=512'); c.execute('vacuum'); c.execute('create table a (x TEXT, y REAL)'); c.execute('insert into a values (?,?)', ('y' * 3000, 1))"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows := 0
		d, err := sqlite.Open(bytes.NewReader(raw), int64(len(raw)))
		if err == nil {
			err = d.Table("a", []string{"x"}, func([]sqlite.Value) error { rows++; return nil })
		}
		if err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
		if rows > len(raw) {
			t.Errorf("%d rows of %d bytes", rows, len(raw))
		}
	})
}
