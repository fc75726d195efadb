// What pyarrow writes is read as pyarrow reads it: in all its codecs, encodings, pages and types.

package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/parquet"
	"github.com/vishwaops/vishwa/schemas"
)

// pyarrow is a Python that has it, where make tools puts it.
func pyarrow(t *testing.T) string {
	t.Helper()
	tools := os.Getenv("VISHWA_TOOLS")
	if tools == "" {
		tools = "../../../.tools/bin"
	}
	python := filepath.Join(tools, "pyarrow")
	if _, err := os.Stat(python); err == nil {
		return python
	}
	const way = "pyarrow is not installed: run make tools, or name the folder that has it in VISHWA_TOOLS"
	if os.Getenv("CI") != "" {
		t.Fatal(way)
	}
	t.Skip(way)
	return ""
}

func TestParquetReadsAsPyarrowDoes(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(pyarrow(t), "testdata/matrix.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(files) < 120 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".parquet"), func(t *testing.T) {
			t.Parallel()
			for _, parts := range []int{1, 3} {
				if err := asPyarrow(file, parts); err != nil {
					t.Errorf("%d parts: %v", parts, err)
				}
			}
		})
	}
}

// asPyarrow holds what is read of a file, in parts, against what pyarrow told of it.
func asPyarrow(file string, parts int) error {
	in, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	told, err := os.Open(strings.TrimSuffix(file, ".parquet") + ".jsonl")
	if err != nil {
		return err
	}
	defer told.Close()
	readers, err := Split(bytes.NewReader(in), int64(len(in)), schemas.Format{}, filepath.Base(file), parts)
	if err != nil {
		return err
	}
	want := bufio.NewReader(told)
	for _, r := range readers {
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			line, err := want.ReadBytes('\n')
			if err != nil {
				return fmt.Errorf("row %d is one too many", row.Number)
			}
			var cells []json.RawMessage
			if err := json.Unmarshal(line, &cells); err != nil || len(cells) != len(row.Cells) {
				return fmt.Errorf("%d cells, want %d: %v", len(row.Cells), len(cells), err)
			}
			for i, c := range cells {
				if !same(row.Cells[i], c) {
					return fmt.Errorf("row %d: %s is %q, want %.200s", row.Number, r.Columns()[i], cut(string(row.Cells[i])), c)
				}
			}
		}
	}
	if _, err := want.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("rows are missing at the end")
	}
	return nil
}

// same compares a cell with what was told: text, no value, or a number as Python writes it.
func same(cell []byte, told json.RawMessage) bool {
	if n := len(told); cell != nil && n == len(cell)+2 && told[0] == '"' && string(told[1:n-1]) == string(cell) && !bytes.Contains(cell, []byte(`\`)) {
		return true // text without an escape, as almost all is
	}
	var text *string
	if told[0] != '{' && json.Unmarshal(told, &text) == nil {
		return (text == nil) == (cell == nil) && (text == nil || *text == string(cell))
	}
	var number struct {
		Float  string
		Double bool
	}
	if json.Unmarshal(told, &number) != nil {
		return false
	}
	size := 32
	if number.Double {
		size = 64
	}
	want, err1 := strconv.ParseFloat(number.Float, size)
	got, err2 := strconv.ParseFloat(string(cell), size)
	return err1 == nil && err2 == nil && want == got && strings.HasPrefix(number.Float, "-") == bytes.HasPrefix(cell, []byte("-"))
}

// What this program writes, pyarrow reads: names, types, missing values and notes.
func TestPyarrowReadsWhatIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.parquet")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	fields := []parquet.Field{{Name: "time", Type: parquet.Int64, Moment: true}, {Name: "feature.a", Type: parquet.Double}, {Name: "yes", Type: parquet.Boolean}, {Name: "n", Type: parquet.Int64}, {Name: "text", Type: parquet.ByteArray, Text: true}, {Name: "none", Type: parquet.Double}}
	w, err := parquet.NewWriter(out, fields, map[string]string{"who": "me"})
	if err == nil {
		err = errors.Join(w.Group(3, []parquet.Cells{{At: []int32{0, 1, 2}, Ints: []int64{0, 1_500_000, -1}}, {At: []int32{1}, Floats: []float64{2.5}}, {At: []int32{0, 2}, Bools: []bool{true, false}},
			{At: []int32{2}, Ints: []int64{1 << 60}}, {At: []int32{0, 1}, Bytes: [][]byte{[]byte("a,\"ä"), {}}}, {}}), w.Close(), out.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	const script = `import sys, pyarrow.parquet as q
t = q.read_table(sys.argv[1]); print(t.schema.metadata[b"who"].decode(), [str(f.type) for f in t.schema])
for r in t.to_pylist(): print({k: str(v) for k, v in r.items()})`
	got, err := exec.Command(pyarrow(t), "-c", script, file).CombinedOutput()
	const want = `me ['timestamp[us, tz=UTC]', 'double', 'bool', 'int64', 'string', 'double']
{'time': '1970-01-01 00:00:00+00:00', 'feature.a': 'None', 'yes': 'True', 'n': 'None', 'text': 'a,"ä', 'none': 'None'}
{'time': '1970-01-01 00:00:01.500000+00:00', 'feature.a': '2.5', 'yes': 'None', 'n': 'None', 'text': '', 'none': 'None'}
{'time': '1969-12-31 23:59:59.999999+00:00', 'feature.a': 'None', 'yes': 'False', 'n': '1152921504606846976', 'text': 'None', 'none': 'None'}
`
	if err != nil || string(got) != want {
		t.Fatalf("%v\n%s", err, got)
	}
}
