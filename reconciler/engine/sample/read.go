// Package sample reads the samples that are compared: rows go by once, and each column is taken as numbers or names, as Evidently
// tells them apart.
package sample

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/table"
)

const (
	// MostNames is how many different names a column may have before it is text.
	MostNames = 10_000
	// MostHeld is how many numbers all columns together hold in memory, where there is a Spool; it is
	// 64 MB, and as much again for what grows.
	MostHeld = 8 << 20
	// MostValues bounds the numbers of all columns together where there is none: half a gigabyte.
	MostValues = 64 << 20
	longName   = 200
)

// Side is one side as it was read: the reference, or a window.
type Side struct {
	Rows int64
	// Log says that the rows are of a log, whose columns are text as a whole where one request
	// gave text: numbers that are spelled out are numbers there.
	Log bool
	// Spool takes the numbers that are too many to hold; nil: there is none.
	Spool Spool
	// Each does something for each number below n, for several at once where it can; nil: one after the other.
	Each    func(n int, do func(i int))
	columns map[string]*column
	order   []string
	held    int
	most    int    // of them in memory, where there is a Spool; 0: MostHeld
	raw     []byte // what is moved, on its way
}

// column is what is kept of one column.
type column struct {
	numbers      series
	names        map[string]int
	spelled      series // of a log: numbers that stand as text
	nulls, texts int
	fraction     bool // some number is not an integer
	dates        bool
	many         bool // more names than are kept
}

// Row tells whether a row belongs to the side; nil takes all. It is asked with the row's cells
// by the names of the reader's columns.
type Row func(cell func(name string) []byte) (bool, error)

// Read adds the rows of a table. Columns that keep refuses are passed over.
func (s *Side) Read(r table.Reader, keep func(name string) bool, in Row, stop func() error) (err error) {
	if s.columns == nil {
		s.columns = map[string]*column{}
	}
	f := &filling{side: s}
	defer func() {
		if end := f.end(); err == nil {
			err = end
		}
	}()
	var of []*column
	at := map[string]int{}
	for n := 0; ; n++ {
		if n%4096 == 0 && stop != nil {
			if err := stop(); err != nil {
				return err
			}
		}
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			if err := f.end(); err != nil {
				return err
			}
			s.header(r.Columns(), keep)
			return nil
		}
		if err != nil {
			return err
		}
		if names := r.Columns(); len(names) > len(of) {
			if err := f.end(); err != nil {
				return err
			}
			of = s.widen(of, names, keep)
			for i, name := range names {
				at[name] = i
			}
		}
		if in != nil {
			ok, err := in(func(name string) []byte {
				if i, there := at[name]; there && i < len(row.Cells) {
					return row.Cells[i]
				}
				return nil
			})
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		s.Rows++
		if err := f.add(of, row); err != nil {
			return err
		}
	}
}

// header notes columns of a table without rows.
func (s *Side) header(names []string, keep func(string) bool) { s.widen(nil, names, keep) }

func (s *Side) widen(of []*column, names []string, keep func(string) bool) []*column {
	for _, name := range names[len(of):] {
		if keep != nil && !keep(name) {
			of = append(of, nil)
			continue
		}
		c := s.columns[name]
		if c == nil {
			c = &column{names: map[string]int{}, nulls: int(s.Rows)}
			s.columns[name] = c
			s.order = append(s.order, name)
		}
		of = append(of, c)
	}
	return of
}

// hold counts numbers that were kept, and has them moved where they are many.
func (s *Side) hold(kept int) error {
	s.held += kept
	switch {
	case s.Spool != nil && s.held >= cmp.Or(s.most, MostHeld):
		return s.move()
	case s.Spool == nil && s.held > MostValues:
		return fault.WithHint(fault.New(fault.Invalid, "the data has more than %d numbers", MostValues), "narrow the window, or name fewer columns in spec.columns")
	}
	return nil
}

// move has all numbers kept elsewhere.
func (s *Side) move() error {
	for _, name := range s.order {
		c := s.columns[name]
		for _, all := range []*series{&c.numbers, &c.spelled} {
			var err error
			if s.raw, err = all.move(s.Spool, s.raw); err != nil {
				return err
			}
		}
	}
	s.held = 0
	return nil
}

// add takes one value, and tells whether it is kept as a number.
func (c *column) add(cell []byte, isText, log bool) bool {
	kept := false
	if isText && log {
		if x, kind := table.Value(cell); kind == table.IsInteger || kind == table.IsNumber {
			c.spelled.add(x)
			kept = true
		}
	}
	if !isText {
		if d, ok := table.ReadDecimal(cell); ok {
			c.fraction = c.fraction || d.Point
			c.numbers.decimal(d)
			return true
		}
		switch x, kind := table.Value(cell); kind {
		case table.IsInteger, table.IsNumber:
			c.fraction = c.fraction || kind == table.IsNumber
			c.numbers.add(x)
			return true
		case table.IsTime:
			c.dates = true
		}
		switch strings.ToLower(string(bytes.TrimLeft(cell, "+-"))) {
		case "nan", "inf", "infinity": // left out, as is no value
			c.fraction = true
			c.nulls++
			return false
		}
	}
	c.texts++
	if len(cell) > longName {
		cell = cell[:longName]
	}
	if n, there := c.names[string(cell)]; there || len(c.names) < MostNames {
		c.names[string(cell)] = n + 1
	} else {
		c.many = true
	}
	return kept
}

// Columns are the names of the columns, in order.
func (s *Side) Columns() []string { return slices.Clone(s.order) }

// Has tells whether there is such a column.
func (s *Side) Has(name string) bool { return s.columns[name] != nil }

// Type is what a column is: number, category, text, or time; "" of one without a value.
func (s *Side) Type(name string) string {
	c := s.columns[name]
	switch {
	case c == nil || c.numbers.n+c.texts == 0:
		return ""
	case c.texts == 0:
		if !c.fraction && !c.numbers.any {
			return "category"
		}
		return "number"
	case c.dates && c.numbers.n == 0:
		return "time"
	case c.many || len(c.names)+c.numbers.n > (c.texts+c.numbers.n+1)/2 && !c.truths():
		return "text"
	}
	return "category"
}

// truths tells whether all names are true or false.
func (c *column) truths() bool {
	for k := range c.names {
		if !strings.EqualFold(k, "true") && !strings.EqualFold(k, "false") {
			return false
		}
	}
	return c.numbers.n == 0
}

// Sample is the column as typ says: number or category. A value that is none is an error: the
// column is of another type.
func (s *Side) Sample(name, typ string) (*drift.Sample, error) { return s.sample(name, typ, 0) }

// fewTexts is the share of a window's values that may be no numbers: whoever asks a model may ask
// nonsense, and one such request makes a column no other one.
const fewTexts = 0.05

// Window is Sample of a window: a few values of a column of numbers that are none are left out,
// and counted.
func (s *Side) Window(name, typ string) (out *drift.Sample, left int, err error) {
	c := s.columns[name]
	if c == nil || typ != "number" {
		out, err = s.Sample(name, typ)
		return out, 0, err
	}
	left = c.texts - c.spelled.n
	out, err = s.sample(name, typ, max(1, int(fewTexts*float64(c.numbers.n+c.texts))))
	return out, left, err
}

func (s *Side) sample(name, typ string, most int) (*drift.Sample, error) {
	c := s.columns[name]
	if c == nil {
		return nil, fault.New(fault.Missing, "it has no such column")
	}
	if typ == "number" {
		if n := c.texts - c.spelled.n; n > most || n > 0 && c.numbers.n+c.spelled.n == 0 {
			return nil, fault.New(fault.Invalid, "%d of its values are no numbers", n)
		}
		out, err := s.numbers(c)
		if err != nil {
			return nil, err
		}
		out.Whole = out.Whole && !c.fraction && c.spelled.n == 0 // how what is spelled was written is not known
		return out, nil
	}
	if c.many {
		return nil, fault.New(fault.Invalid, "it has more than %d different values", MostNames)
	}
	out, err := c.numbers.sample(s.Spool)
	if err != nil {
		return nil, err
	}
	if c.texts == 0 {
		out.Category = true
		return out, nil
	}
	counts := map[string]int{}
	for k, n := range c.names {
		counts[k] = n
	}
	if out.N() > 0 {
		for k, n := range out.Names().Counts {
			counts[k] += n
		}
	}
	return drift.Categories(counts), nil
}

// numbers are those of a column, the ones that stand as text in a log too.
func (s *Side) numbers(c *column) (*drift.Sample, error) {
	if c.spelled.n == 0 {
		return c.numbers.sample(s.Spool)
	}
	values, err := c.numbers.all(s.Spool)
	if err != nil {
		return nil, err
	}
	spelled, err := c.spelled.all(s.Spool)
	if err != nil {
		return nil, err
	}
	return drift.Numeric(append(slices.Clip(values), spelled...)), nil
}

// Nulls is how many rows have no value in the column.
func (s *Side) Nulls(name string) int {
	if c := s.columns[name]; c != nil {
		return c.nulls
	}
	return int(min(s.Rows, math.MaxInt32))
}
