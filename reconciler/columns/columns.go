// Package columns holds CSV data against its declared columns. It is pure: it
// reads what it is given, row by row, in constant memory.
package columns

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/schemas"
)

// most is how many faults are named before the rest is counted.
const most = 10

// Check reads CSV (RFC 4180, a header row first) and says all that is not as
// declared: a column that is missing, a value of another type, out of range, not
// listed, or empty where it is required. Columns that are not declared pass.
// Empty is the empty string. Lines count from 1, the header's.
func Check(r io.Reader, declared map[string]schemas.Column) error {
	if len(declared) == 0 {
		return nil
	}
	in := csv.NewReader(r)
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty: want a header row")
	}
	if err != nil {
		return fmt.Errorf("read header: %w", err)
	}
	c := checker{}
	for i, name := range header {
		name = strings.TrimPrefix(name, "\ufeff")
		if i > 0 && slices.Contains(header[:i], name) {
			return fmt.Errorf("column %q stands in the header twice", name)
		}
		if col, ok := declared[name]; ok {
			c.at = append(c.at, place{i, name, col})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !slices.ContainsFunc(c.at, func(p place) bool { return p.name == name }) {
			c.report("column %q is declared and not in the header", name)
		}
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return c.error()
		}
		if err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		line, _ := in.FieldPos(0)
		for _, p := range c.at {
			if why := fault(row[p.index], p.column); why != "" {
				c.report("line %d: %s: %s", line, p.name, why)
			}
		}
	}
}

type place struct {
	index  int
	name   string
	column schemas.Column
}

type checker struct {
	at    []place
	found []string
	count int
}

func (c *checker) report(format string, args ...any) {
	if c.count++; c.count <= most {
		c.found = append(c.found, fmt.Sprintf(format, args...))
	}
}

func (c *checker) error() error {
	if c.count == 0 {
		return nil
	}
	text := strings.Join(c.found, "; ")
	if c.count > most {
		text += fmt.Sprintf("; and %d more", c.count-most)
	}
	return errors.New(text)
}

// fault says what is wrong with one value, or "". The value itself is not shown:
// it may be personal.
func fault(v string, c schemas.Column) string {
	if v == "" {
		if c.Required {
			return "is empty"
		}
		return ""
	}
	if len(c.Values) > 0 && !slices.Contains(c.Values, v) {
		return "is none of the declared values"
	}
	switch c.Type {
	case "integer":
		if _, err := strconv.ParseInt(v, 10, 64); err != nil {
			return "is no integer"
		}
	case "boolean":
		if !slices.Contains([]string{"true", "false", "0", "1"}, strings.ToLower(v)) {
			return "is no boolean"
		}
		return ""
	case "string":
		return ""
	}
	if c.Type == "" && c.Min == nil && c.Max == nil {
		return ""
	}
	x, err := strconv.ParseFloat(v, 64)
	switch {
	case err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		return "is no finite number"
	case c.Min != nil && x < *c.Min:
		return "is less than " + strconv.FormatFloat(*c.Min, 'g', -1, 64)
	case c.Max != nil && x > *c.Max:
		return "is more than " + strconv.FormatFloat(*c.Max, 'g', -1, 64)
	}
	return ""
}
