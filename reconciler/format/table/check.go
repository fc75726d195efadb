// The checks: rows held against what a Dataset declares.

package table

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	examples = 5
	// held is how many values of a unique column are kept in one pass.
	held = 1 << 20
)

// Violation is a promise that the data breaks.
type Violation struct {
	Column   string    `json:"column,omitempty"`
	Rule     string    `json:"rule"`
	Count    int64     `json:"count"`
	Examples []Example `json:"examples,omitempty"`
	// Has are the first columns of the first file in which a column is missing.
	Has []string `json:"has,omitempty"`
}

// Example is a place where it does. Value is empty where the column is personal.
type Example struct {
	File  string `json:"file"`
	Row   int64  `json:"row"`
	Line  int64  `json:"line,omitempty"`
	Value string `json:"value,omitempty"`
}

// Checker holds rows against a declaration. A column declared unique is exact in
// bounded memory: while Again says so, the caller reads everything once more.
type Checker struct {
	file    string
	rows    int64
	before  int64 // rows of other files
	bounds  *schemas.Bounds
	fresh   *schemas.Freshness
	now     time.Time
	newest  float64
	maxAge  time.Duration
	columns []*promise
	at      []int    // of the reader's columns, the promise plus one
	names   []string // the reader's columns
	kinds   []kind   // and what their values are, where the file says so
	again   bool
}

// NewChecker takes the declaration of a dataset; now is for its freshness.
func NewChecker(d *schemas.Dataset, now time.Time) (*Checker, error) {
	c := &Checker{bounds: d.Rows, fresh: d.Freshness, now: now}
	if d.Freshness != nil {
		age, err := schemas.ParseDuration(string(d.Freshness.MaxAge))
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read freshness.maxAge: %w", err), "write it as 24h or 1d")
		}
		c.maxAge = age
	}
	declared := maps.Clone(d.Columns)
	if d.Freshness != nil && d.Freshness.Column != "" {
		if declared == nil {
			declared = map[string]schemas.Column{}
		}
		declared[d.Freshness.Column] = d.Columns[d.Freshness.Column]
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		p := &promise{name: name, col: declared[name], found: map[string]*Violation{}, parts: 1,
			secret: slices.Contains(declared[name].Tags, "personal"), doubles: &Violation{}}
		p.fresh = d.Freshness != nil && d.Freshness.Column == name
		if p.col.Pattern != "" {
			re, err := regexp.Compile(`^(?:` + p.col.Pattern + `)$`)
			if err != nil {
				return nil, fault.WithHint(fault.New(fault.Invalid, "column %q: read pattern: %w", name, err), "write it as RE2 has it")
			}
			p.pattern = re
		}
		if p.col.Unique {
			p.seen = map[xxh3.Uint128]struct{}{}
		}
		c.columns = append(c.columns, p)
	}
	return c, nil
}

// Begin says that the rows which follow are file's.
func (c *Checker) Begin(file string) {
	c.end()
	c.file, c.before, c.at, c.names, c.kinds = file, c.rows, nil, nil, nil
}

// end tells of the columns that the file which ends has not.
func (c *Checker) end() {
	for _, p := range c.columns {
		// A file without rows still says which columns it has, unless its format does not.
		if n := c.rows - c.before; !p.met && (n > 0 || len(c.names) > 0) && !c.again {
			v := p.violation("column is missing")
			v.Count += n
			if v.Has == nil {
				v.Has = slices.Clone(c.names[:min(len(c.names), 2*examples)])
			}
			if len(v.Examples) < examples {
				v.Examples = append(v.Examples, Example{File: c.file})
			}
		}
		p.met = false
		p.endFile()
	}
	if c.rows == c.before && !c.again {
		c.endEmpty()
	}
	c.before, c.names, c.kinds = c.rows, nil, nil
}

// endEmpty tells of the columns of a file without rows whose values could not be what is declared.
func (c *Checker) endEmpty() {
	for i, k := range c.kinds {
		j := slices.IndexFunc(c.columns, func(p *promise) bool { return p.name == c.names[i] })
		if j < 0 || k == kinds {
			continue
		}
		if rule := c.columns[j].wrong(k, 0); rule != "" {
			v := c.columns[j].violation(rule + ", and the column is " + kindNames[k])
			if len(v.Examples) < examples {
				v.Examples = append(v.Examples, Example{File: c.file})
			}
		}
	}
}

// Merge adds the rows of the next part of the file that was begun last: o has seen
// nothing but them. Columns declared unique cannot be held in parts.
func (c *Checker) Merge(o *Checker) {
	if c.names == nil {
		c.names, c.kinds = o.names, o.kinds
	}
	for i, p := range o.columns {
		c.columns[i].met = c.columns[i].met || p.met
		moved := func(e Example) Example {
			e.File, e.Row = c.file, e.Row+c.rows-c.before
			return e
		}
		for rule, found := range p.found {
			c.columns[i].violation(rule).join(*found, moved)
		}
		c.columns[i].alone.join(p.alone, moved)
		c.columns[i].clocks += p.clocks
	}
	c.rows += o.rows
	c.newest = max(c.newest, o.newest)
}

// header says which columns there are, before the first row and with each.
func (c *Checker) header(names []string) {
	c.names = names
	for i := len(c.at); i < len(names); i++ {
		j := slices.IndexFunc(c.columns, func(p *promise) bool { return p.name == names[i] })
		if c.at = append(c.at, j+1); j >= 0 {
			c.columns[j].meet(c)
		}
	}
}

func (c *Checker) add(row *Row, names []string) {
	c.header(names)
	if !c.again {
		c.rows++
	}
	for i, cell := range row.Cells {
		if i >= len(c.at) || c.at[i] == 0 {
			continue
		}
		p := c.columns[c.at[i]-1]
		if p.seen != nil && cell != nil {
			p.unique(c, row, cell)
		}
		if c.again {
			continue
		}
		isText := row.Text != nil && row.Text[i]
		rule, k := p.broken(cell, isText)
		if rule != "" {
			p.count(p.violation(rule), c.example(row, cell))
		} else if p.col.Type == "timestamp" {
			p.time(k, c, row, cell)
		}
		if p.fresh {
			if k, x := classify(cell); k == date || k == timestamp {
				c.newest = max(c.newest, x)
			}
		}
	}
}

func (c *Checker) example(row *Row, cell []byte) Example {
	return Example{c.file, row.Number, row.Line, cut(string(clipped(cell)))}
}

// class is the hashes that leave rest when divided by parts.
type class struct{ parts, rest uint64 }

// Again says whether values of unique columns were left out, and makes ready to
// read everything once more with Scan(r, nil, c, stop).
func (c *Checker) Again() bool {
	c.end()
	more := false
	for _, p := range c.columns {
		if p.seen == nil {
			continue
		}
		switch {
		case p.retry:
			p.retry = false
		case len(p.left) > 0:
			p.keep()
			next := p.left[len(p.left)-1]
			p.left, p.parts, p.part = p.left[:len(p.left)-1], next.parts, next.rest
		default:
			p.keep()
			p.seen = nil
			continue
		}
		p.seen, p.doubles, more = map[xxh3.Uint128]struct{}{}, &Violation{}, true
	}
	c.again, c.at = true, nil
	return more
}

// Violations are all that was found, by column and rule, once Again says no.
func (c *Checker) Violations() []Violation {
	c.end()
	var out []Violation
	if b := c.bounds; b != nil {
		if b.Min != nil && c.rows < *b.Min {
			out = append(out, Violation{Rule: fmt.Sprintf("rows min %d", *b.Min), Count: c.rows})
		}
		if b.Max != nil && c.rows > *b.Max {
			out = append(out, Violation{Rule: fmt.Sprintf("rows max %d", *b.Max), Count: c.rows})
		}
	}
	for _, p := range c.columns {
		for _, rule := range slices.Sorted(maps.Keys(p.found)) {
			out = append(out, *p.found[rule])
		}
		if p.done.Count > 0 {
			v := p.done
			v.Column, v.Rule = p.name, "unique"
			out = append(out, v)
		}
		if p.fresh && c.newest < float64(c.now.Add(-c.maxAge).Unix()) {
			out = append(out, Violation{Column: p.name, Rule: "freshness " + c.maxAge.String(), Count: 1})
		}
	}
	return out
}
