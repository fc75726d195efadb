// Parquet: row groups as parts; nested columns flattened with dots, lists refused.

package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

type groups struct {
	left    []parquet.RowGroup
	rows    parquet.Rows
	name    string
	columns []string
	leaves  []parquet.Node
	before  int64 // rows of other parts
	buf     []parquet.Row
	at, n   int
	row     Row
}

// mostPlaces is the most decimal places of a number; other programs end at 76.
const mostPlaces = 1000

func splitParquet(r io.ReaderAt, size int64, name string, n int) (out []Reader, err error) {
	// The library panics on some broken files.
	defer func() { corrupt(name, recover(), &err) }()
	if err := footed(r, size, name); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: read Parquet: %w", name, err), "write the file again")
	}
	if n := len(f.Schema().Columns()); n > mostColumns {
		return nil, crowded(name, 0, 0)
	}
	var columns []string
	var leaves []parquet.Node
	for _, p := range f.Schema().Columns() {
		leaf, _ := f.Schema().Lookup(p...)
		if leaf.MaxRepetitionLevel > 0 {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s: column %q is a list or map", name, strings.Join(p, ".")),
				"keep lists in a file of their own, or declare spec.format.type: folder")
		}
		if t := leaf.Node.Type().LogicalType(); t != nil {
			if d, ok := t.Value.(*format.DecimalType); ok && (d.Scale < 0 || d.Scale > mostPlaces) {
				return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: column %q has %d decimal places", name, strings.Join(p, "."), d.Scale), "write the file again")
			}
		}
		columns, leaves = append(columns, strings.Join(p, ".")), append(leaves, leaf.Node)
	}
	all := f.RowGroups()
	n = max(1, min(n, len(all)))
	var before int64
	for i := range n {
		part := all[i*len(all)/n : (i+1)*len(all)/n]
		out = append(out, &groups{left: part, name: name, columns: columns, leaves: leaves, before: before, buf: make([]parquet.Row, 64)})
		for _, g := range part {
			before += g.NumRows()
		}
	}
	return out, nil
}

// longestFooter is the most bytes that what a file says of itself may take.
const longestFooter = 256 << 20

// footed refuses a file whose end does not tell of a footer within it: the library makes
// room for up to 4 GiB on the word of a marred one.
func footed(r io.ReaderAt, size int64, name string) error {
	var end [8]byte
	if _, err := r.ReadAt(end[:], max(0, size-8)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	if string(end[4:]) == "PAR1" && length <= min(longestFooter, size-12) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Corrupt, "%s: is no whole Parquet file: its %d bytes do not end with a footer", name, size), "write the file again")
}

func corrupt(where string, panicked any, err *error) {
	if panicked != nil {
		*err = fault.WithHint(fault.New(fault.Corrupt, "%s: read Parquet: %v", where, panicked), "write the file again")
	}
}

func (g *groups) Columns() []string { return g.columns }

func (g *groups) Next() (row *Row, err error) {
	defer func() { corrupt(fmt.Sprintf("%s: row %d", g.name, g.before+g.row.Number+1), recover(), &err) }()
	for g.at == g.n {
		if g.rows == nil {
			if len(g.left) == 0 {
				return nil, io.EOF
			}
			g.rows, g.left = g.left[0].Rows(), g.left[1:]
		}
		n, err := g.rows.ReadRows(g.buf)
		g.at, g.n = 0, n
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: row %d: read Parquet: %w", g.name, g.before+g.row.Number+int64(n)+1, err), "write the file again")
		}
		if n == 0 {
			err := g.rows.Close()
			if g.rows = nil; err != nil {
				return nil, err
			}
		}
	}
	g.row.Number++
	g.row.Cells = make([][]byte, len(g.columns))
	g.row.Text = make([]bool, len(g.columns))
	for _, v := range g.buf[g.at] {
		i := v.Column()
		g.row.Cells[i], g.row.Text[i] = cell(v, g.leaves[i])
	}
	g.at++
	return &g.row, nil
}

// cell is a value as text, and whether it is text whatever it looks like.
func cell(v parquet.Value, leaf parquet.Node) ([]byte, bool) {
	if v.IsNull() {
		return nil, false
	}
	if t := leaf.Type().LogicalType(); t != nil {
		switch l := t.Value.(type) {
		case *format.DateType:
			return time.Unix(int64(v.Int32())*86400, 0).UTC().AppendFormat(nil, time.DateOnly), false
		case *format.TimestampType:
			return since(v.Int64(), l.Unit).AppendFormat(nil, time.RFC3339Nano), false
		case *format.DecimalType:
			return decimal(v, int(l.Scale)), false
		case *format.IntType:
			if !l.IsSigned && v.Kind() == parquet.Int32 {
				return strconv.AppendUint(nil, uint64(v.Uint32()), 10), false
			}
			if !l.IsSigned {
				return strconv.AppendUint(nil, v.Uint64(), 10), false
			}
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(nil, v.Boolean()), false
	case parquet.Int32:
		return strconv.AppendInt(nil, int64(v.Int32()), 10), false
	case parquet.Int64:
		return strconv.AppendInt(nil, v.Int64(), 10), false
	case parquet.Float:
		return float(float64(v.Float()), 32)
	case parquet.Double:
		return float(v.Double(), 64)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return append([]byte{}, v.ByteArray()...), true
	}
	return []byte(v.String()), true
}

// float takes NaN for no value, as pandas does.
func float(x float64, size int) ([]byte, bool) {
	if x != x {
		return nil, false
	}
	b := strconv.AppendFloat(nil, x, 'g', -1, size)
	if x == float64(int64(x)) && !strings.ContainsAny(string(b), ".e") {
		b = append(b, '.', '0')
	}
	return b, false
}

func since(x int64, unit format.TimeUnit) time.Time {
	switch unit.Value.(type) {
	case *format.NanoSeconds:
		return time.Unix(0, x).UTC()
	case *format.MicroSeconds:
		return time.UnixMicro(x).UTC()
	}
	return time.UnixMilli(x).UTC()
}

func decimal(v parquet.Value, scale int) []byte {
	n := new(big.Int)
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		if n.SetBytes(b); len(b) > 0 && b[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	return []byte(new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale))
}
