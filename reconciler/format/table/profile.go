// The profile of a table: what a person wants to know of data before using it,
// taken in one pass and constant memory.

package table

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/schemas"
)

// Profile is inert: it is kept as JSON beside the data.
type Profile struct {
	Rows    int64           `json:"rows"`
	Bytes   int64           `json:"bytes"`
	Columns []ColumnProfile `json:"columns"`
	// Violations are the promises that the rows break, where that only warns.
	Violations []Violation `json:"violations,omitempty"`
}

// ColumnProfile describes one column. A personal one holds no values.
type ColumnProfile struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // as in schemas.Column; "" where no row has a value
	Personal bool     `json:"personal,omitempty"`
	Nulls    int64    `json:"nulls"`
	Distinct uint64   `json:"distinct"` // within 2 %; exact up to 256
	Min      string   `json:"min,omitempty"`
	Max      string   `json:"max,omitempty"`
	Numbers  *Numbers `json:"numbers,omitempty"`
	Top      []Count  `json:"top,omitempty"`
	TopError int64    `json:"topError,omitempty"` // each count of Top is too small by at most this
	Lengths  *Lengths `json:"lengths,omitempty"`
}

// Numbers describes the values of a numeric column.
type Numbers struct {
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Mean      float64   `json:"mean"`
	Deviation float64   `json:"deviation"` // of the sample
	Quantiles Quantiles `json:"quantiles"`
	Histogram []int64   `json:"histogram"` // equal bins from Min to Max
}

// Quantiles are within 1 % of the value at their rank.
type Quantiles struct {
	P1  float64 `json:"p1"`
	P5  float64 `json:"p5"`
	P25 float64 `json:"p25"`
	P50 float64 `json:"p50"`
	P75 float64 `json:"p75"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Count is a value and how often it stands.
type Count struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Lengths are in characters.
type Lengths struct {
	Min  int     `json:"min"`
	Max  int     `json:"max"`
	Mean float64 `json:"mean"`
}

// Profiler takes a profile row by row.
type Profiler struct {
	personal map[string]bool
	rows     int64
	columns  []*column
}

// NewProfiler heeds which of the declared columns are personal.
func NewProfiler(declared map[string]schemas.Column) *Profiler {
	p := &Profiler{personal: map[string]bool{}}
	for name, c := range declared {
		p.personal[name] = slices.Contains(c.Tags, "personal")
	}
	return p
}

// Scan reads all rows into the profile and past the checks, either of which may
// be nil. stop is asked every few thousand rows and ends the scan with its error.
func Scan(r Reader, p *Profiler, c *Checker, stop func() error) error {
	if p != nil {
		if err := p.widen(r.Columns()); err != nil {
			return err
		}
	}
	if c != nil {
		c.header(r.Columns())
		if typed, ok := r.(interface{ Kinds() []kind }); ok {
			c.kinds = typed.Kinds()
		}
	}
	for n := 0; ; n++ {
		if n%4096 == 0 && stop != nil {
			if err := stop(); err != nil {
				return err
			}
		}
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p != nil {
			if err := p.add(row, r.Columns()); err != nil {
				return err
			}
		}
		if c != nil {
			c.add(row, r.Columns())
		}
	}
}

func (p *Profiler) add(row *Row, names []string) error {
	if err := p.widen(names); err != nil {
		return err
	}
	p.rows++
	for i, c := range p.columns {
		if i >= len(row.Cells) {
			c.nulls++
			continue
		}
		c.add(row.Cells[i], row.Text != nil && row.Text[i])
	}
	return nil
}

func (p *Profiler) widen(names []string) error {
	for _, name := range names[min(len(p.columns), len(names)):] {
		c, err := newColumn(name, p.personal[name], len(names))
		if err != nil {
			return err
		}
		c.nulls = p.rows
		p.columns = append(p.columns, c)
	}
	return nil
}

// Merge adds another part's rows. Columns are matched by name.
func (p *Profiler) Merge(o *Profiler) error {
	for _, c := range p.columns {
		if !slices.ContainsFunc(o.columns, func(d *column) bool { return d.name == c.name }) {
			c.nulls += o.rows
		}
	}
	for _, c := range o.columns {
		i := slices.IndexFunc(p.columns, func(d *column) bool { return d.name == c.name })
		if i < 0 {
			c.nulls += p.rows
			p.columns = append(p.columns, c)
			continue
		}
		if err := p.columns[i].merge(c); err != nil {
			return err
		}
	}
	p.rows += o.rows
	return nil
}

// Exact is up to how many distinct values they are counted, and not estimated.
const Exact = counters

// Profile is what has been seen; bytes is the size of what was read.
func (p *Profiler) Profile(bytes int64) Profile {
	out := Profile{Rows: p.rows, Bytes: bytes, Columns: []ColumnProfile{}}
	for _, c := range p.columns {
		out.Columns = append(out.Columns, c.profile())
	}
	return out
}

func (c *column) profile() ColumnProfile {
	c.settle()
	k, values := c.kind()
	out := ColumnProfile{Name: c.name, Personal: c.personal, Nulls: c.nulls, Distinct: c.distinct.Estimate()}
	if c.top.base == 0 {
		out.Distinct = uint64(len(c.top.entries))
	}
	out.Distinct = min(out.Distinct, uint64(values))
	if values == 0 {
		return out
	}
	out.Type = kindNames[k]
	if k == text {
		out.Lengths = &Lengths{c.short, c.long, float64(c.characters) / float64(values)}
	}
	if c.personal {
		return out
	}
	out.TopError = c.top.base
	for _, e := range c.top.entries {
		if e.count <= c.top.base/8 {
			continue // a small part of its own error says nothing
		}
		out.Top = append(out.Top, Count{cut(string(e.text)), e.count})
	}
	slices.SortFunc(out.Top, func(a, b Count) int {
		if a.Count != b.Count {
			return int(max(-1, min(1, b.Count-a.Count)))
		}
		return strings.Compare(a.Value, b.Value)
	})
	out.Top = out.Top[:min(10, len(out.Top))]
	switch k {
	case number, integer:
		out.Numbers = c.numbers()
	case text:
		out.Min, out.Max = cut(string(c.first)), cut(string(c.last))
	case date, timestamp:
		out.Min, out.Max = cut(string(c.early.text)), cut(string(c.late.text))
	}
	return out
}

// kind is the narrowest type that holds every value.
func (c *column) kind() (k kind, values int64) {
	for _, n := range c.of {
		values += n
	}
	switch values {
	case c.of[integer]:
		return integer, values
	case c.of[integer] + c.of[number]:
		return number, values
	case c.of[boolean]:
		return boolean, values
	case c.of[date]:
		return date, values
	case c.of[date] + c.of[timestamp]:
		return timestamp, values
	}
	return text, values
}

func (c *column) numbers() *Numbers {
	n := &Numbers{Min: c.least, Max: c.most, Mean: c.mean}
	if c.n > 1 {
		n.Deviation = math.Sqrt(c.m2 / float64(c.n-1))
	}
	at, err := c.quantiles.GetValuesAtQuantiles([]float64{.01, .05, .25, .5, .75, .95, .99})
	if err == nil {
		for i := range at {
			at[i] = max(c.least, min(c.most, at[i]))
		}
		n.Quantiles = Quantiles{at[0], at[1], at[2], at[3], at[4], at[5], at[6]}
	}
	if c.least == c.most {
		n.Histogram = []int64{c.n}
		return n
	}
	n.Histogram = make([]int64, 20)
	c.quantiles.ForEach(func(value, count float64) bool {
		i := int((value - c.least) / (c.most - c.least) * 20)
		n.Histogram[max(0, min(19, i))] += int64(count)
		return false
	})
	return n
}
