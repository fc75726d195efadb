// The checks: rows held against what a Dataset declares.

package table

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
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

type promise struct {
	name    string
	col     schemas.Column
	pattern *regexp.Regexp
	secret  bool
	fresh   bool
	met     bool
	found   map[string]*Violation
	// Values whose hash is part modulo parts are counted in this pass.
	parts, part uint64
	seen        map[xxh3.Uint128]struct{}
	doubles     *Violation
	left        []class // for other passes
	retry       bool    // the class was halved on the way: what was counted is of more than it
	done        Violation
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
		for rule, found := range p.found {
			v := c.columns[i].violation(rule)
			v.Count += found.Count
			for _, e := range found.Examples {
				if len(v.Examples) < examples {
					e.File, e.Row = c.file, e.Row+c.rows-c.before
					v.Examples = append(v.Examples, e)
				}
			}
		}
	}
	c.rows += o.rows
	c.newest = max(c.newest, o.newest)
}

// violation is the one of a rule.
func (p *promise) violation(rule string) *Violation {
	v := p.found[rule]
	if v == nil {
		v = &Violation{Column: p.name, Rule: rule}
		p.found[rule] = v
	}
	return v
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
		if rule := p.broken(cell, isText); rule != "" {
			p.count(p.violation(rule), c.example(row, cell))
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

// meet is called before the first row that has the column: of JSON lines, rows before it
// may have had nothing of that name.
func (p *promise) meet(c *Checker) {
	p.met = true
	if n := c.rows - c.before; n > 0 && p.col.Required && !c.again {
		v := p.violation("required")
		if v.Count += n; len(v.Examples) < examples {
			v.Examples = append(v.Examples, Example{File: c.file, Row: 1})
		}
	}
}

func (p *promise) count(v *Violation, e Example) {
	if v.Count++; len(v.Examples) < examples {
		if p.secret {
			e.Value = ""
		}
		v.Examples = append(v.Examples, e)
	}
}

// unique counts values met before. When too many are held, half of them are left
// to another pass, and this one begins anew in what it says of them.
func (p *promise) unique(c *Checker, row *Row, cell []byte) {
	h := xxh3.Hash128(cell)
	if h.Lo%p.parts != p.part {
		return
	}
	if _, twice := p.seen[h]; twice {
		p.count(p.doubles, c.example(row, cell))
		return
	}
	if p.seen[h] = struct{}{}; len(p.seen) <= held {
		return
	}
	p.left = append(p.left, class{p.parts * 2, p.part + p.parts})
	p.parts *= 2
	maps.DeleteFunc(p.seen, func(h xxh3.Uint128, _ struct{}) bool { return h.Lo%p.parts != p.part })
	p.retry = true
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

// keep adds what a whole pass found of its class.
func (p *promise) keep() {
	p.done.Count += p.doubles.Count
	p.done.Examples = append(p.done.Examples, p.doubles.Examples...)
	p.done.Examples = p.done.Examples[:min(examples, len(p.done.Examples))]
	p.doubles = &Violation{}
}

// broken names the rule that a value breaks, or "".
func (p *promise) broken(cell []byte, isText bool) string {
	if cell == nil {
		if p.col.Required {
			return "required"
		}
		return ""
	}
	k, x := text, 0.0
	if !isText {
		k, x = classify(cell)
	}
	numeric := k == integer || k == number
	if rule := p.wrong(k, x); rule != "" {
		return rule
	}
	switch {
	case p.col.Min != nil && x < *p.col.Min:
		return "min " + strconv.FormatFloat(*p.col.Min, 'g', -1, 64)
	case p.col.Max != nil && x > *p.col.Max:
		return "max " + strconv.FormatFloat(*p.col.Max, 'g', -1, 64)
	case len(p.col.Values) > 0 && !p.lists(cell, numeric, x):
		return "values"
	case p.pattern != nil && !p.pattern.Match(cell):
		return "pattern " + p.col.Pattern
	}
	return ""
}

// wrong names the rule about types that a value of kind k breaks, or "".
func (p *promise) wrong(k kind, x float64) string {
	numeric, ok := k == integer || k == number, true
	switch p.col.Type {
	case "integer":
		ok = k == integer
	case "number":
		ok = numeric
	case "boolean":
		ok = k == boolean || k == integer && (x == 0 || x == 1)
	case "date":
		ok = k == date
	case "timestamp":
		ok = k == timestamp
	}
	switch {
	case !ok:
		return "type " + p.col.Type
	case (p.col.Min != nil || p.col.Max != nil) && !numeric:
		return "type number"
	}
	return ""
}

// lists tells whether a cell is one of the values allowed: the same text, or, where the
// column is of numbers, the same number.
func (p *promise) lists(cell []byte, numeric bool, x float64) bool {
	return slices.ContainsFunc(p.col.Values, func(v schemas.Value) bool {
		if string(v) == string(cell) {
			return true
		}
		if !numeric || p.col.Type != "integer" && p.col.Type != "number" {
			return false
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return err == nil && f == x
	})
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
