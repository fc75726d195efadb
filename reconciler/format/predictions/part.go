// A part: rows by column until there are enough of them, then one Parquet file.

package predictions

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/parquet"
)

// Bounds of a part, so that building it takes bounded memory whatever clients send.
const (
	MostRows     = 1 << 15
	MostBytes    = 16 << 20 // of values
	mostWide     = 2048     // columns of a part; what is beyond stands in other
	perCell      = 40       // bytes that a value takes beside its text
	mostOverflow = 16 << 10 // bytes of what has no column of its own
)

// Part is rows on their way to a file. The zero Part is empty.
type Part struct {
	rows    int
	bytes   int
	columns map[string]*column
	first   time.Time
	last    time.Time
	fixed   []string // columns in the order of the contract
	met     []string // the others, in the order in which they were met
}

type column struct {
	at     []int32
	values []Value
	kinds  [Text + 1]bool
}

// fixedColumns are those of the contract, in its order.
var fixedColumns = []string{ColumnTime, ColumnID, ColumnModel, ColumnRelease, ColumnArm, ColumnStatus, ColumnLatency, ColumnSampling, ColumnPath, ColumnError, ColumnPrediction, ColumnScore}

// Rows is how many there are.
func (p *Part) Rows() int { return p.rows }

// First is the time of the oldest row.
func (p *Part) First() time.Time { return p.first }

// Full tells whether the part is to be written before more is added.
func (p *Part) Full() bool { return p.rows >= MostRows || p.bytes >= MostBytes }

// Add puts a row behind the others.
func (p *Part) Add(r Row) {
	if p.columns == nil {
		p.columns = map[string]*column{}
	}
	if p.rows == 0 || r.Time.Before(p.first) {
		p.first = r.Time
	}
	if p.rows == 0 || r.Time.After(p.last) {
		p.last = r.Time
	}
	p.set(ColumnTime, IntOf(r.Time.UnixMicro()))
	for _, c := range []Cell{{ColumnID, TextOf(r.ID)}, {ColumnModel, TextOf(r.Model)}, {ColumnRelease, TextOf(r.Release)}, {ColumnArm, TextOf(r.Arm)}, {ColumnPath, TextOf(r.Path)}} {
		if c.Value.text != "" {
			p.set(c.Column, c.Value)
		}
	}
	p.set(ColumnStatus, IntOf(int64(r.Status)))
	p.set(ColumnLatency, FloatOf(r.Latency.Seconds()))
	p.set(ColumnSampling, FloatOf(r.Sampling))
	var more strings.Builder
	for _, c := range r.Cells {
		if !p.set(c.Column, c.Value) && more.Len() < mostOverflow {
			if more.Len() > 0 {
				more.WriteByte(' ')
			}
			fmt.Fprintf(&more, "%q:%q", c.Column, clip(c.Value.String(), longestName))
		}
	}
	if more.Len() > 0 {
		p.set(ColumnOther, TextOf(more.String()))
	}
	p.rows++
}

// set is false where the part has no room for another column, or the row has that one.
func (p *Part) set(name string, v Value) bool {
	if v.Kind == Null {
		return true
	}
	c := p.columns[name]
	if c == nil {
		if len(p.columns) >= mostWide && name != ColumnOther {
			return false
		}
		c = &column{}
		p.columns[name] = c
		if slices.Contains(fixedColumns, name) {
			p.fixed = append(p.fixed, name)
		} else {
			p.met = append(p.met, name)
		}
		p.bytes += 256
	}
	if n := len(c.at); n > 0 && c.at[n-1] == int32(p.rows) {
		return name == ColumnOther
	}
	c.at, c.values = append(c.at, int32(p.rows)), append(c.values, v)
	c.kinds[v.Kind] = true
	p.bytes += perCell + len(v.text)
	return true
}

// Notes stand in a part's footer beside its rows.
const (
	NoteDropped = "vishwa.dropped" // requests that were not logged since the part before, for want of room
	NoteVersion = "vishwa.log"     // of this contract
)

// Write writes the part as Parquet; dropped is how many requests are missing before it.
func (p *Part) Write(w io.Writer, dropped int64) error {
	slices.SortFunc(p.fixed, func(a, b string) int { return slices.Index(fixedColumns, a) - slices.Index(fixedColumns, b) })
	names := slices.Concat(p.fixed, p.met)
	fields := make([]parquet.Field, len(names))
	cells := make([]parquet.Cells, len(names))
	for i, name := range names {
		fields[i], cells[i] = p.columns[name].field(name)
	}
	out, err := parquet.NewWriter(w, fields, map[string]string{NoteVersion: "1", NoteDropped: strconv.FormatInt(dropped, 10)})
	if err != nil {
		return err
	}
	if err := out.Group(p.rows, cells); err != nil {
		return err
	}
	return out.Close()
}

// exact is the largest whole number up to which a float holds every one.
const exact = 1 << 53

// field is the column as it is written: as what all its values are, or as JSON, so that what a value is does not depend on which others came
// at about its time.
func (c *column) field(name string) (parquet.Field, parquet.Cells) {
	f, out := parquet.Field{Name: name}, parquet.Cells{At: c.at}
	others := func(kinds ...Kind) bool {
		for k := Bool; k <= Text; k++ {
			if c.kinds[k] && !slices.Contains(kinds, k) {
				return true
			}
		}
		return false
	}
	switch {
	case !others(Bool):
		f.Type = parquet.Boolean
		for _, v := range c.values {
			out.Bools = append(out.Bools, v.boolean())
		}
	case !others(Int):
		f.Type, f.Moment = parquet.Int64, name == ColumnTime
		for _, v := range c.values {
			out.Ints = append(out.Ints, v.int())
		}
	case !others(Int, Float) && !slices.ContainsFunc(c.values, func(v Value) bool { return v.Kind == Int && (v.int() > exact || v.int() < -exact) }):
		f.Type = parquet.Double
		for _, v := range c.values {
			x, _ := v.Number()
			out.Floats = append(out.Floats, x)
		}
	case !others(Text):
		f.Type, f.Text = parquet.ByteArray, true
		for _, v := range c.values {
			out.Bytes = append(out.Bytes, []byte(v.text))
		}
	default:
		f.Type, f.JSON = parquet.ByteArray, true
		for _, v := range c.values {
			out.Bytes = append(out.Bytes, v.json())
		}
	}
	return f, out
}

// Name is where a part that was begun at a time lies: by day and hour, as other programs
// find partitions. token keeps parts of one moment apart.
func Name(begun time.Time, token string) string { return name(begun, "", token) }

// SecondPrefix begins the name of a part of answers that nobody got. Programs that read folders of Parquet leave out what begins with a _.
const SecondPrefix = "_shadow-"

// SecondName is Name of a part of answers that nobody got.
func SecondName(begun time.Time, token string) string { return name(begun, SecondPrefix, token) }

// Second tells by a part's name whether its answers are those that nobody got.
func Second(key string) bool { return strings.HasPrefix(path.Base(key), SecondPrefix) }

func name(begun time.Time, kind, token string) string {
	u := begun.UTC()
	return u.Format("date=2006-01-02/hour=15/") + kind + u.Format("20060102T150405.000000Z-") + token + ".parquet"
}

// Own tells by a part's name whether Name made it: its rows are then of its hour.
func Own(name string) bool {
	const layout = "20060102T150405.000000Z"
	base := strings.TrimPrefix(path.Base(name), SecondPrefix)
	if len(base) < len(layout) {
		return false
	}
	_, err := time.Parse(layout, base[:len(layout)])
	return err == nil
}

// Hour is the hour of a part by its name, and whether the name says one.
func Hour(name string) (time.Time, bool) {
	for at := 0; ; {
		i := strings.Index(name[at:], "date=")
		if i < 0 {
			return time.Time{}, false
		}
		at += i
		const layout = "date=2006-01-02/hour=15"
		if len(name) >= at+len(layout) {
			if t, err := time.Parse(layout, name[at:at+len(layout)]); err == nil {
				return t, true
			}
		}
		at += len("date=")
	}
}
