// Parquet: row groups as parts; nested columns flattened with dots, lists refused.

package table

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/parquet"
)

// mostHeld is the most bytes of pages that reading one file holds, in all its parts.
const mostHeld = 1 << 30

// somewhere is a time that a clock showed: the file does not say where.
const somewhere = "2006-01-02T15:04:05.999999999"

type groups struct {
	file    *parquet.File
	rows    *parquet.Rows
	name    string
	columns []string
	before  int64 // rows of other parts
	bufs    [][]byte
	row     Row
}

func splitParquet(r io.ReaderAt, size int64, name string, n int) ([]Reader, error) {
	f, err := parquet.Open(r, size)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: read Parquet: %w", name, err), "write the file again")
	}
	columns, err := flat(f, name)
	if err != nil {
		return nil, err
	}
	n = max(1, min(n, len(f.Groups), int(mostHeld/max(1, f.Weight()))))
	var out []Reader
	var before int64
	for i := range n {
		from, to := i*len(f.Groups)/n, (i+1)*len(f.Groups)/n
		out = append(out, &groups{file: f, rows: f.Rows(from, to, mostHeld/int64(n)), name: name, columns: columns, before: before})
		for _, g := range f.Groups[from:to] {
			before += g.Rows
		}
	}
	return out, nil
}

// flat names the columns, and refuses lists and columns that would have one name.
func flat(f *parquet.File, name string) ([]string, error) {
	if len(f.Columns) > mostColumns {
		return nil, crowded(name, 0, 0)
	}
	columns, seen := make([]string, 0, len(f.Columns)), map[string]bool{}
	for _, c := range f.Columns {
		column := strings.Join(c.Path, ".")
		if c.Repeats {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s: column %q is a list or map", name, cut(column)),
				"keep lists in a file of their own, or declare spec.format.type: folder")
		}
		if seen[column] {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s: two columns have the name %q", name, cut(column)),
				"rename one of them; a column of a structure is named with a dot")
		}
		seen[column] = true
		columns = append(columns, column)
	}
	return columns, nil
}

func (g *groups) Columns() []string { return g.columns }

// Kinds are what the columns' values are, as the file's schema says.
func (g *groups) Kinds() []kind {
	out := make([]kind, len(g.columns))
	for i := range out {
		out[i] = kindOf(&g.file.Columns[i])
	}
	return out
}

func kindOf(c *parquet.Column) kind {
	switch c.Means {
	case parquet.Nothing:
		return kinds // whatever is declared
	case parquet.Date:
		return date
	case parquet.Timestamp:
		return timestamp
	case parquet.Time, parquet.UUID:
		return text
	case parquet.Decimal:
		if c.Scale == 0 {
			return integer
		}
		return number
	case parquet.Unsigned:
		return integer
	case parquet.Half:
		return number
	}
	switch c.Type {
	case parquet.Boolean:
		return boolean
	case parquet.Int32, parquet.Int64:
		return integer
	case parquet.Int96:
		return timestamp
	case parquet.Float, parquet.Double:
		return number
	}
	return text
}

func (g *groups) Next() (*Row, error) {
	if g.row.Cells == nil {
		g.row.Cells, g.row.Text, g.bufs = make([][]byte, len(g.columns)), make([]bool, len(g.columns)), make([][]byte, len(g.columns))
	}
	err := g.rows.Next(g.row.Cells)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	g.row.Number++
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: row %d: read Parquet: %w", g.name, g.before+g.row.Number, err), "write the file again")
	}
	size := 0
	for i, v := range g.row.Cells {
		if v == nil {
			g.row.Text[i] = false
			continue
		}
		size += len(v)
		if g.bufs[i], g.row.Text[i] = cell(g.bufs[i][:0], v, &g.file.Columns[i]); g.bufs[i] == nil {
			continue // it is as it stands
		}
		if g.row.Cells[i] = g.bufs[i]; len(g.bufs[i]) == 0 && !g.row.Text[i] {
			g.row.Cells[i] = nil
		}
	}
	if size > LongestRow {
		return nil, invalid(g.name, g.before+g.row.Number, 0, "is longer than %d MiB", LongestRow>>20)
	}
	return &g.row, nil
}

// cell appends a value as text to b, nothing for no value, and says whether it is text
// whatever it looks like. It is nil where the value is its own text.
func cell(b, v []byte, c *parquet.Column) ([]byte, bool) {
	if b == nil {
		b = []byte{}
	}
	var x int64
	switch c.Type {
	case parquet.Int32:
		x = int64(int32(binary.LittleEndian.Uint32(v)))
	case parquet.Int64:
		x = int64(binary.LittleEndian.Uint64(v))
	}
	switch c.Means {
	case parquet.Date:
		return time.Unix(x*86400, 0).UTC().AppendFormat(b, time.DateOnly), false
	case parquet.Timestamp:
		layout := somewhere
		if c.UTC {
			layout = time.RFC3339Nano
		}
		return since(x, c.Second).AppendFormat(b, layout), false
	case parquet.Time:
		return since(x, c.Second).AppendFormat(b, "15:04:05.999999999"), false
	case parquet.Decimal:
		return decimal(b, v, c, x), false
	case parquet.Unsigned:
		if c.Type == parquet.Int32 {
			x = int64(uint32(x))
		}
		return strconv.AppendUint(b, uint64(x), 10), false
	case parquet.Half:
		return float(b, half(binary.LittleEndian.Uint16(v)), 32)
	case parquet.JSON:
		return fromJSON(b, v)
	case parquet.UUID:
		b = hex.AppendEncode(b, v)
		return fmt.Appendf(nil, "%s-%s-%s-%s-%s", b[:8], b[8:12], b[12:16], b[16:20], b[20:]), true
	}
	switch c.Type {
	case parquet.Boolean:
		return strconv.AppendBool(b, v[0] == 1), false
	case parquet.Int32, parquet.Int64:
		return strconv.AppendInt(b, x, 10), false
	case parquet.Int96:
		// Nanoseconds of a day, and the day as astronomers count: as Impala and old Spark write,
		// the one what a clock showed, the other a moment.
		const epoch = 2_440_588
		day := int64(int32(binary.LittleEndian.Uint32(v[8:])))
		t := time.Unix((day-epoch)*86400, 0).Add(time.Duration(binary.LittleEndian.Uint64(v)))
		return t.UTC().AppendFormat(b, somewhere), false
	case parquet.Float:
		return float(b, float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 32)
	case parquet.Double:
		return float(b, math.Float64frombits(binary.LittleEndian.Uint64(v)), 64)
	}
	return nil, true
}

// fromJSON appends a value of JSON as a line of JSON would have it: a string without its quotes, a number that is no text, nothing for null.
func fromJSON(b, v []byte) ([]byte, bool) {
	v = bytes.Trim(v, " \t\r\n")
	if !json.Valid(v) || v[0] == '{' || v[0] == '[' {
		return nil, true
	}
	switch v[0] {
	case '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return nil, true
		}
		return append(b, s...), true
	case 'n':
		return b, false
	}
	return append(b, v...), false
}

// float takes NaN for no value, as pandas does.
func float(b []byte, x float64, size int) ([]byte, bool) {
	if x != x {
		return b, false
	}
	from := len(b)
	b = strconv.AppendFloat(b, x, 'g', -1, size)
	if math.Abs(x) < 1<<53 && x == math.Trunc(x) && !strings.ContainsAny(string(b[from:]), ".e") {
		b = append(b, '.', '0')
	}
	return b, false
}

// half is a number of 16 bits (IEEE 754).
func half(x uint16) float64 {
	sign, exponent, fraction := 1.0, int(x>>10&31), float64(x&1023)
	if x>>15 == 1 {
		sign = -1
	}
	switch {
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	case exponent < 31:
		return sign * math.Ldexp(1024+fraction, exponent-25)
	case fraction == 0:
		return math.Inf(int(sign))
	}
	return math.NaN()
}

// since is the time x parts of a second after 1970 began.
func since(x, second int64) time.Time {
	return time.Unix(x/second, x%second*(1e9/second)).UTC()
}

// decimal writes a whole number with its point: x, or v where it is bytes.
func decimal(b, v []byte, c *parquet.Column, x int64) []byte {
	var digits []byte
	if c.Type == parquet.Int32 || c.Type == parquet.Int64 {
		digits = strconv.AppendInt(nil, x, 10)
	} else {
		n := new(big.Int).SetBytes(v)
		if len(v) > 0 && v[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
		}
		digits = n.Append(nil, 10)
	}
	if digits[0] == '-' {
		b, digits = append(b, '-'), digits[1:]
	}
	if short := c.Scale + 1 - len(digits); short > 0 {
		digits = append(bytes.Repeat([]byte{'0'}, short), digits...)
	}
	b = append(b, digits[:len(digits)-c.Scale]...)
	if c.Scale > 0 {
		b = append(append(b, '.'), digits[len(digits)-c.Scale:]...)
	}
	return b
}
