// Two answers to one request, held against each other: value by value where a protocol explains them, else as JSON or as bytes.

package predictions

import (
	"bytes"
	"encoding/json"
	"math"
)

// Difference is how far two answers to the same request are apart.
type Difference struct {
	Agree    bool
	Numbers  int     // that stand in both
	Distance float64 // of these, in sum
	Farthest float64 // of two of these
}

// number takes in two numbers, and tells whether they agree. What is beyond all numbers is as far as numbers go.
func (d *Difference) number(a, b, tolerance float64) bool {
	apart := min(math.Abs(a-b), math.MaxFloat64)
	d.Numbers++
	d.Distance = min(d.Distance+apart, math.MaxFloat64)
	d.Farthest = max(d.Farthest, apart)
	return apart <= tolerance
}

// Compare holds an answer against one that another release gave to the same request. Numbers agree that differ by no more than tolerance, and
// all else where it is the same; of what a protocol explains, predictions alone count, and not which model gave them. It is false where nothing
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
	f, g := decodeResponse(a), decodeResponse(b)
	if f != nil && g != nil {
		d.Agree = d.frames(f, g, tolerance)
		return d, true
	}
	x, is := decoded(a)
	y, are := decoded(b)
	if !is || !are {
		d.Agree = bytes.Equal(a, b)
		return d, true
	}
	for _, v := range []any{x, y} {
		if m, is := v.(map[string]any); is { // of the answer, and not of what it says
			delete(m, "id")
		}
	}
	d.Agree = d.values(x, y, tolerance)
	return d, true
}

func decoded(raw []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err != nil // nothing stands behind it
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
			x, is := v.Number()
			y, are := o.values[i].Number()
			if is && are {
				agree = d.number(x, y, tolerance) && agree
			} else {
				agree = v == o.values[i] && agree
			}
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
		m, wrong := a.Float64()
		n, bad := b.Float64()
		if wrong != nil || bad != nil {
			return a == b
		}
		return d.number(m, n, tolerance)
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
