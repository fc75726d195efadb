// The schema: a tree of structures and columns, told from above, and what columns mean.

package parquet

import (
	"fmt"
	"math/bits"
)

// element is a column or a structure of columns.
type element struct {
	name     string
	column   Column
	typed    bool
	repeat   int64 // 0 required, 1 optional, 2 repeated
	children int64
}

func readElement(t *thrift, kind byte) (e element) {
	converted, logical := int64(-1), false
	t.structure(kind, func(id int, kind byte) {
		switch id {
		case 1:
			e.column.Type, e.typed = Type(t.number(kind)), true
		case 2:
			e.column.Length = int(t.number(kind))
		case 3:
			e.repeat = t.number(kind)
		case 4:
			e.name = t.text(kind)
		case 5:
			e.children = t.number(kind)
		case 6:
			converted = t.number(kind)
		case 7:
			e.column.Scale = int(t.number(kind))
		case 10:
			logical = true
			t.structure(kind, func(id int, kind byte) { e.column.logical(t, id, kind) })
		default:
			t.skip(kind)
		}
	})
	if !logical {
		e.column.converted(converted)
	}
	return e
}

func (c *Column) logical(t *thrift, id int, kind byte) {
	switch id {
	case 5:
		c.Means = Decimal
	case 6:
		c.Means = Date
	case 7:
		c.Means = Time
	case 8:
		c.Means = Timestamp
	case 11:
		c.Means = Nothing
	case 12:
		c.Means = JSON
	case 14:
		c.Means = UUID
	case 15:
		c.Means = Half
	}
	t.structure(kind, func(field int, kind byte) {
		switch {
		case id == 5 && field == 1:
			c.Scale = int(t.number(kind))
		case (id == 7 || id == 8) && field == 1:
			c.UTC = t.truth(kind)
		case (id == 7 || id == 8) && field == 2:
			t.structure(kind, func(unit int, kind byte) {
				if unit >= 1 && unit <= 3 {
					c.Second = [...]int64{0, 1e3, 1e6, 1e9}[unit]
				}
				t.skip(kind)
			})
		case id == 10 && field == 2:
			if !t.truth(kind) {
				c.Means = Unsigned
			}
		default:
			t.skip(kind)
		}
	})
}

// converted is what files of before 2018 say in place of a logical type.
func (c *Column) converted(kind int64) {
	switch kind {
	case 5:
		c.Means = Decimal
	case 6:
		c.Means = Date
	case 7:
		c.Means, c.Second = Time, 1e3
	case 8:
		c.Means, c.Second = Time, 1e6
	case 9:
		c.Means, c.Second, c.UTC = Timestamp, 1e3, true
	case 10:
		c.Means, c.Second, c.UTC = Timestamp, 1e6, true
	case 11, 12, 13, 14:
		c.Means = Unsigned
	case 19:
		c.Means = JSON
	}
}

// schema makes the columns of what the elements say: a tree, told from above.
func (f *File) schema(elements []element) error {
	at := 0
	var walk func(path []string, defined int, repeats bool) error
	walk = func(path []string, defined int, repeats bool) error {
		if at == len(elements) || len(path) > mostNested || elements[at].children < 0 {
			return errBroken
		}
		e := elements[at]
		at++
		if len(path) > 0 || at > 1 {
			path = append(path[:len(path):len(path)], e.name)
			switch e.repeat {
			case 0:
			case 1:
				defined++
			case 2:
				defined, repeats = defined+1, true
			default:
				return errBroken
			}
		}
		if e.typed {
			c := e.column
			c.Path, c.defined, c.Repeats = path, defined, repeats
			f.Columns = append(f.Columns, c)
			return c.sound()
		}
		for range e.children {
			if err := walk(path, defined, repeats); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(nil, 0, false); err != nil {
		return err
	}
	if at != len(elements) {
		return errBroken
	}
	return nil
}

// width is the bytes of each value, 0 where they differ.
func (c *Column) width() int {
	return [...]int{Boolean: 1, Int32: 4, Int64: 8, Int96: 12, Float: 4, Double: 8, ByteArray: 0, Fixed: c.Length}[c.Type]
}

// sound refuses what no value can mean.
func (c *Column) sound() error {
	digits := c.Type == Int32 || c.Type == Int64 || c.Type == ByteArray || c.Type == Fixed && c.Length <= mostDigits
	switch {
	case c.Type < Boolean || c.Type > Fixed || c.Type == Fixed && (c.Length <= 0 || c.Length > 1<<30):
		return fmt.Errorf("column %q has an unknown type", c.Path)
	case c.Means == Decimal && (c.Scale < 0 || c.Scale > mostPlaces):
		return fmt.Errorf("column %q has %d decimal places", c.Path, c.Scale)
	case c.Means == Decimal && !digits,
		c.Means == Date && c.Type != Int32,
		(c.Means == Time || c.Means == Timestamp) && (c.Second == 0 || c.Type != Int32 && c.Type != Int64),
		c.Means == Timestamp && c.Type != Int64,
		c.Means == Unsigned && c.Type != Int32 && c.Type != Int64,
		c.Means == JSON && c.Type != ByteArray,
		c.Means == UUID && (c.Type != Fixed || c.Length != 16),
		c.Means == Half && (c.Type != Fixed || c.Length != 2):
		return fmt.Errorf("column %q has a type that does not hold what it means", c.Path)
	}
	return nil
}

// levelWidth is the bits of a level up to most.
func levelWidth(most int) uint { return uint(bits.Len(uint(most))) }
