// What is declared of one column, and which cells do not keep to it.

package table

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

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
	alone       Violation // dates without a time, of this file
	clocks      int64     // and its values that have one
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

// keep adds what a whole pass found of its class.
func (p *promise) keep() {
	p.done.Count += p.doubles.Count
	p.done.Examples = append(p.done.Examples, p.doubles.Examples...)
	p.done.Examples = p.done.Examples[:min(examples, len(p.done.Examples))]
	p.doubles = &Violation{}
}

// time takes a value of a column of timestamps that is one, or a date alone: pandas and R
// leave the time out where all of a file are midnights, and only there.
func (p *promise) time(k kind, c *Checker, row *Row, cell []byte) {
	switch k {
	case date:
		p.count(&p.alone, c.example(row, cell))
	case timestamp:
		p.clocks++
	}
}

// endFile tells of dates alone that stand beside times.
func (p *promise) endFile() {
	if p.clocks > 0 && p.alone.Count > 0 {
		p.violation("type timestamp, and a time as other values of the file have").join(p.alone, func(e Example) Example { return e })
	}
	p.alone, p.clocks = Violation{}, 0
}

// join adds what another found to v.
func (v *Violation) join(found Violation, at func(Example) Example) {
	v.Count += found.Count
	for _, e := range found.Examples {
		if len(v.Examples) < examples {
			v.Examples = append(v.Examples, at(e))
		}
	}
}

// broken names the rule that a value breaks, or "", and tells what the value is.
func (p *promise) broken(cell []byte, isText bool) (string, kind) {
	if cell == nil {
		if p.col.Required {
			return "required", kinds
		}
		return "", kinds
	}
	k, x := text, 0.0
	if !isText {
		k, x = classify(cell)
	}
	return p.unkept(cell, k, x), k
}

// unkept names the rule that a value of kind k breaks, or "".
func (p *promise) unkept(cell []byte, k kind, x float64) string {
	numeric := k == integer || k == number
	if rule := p.wrong(k, x); rule != "" {
		return rule + untold(p.col.Type, cell)
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

// untold says what is known of a value that is none of the declared type: as databases,
// spreadsheets and pandas write what is read here in another way, or not at all.
func untold(declared string, cell []byte) string {
	said := string(cell[:min(len(cell), 64)])
	numeric := declared == "number" || declared == "integer"
	switch {
	case slices.ContainsFunc([]string{"na", "n/a", "n.a.", "nan", "null", "none", "nil", "-", "?", "#n/a"}, func(s string) bool { return strings.EqualFold(s, said) }):
		return " (if that is no value, list it under spec.format.nulls)"
	case numeric && commas.MatchString(said):
		return " (a comma in a number is not read: write a point before decimals, and nothing between thousands)"
	case declared == "integer" && whole.MatchString(said):
		return " (pandas writes a whole number so in a column with gaps: write it without the point, or declare a number)"
	case declared == "boolean" && truths.MatchString(said):
		return " (write true or false)"
	case declared != "date" && declared != "timestamp":
		return ""
	case said == "infinity", said == "-infinity":
		return " (PostgreSQL's infinity is no moment: export it as an empty value)"
	case strings.HasSuffix(said, " BC"):
		return " (years before Christ are not read: export the column as text, and declare it a string)"
	case days.MatchString(said):
		return " (write a day as 2006-01-02)"
	}
	return ""
}

var (
	commas = lazyregexp.New(`^[+-]?[0-9.]*[0-9],[0-9][0-9.,]*$`)
	whole  = lazyregexp.New(`^[+-]?[0-9]+\.0*$`)
	truths = lazyregexp.New(`^(?i:t|f|y|n|yes|no|on|off)$`)
	days   = lazyregexp.New(`^([0-9]{8}|[0-9]{4}[/.][0-9]{1,2}[/.][0-9]{1,2}|[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}|[0-9]{4}-([0-9]-[0-9]{1,2}|[0-9]{2}-[0-9]))$`)
)

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
		ok = k == timestamp || k == date // see time
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
