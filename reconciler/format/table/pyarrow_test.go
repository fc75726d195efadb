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
	var text *string
	if json.Unmarshal(told, &text) == nil {
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
