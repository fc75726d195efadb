// Package table reads rows of CSV, JSON lines and Parquet as a stream, holds
// them against what is declared and profiles them. It is pure: it reads what it
// is given, in bounded memory; whoever calls it opens files and runs in parallel.
package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// LongestRow is the most bytes that one row may take.
const LongestRow = 64 << 20

// mostColumns is the most columns that a table may have: what is kept of each takes
// some 50 KB.
const mostColumns = 1 << 14

// Row is one row of data. It is valid until the next one is read.
type Row struct {
	Number int64    // of the data rows of this reader, from 1
	Line   int64    // of the file, from 1; 0 where the format has no lines
	Cells  [][]byte // in the order of Columns, perhaps fewer; nil is no value
	Text   []bool   // which cells are text whatever they look like; nil where the format does not say
}

// Reader reads rows.
type Reader interface {
	// Columns names the columns met so far; JSON lines may bring more with every row.
	Columns() []string
	// Next reads the next row; io.EOF is the end.
	Next() (*Row, error)
}

// FormatOf completes a declared format with what the file's name says.
func FormatOf(f schemas.Format, name string) (schemas.Format, error) {
	if f.Type != "" {
		return f, nil
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".csv":
		f.Type = "csv"
	case ".tsv":
		f.Type = "csv"
		if f.Delimiter == "" {
			f.Delimiter = "\t"
		}
	case ".jsonl", ".ndjson":
		f.Type = "jsonl"
	case ".parquet":
		f.Type = "parquet"
	default:
		return f, fault.WithHint(fault.New(fault.Invalid, "%s: the name does not say its format", name),
			"declare spec.format.type: csv, jsonl, parquet or folder")
	}
	return f, nil
}

// Open reads the rows of one file; name stands in messages.
func Open(r io.ReaderAt, size int64, f schemas.Format, name string) (Reader, error) {
	readers, err := Split(r, size, f, name, 1)
	if err != nil {
		return nil, err
	}
	return readers[0], nil
}

// Split opens one file as at most n readers, which may be read at once and whose
// rows one after another are the file's. A Row.Number counts within its reader.
// Finding row borders reads the file once; what cannot be split is one reader.
func Split(r io.ReaderAt, size int64, f schemas.Format, name string, n int) ([]Reader, error) {
	f, err := FormatOf(f, name)
	if err != nil {
		return nil, err
	}
	if err := legible(r, f, name); err != nil {
		return nil, err
	}
	switch f.Type {
	case "csv":
		return splitCSV(r, size, f, name, n)
	case "jsonl":
		in, decodes, err := decoded(io.NewSectionReader(r, 0, size), f.Encoding, name)
		if err != nil {
			return nil, err
		}
		return []Reader{newLines(in, decodes, f, name)}, nil
	case "parquet":
		return splitParquet(r, size, name, n)
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "%s: format %s has no rows", name, f.Type), "declare spec.format.type: csv, jsonl or parquet")
}

// legible refuses compressed files under the name of a text: their first bytes cannot
// begin one.
func legible(r io.ReaderAt, f schemas.Format, name string) error {
	if f.Type != "csv" && f.Type != "jsonl" {
		return nil
	}
	begin := make([]byte, 4)
	n, err := r.ReadAt(begin, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for by, mark := range map[string]string{"gzip": "\x1f\x8b\x08", "zip": "PK\x03\x04", "zstd": "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(begin[:n], []byte(mark)) {
			return fault.WithHint(fault.New(fault.Invalid, "%s: is compressed by %s", name, by),
				"keep the table uncompressed, keep it as Parquet, or declare spec.format.type: folder")
		}
	}
	return nil
}

// crowded refuses tables of too many columns.
func crowded(name string, row, line int64) error {
	return invalid(name, row, line, "the table has more than %d columns", mostColumns)
}

// invalid is an error about the data itself.
func invalid(name string, row, line int64, format string, args ...any) error {
	where := name
	if line > 0 {
		where = fmt.Sprintf("%s:%d", name, line)
	}
	return fault.WithHint(fault.New(fault.Invalid, "%s: row %d: %s", where, row, fmt.Sprintf(format, args...)),
		"fix the file, or declare how it is written in spec.format")
}
