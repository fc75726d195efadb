// Two answers to one request, held against each other: value by value where a protocol explains them, else as JSON or as bytes.

package predictions

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"strings"
)

// Difference is how far two answers to the same request are apart.
type Difference struct {
	Agree    bool
	Numbers  int     // that stand in both
	Distance float64 // of these, in sum
	Farthest float64 // of two of these
}

// number takes in how far two numbers are apart, and tells whether they agree. What is beyond all numbers is as far as numbers go.
func (d *Difference) number(apart, tolerance float64) bool {
	apart = min(math.Abs(apart), math.MaxFloat64)
	d.Numbers++
	d.Distance = min(d.Distance+apart, math.MaxFloat64)
	d.Farthest = max(d.Farthest, apart)
	return apart <= tolerance
}

// cells tells whether two values agree: numbers by how far they are apart, whole ones without losing a digit, and all else where it is the same.
func (d *Difference) cells(a, b Value, tolerance float64) bool {
	if a.Kind == Int && b.Kind == Int {
		less, more := min(a.int(), b.int()), max(a.int(), b.int())
		return d.number(float64(uint64(more)-uint64(less)), tolerance)
	}
	if !a.numeric() || !b.numeric() {
		return a == b
	}
	x, _ := a.Number()
	y, _ := b.Number()
	return d.number(x-y, tolerance)
}

func (v Value) numeric() bool { return v.Kind == Int || v.Kind == Float }

// same tells whether two values say the same: 1 and 1.0 do.
func (v Value) same(o Value) bool {
	if v.Kind == o.Kind || !v.numeric() || !o.numeric() {
		return v == o
	}
	x, _ := v.Number()
	y, _ := o.Number()
	return x == y
}

// written tells whether two numbers agree as they are written: whole ones of any size are told apart.
func (d *Difference) written(a, b string, tolerance float64) bool {
	x, y := numberOf(a), numberOf(b)
	switch {
	case !x.numeric() || !y.numeric():
		return a == b
	case x.Kind == Float && y.Kind == Float && !strings.ContainsAny(a+b, ".eE"):
		m, is := new(big.Int).SetString(a, 10)
		n, are := new(big.Int).SetString(b, 10)
		if is && are {
			apart, _ := new(big.Float).SetInt(m.Sub(m, n)).Float64()
			return d.number(apart, tolerance)
		}
	}
	return d.cells(x, y, tolerance)
}

// Compare holds an answer against one that another release gave to the same request. Numbers agree that differ by no more than tolerance, and
// all else where it is the same; which model gave an answer and by which name does not count. It is false where nothing
// is known of the first, as it is not there as a whole or cannot be read, and the other is not the same bytes. Where the first is known and the
// other is not, they differ: nobody chooses which of its answers are compared. What it takes is bounded, whatever the two are: of one that has
// more values than mostCompared the bytes count.
func Compare(one, other Body, tolerance float64) (d Difference, ok bool) {
	a, whole := one.plain()
	if !whole {
		d.Agree = !one.Cut && !other.Cut && one.Encoding == other.Encoding && bytes.Equal(one.Bytes, other.Bytes)
		return d, d.Agree
	}
	b, whole := other.plain()
	if !whole {
		return d, true
	}
	if heavy(a, mostCompared) || heavy(b, mostCompared) {
		d.Agree = bytes.Equal(a, b)
		return d, true
	}
	x, is := decoded(a)
	y, are := decoded(b)
	if !is || !are {
		d.Agree = bytes.Equal(a, b)
		return d, true
	}
	f, g := explain(a, x), explain(b, y)
	switch {
	case f == nil || g == nil:
		for _, v := range []any{x, y} {
			if m, is := v.(map[string]any); is { // of the answer, and not of what it says
				delete(m, "id")
			}
		}
		d.Agree = d.values(x, y, tolerance)
	case f.frame == nil || g.frame == nil:
		d.Agree = d.values(f.all, g.all, tolerance)
	default:
		agree := d.frames(f.frame, g.frame, tolerance)
		d.Agree = d.values(f.beside, g.beside, tolerance) && agree
	}
	return d, true
}

func decoded(raw []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF) // nothing stands behind it
}

// frames tells whether the outputs of two answers agree; all of them are looked at.
func (d *Difference) frames(f, g *frame, tolerance float64) bool {
	type place struct {
		name string
		of   int
		nth  int // of several that are called alike
	}
	places := func(columns []series) (out []place) {
		met := map[place]int{}
		for _, c := range columns {
			p := place{name: c.name, of: c.place}
			met[p]++
			out = append(out, place{c.name, c.place, met[p]})
		}
		return out
	}
	others := map[place]series{}
	for i, p := range places(g.columns) {
		others[p] = g.columns[i]
	}
	agree := len(f.columns) == len(g.columns)
	for k, p := range places(f.columns) {
		c := f.columns[k]
		o, there := others[p]
		if !there || len(o.values) != len(c.values) {
			agree = false
			continue
		}
		for i, v := range c.values {
			agree = d.cells(v, o.values[i], tolerance) && agree
		}
	}
	return agree
}

// values tells whether two values of JSON agree.
func (d *Difference) values(x, y any, tolerance float64) bool {
	switch a := x.(type) {
	case json.Number:
		b, is := y.(json.Number)
		if !is {
			return false
		}
		return d.written(a.String(), b.String(), tolerance)
	case []any:
		b, is := y.([]any)
		if !is || len(a) != len(b) {
			return false
		}
		agree := true
		for i := range a {
			agree = d.values(a[i], b[i], tolerance) && agree
		}
		return agree
	case map[string]any:
		b, is := y.(map[string]any)
		if !is || len(a) != len(b) {
			return false
		}
		agree := true
		for k := range a {
			v, there := b[k]
			agree = there && d.values(a[k], v, tolerance) && agree
		}
		return agree
	default:
		return x == y
	}
}
