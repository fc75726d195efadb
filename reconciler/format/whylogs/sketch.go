// Quantile sketches (KLL, of Apache DataSketches, with 64-bit floats), and what whylogs asks of them.
//
//	preamble ints, version, family 15, flags, k (2), m, 0; of one that is empty that is all, and of one
//	value it comes next. Else n (8), min k (2), levels, 0, four more, where each level begins (4 each), the least
//	and the largest value, and the values, each of which stands for 2^level.

package whylogs

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

const (
	familyKLL  = 15
	flagEmpty  = 1
	flagSingle = 4
	shortHead  = 8
	fullHead   = 24
	mostLevels = 60
	mostValues = 1 << 20 // retained; whylogs keeps some hundreds
)

// Sketch is a sample of numbers, each with how many it stands for.
type Sketch struct {
	N        uint64
	Min, Max float64
	items    []item // in order
}

type item struct {
	value  float64
	below  uint64 // how many come before it
	weight uint64
}

func readSketch(b []byte) (s Sketch, err error) {
	if len(b) < shortHead || b[2] != familyKLL || b[1] < 1 || b[1] > 2 {
		return s, wrong("a column's sketch is none of KLL")
	}
	float := func(at int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[at:])) }
	switch flags := b[3]; {
	case flags&flagEmpty != 0:
		return s, nil
	case flags&flagSingle != 0:
		if len(b) != shortHead+8 {
			return s, wrong("a sketch of one value has another length")
		}
		v := float(shortHead)
		s = Sketch{N: 1, Min: v, Max: v, items: []item{{value: v, weight: 1}}}
		return s, s.check()
	}
	if len(b) < fullHead || b[0] != fullHead/4 {
		return s, wrong("a sketch ends in its head")
	}
	s.N = binary.LittleEndian.Uint64(b[8:])
	levels := int(b[18])
	at := fullHead + 4*levels
	if levels < 1 || levels > mostLevels || len(b) < at+16 || (len(b)-at-16)%8 != 0 || (len(b)-at-16)/8 > mostValues {
		return s, wrong("a sketch has another length than it says")
	}
	s.Min, s.Max = float(at), float(at+8)
	at += 16
	count := (len(b) - at) / 8
	first := binary.LittleEndian.Uint32(b[fullHead:])
	begins := make([]int, levels+1)
	for i := range levels {
		begins[i] = int(binary.LittleEndian.Uint32(b[fullHead+4*i:])) - int(first)
	}
	begins[levels] = count
	for level := range levels {
		if begins[level] > begins[level+1] || begins[level+1] > count {
			return s, wrong("a sketch's levels are out of order")
		}
		for i := begins[level]; i < begins[level+1]; i++ {
			s.items = append(s.items, item{value: float(at + 8*i), weight: 1 << level})
		}
	}
	return s, s.check()
}

// check puts the values in order, and holds their weights against n.
func (s *Sketch) check() error {
	slices.SortStableFunc(s.items, func(a, b item) int { return cmp.Compare(a.value, b.value) })
	sum := uint64(0)
	for i := range s.items {
		if v := s.items[i].value; math.IsNaN(v) {
			return wrong("a sketch holds no number")
		}
		s.items[i].below = sum
		sum += s.items[i].weight
		if sum > s.N {
			break
		}
	}
	if sum != s.N || s.N == 0 {
		return wrong("a sketch counts other values than it says")
	}
	return nil
}

// Empty tells whether there is no number.
func (s Sketch) Empty() bool { return s.N == 0 }

// quantile is the value below which a share of the numbers lies, as KLL has it.
func (s Sketch) quantile(share float64) float64 {
	switch {
	case share == 0:
		return s.Min
	case share == 1:
		return s.Max
	}
	pos := min(uint64(share*float64(s.N)), s.N-1)
	// The first value that at least so many come before: where a value stands for several, the next one.
	i, _ := slices.BinarySearchFunc(s.items, pos, func(it item, pos uint64) int { return cmp.Compare(it.below, pos) })
	return s.items[min(i, len(s.items)-1)].value
}

// below is the share of the numbers that are less than x.
func (s Sketch) below(x float64) float64 {
	i, _ := slices.BinarySearchFunc(s.items, x, func(it item, x float64) int { return cmp.Compare(it.value, x) })
	if i == len(s.items) {
		return 1
	}
	return float64(s.items[i].below) / float64(s.N)
}

// quantiles are so many shares that are asked for, from 0 to 1 as numpy.linspace has them.
const quantiles = 100

// Distance is the largest distance of both distribution functions at the quantiles of both, and of
// how many values its chance is taken: whylogs' own approximation of Kolmogorov-Smirnov.
func Distance(target, reference Sketch) (d float64, n int) {
	for i := range quantiles {
		share := float64(i) * (1 / float64(quantiles-1))
		if i == quantiles-1 {
			share = 1
		}
		for _, x := range []float64{target.quantile(share), reference.quantile(share)} {
			d = max(d, math.Abs(target.below(x)-reference.below(x)))
		}
	}
	m, k := float64(target.N), float64(reference.N)
	return d, int(math.RoundToEven(m * k / (m + k)))
}
