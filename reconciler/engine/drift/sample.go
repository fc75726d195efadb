// Samples: the values of one column of one side, as the statistics want them. Numbers are
// kept sorted, once; categories as counts.

package drift

import (
	"cmp"
	"math"
	mathbits "math/bits"
	"slices"
	"strconv"
)

// Sample is the values of a column. One of Numbers and Counts is set.
type Sample struct {
	// Numbers are the finite values, sorted.
	Numbers []float64
	// Counts are categories with how often each stands.
	Counts map[string]int
	// Category says that the values are names, though they may be written as numbers.
	Category bool
	// Whole says that every value is an integer of a column that holds nothing else: their
	// bins are no narrower than 1, as with numpy 2.
	Whole bool

	n int // of categories
}

// Numeric is a sample of numbers: what is not finite is left out, as a missing value is.
// It sorts values in place, and keeps them.
func Numeric(values []float64) *Sample {
	kept, whole := values[:0], true
	for _, v := range values {
		if v-v == 0 {
			kept = append(kept, v+0)
			whole = whole && v == math.Trunc(v)
		}
	}
	whole = whole && len(kept) == len(values)
	sortFloats(kept)
	return &Sample{Numbers: kept, Whole: whole && len(kept) > 0}
}

// Categories is a sample of names.
func Categories(counts map[string]int) *Sample {
	s := &Sample{Counts: counts, Category: true}
	for _, n := range counts {
		s.n += n
	}
	return s
}

// N is how many values there are.
func (s *Sample) N() int {
	if s.Counts != nil {
		return s.n
	}
	return len(s.Numbers)
}

// Distinct is how many different values there are.
func (s *Sample) Distinct() int {
	if s.Counts != nil {
		return len(s.Counts)
	}
	n := 0
	for i, v := range s.Numbers {
		if i == 0 || v != s.Numbers[i-1] {
			n++
		}
	}
	return n
}

// Names is the sample with its numbers as names, so that it can be held against names.
func (s *Sample) Names() *Sample {
	if s.Counts != nil {
		return s
	}
	counts := map[string]int{}
	for i := 0; i < len(s.Numbers); {
		j := i
		for j < len(s.Numbers) && s.Numbers[j] == s.Numbers[i] {
			j++
		}
		counts[strconv.FormatFloat(s.Numbers[i], 'g', -1, 64)] = j - i
		i = j
	}
	return Categories(counts)
}

// cell is one value with how often it stands on each side.
type cell struct{ ref, cur int }

// cells are the values of both sides in order, least first.
func cells(ref, cur *Sample) (out []cell) {
	if ref.Counts != nil || cur.Counts != nil {
		a, b := ref.Names(), cur.Names()
		keys := make([]string, 0, len(a.Counts)+len(b.Counts))
		for k := range a.Counts {
			keys = append(keys, k)
		}
		for k := range b.Counts {
			if _, there := a.Counts[k]; !there {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			out = append(out, cell{a.Counts[k], b.Counts[k]})
		}
		return out
	}
	for c := range steps(ref.Numbers, cur.Numbers) {
		out = append(out, cell{c.ref, c.cur})
	}
	return out
}

// step is a value of either side, in order, with how often it stands on each.
type step struct {
	value    float64
	ref, cur int
}

// steps walks over the values of both sides, least first.
func steps(a, b []float64) func(func(step) bool) {
	return func(yield func(step) bool) {
		for i, j := 0, 0; i < len(a) || j < len(b); {
			var x float64
			switch {
			case i == len(a):
				x = b[j]
			case j == len(b):
				x = a[i]
			default:
				x = min(a[i], b[j])
			}
			s := step{value: x}
			for ; i < len(a) && a[i] == x; i++ {
				s.ref++
			}
			for ; j < len(b) && b[j] == x; j++ {
				s.cur++
			}
			if !yield(s) {
				return
			}
		}
	}
}

// moments are the mean and the sum of squares of what differs from it.
func moments(v []float64) (mean, squares float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	rest := 0.0
	for _, x := range v {
		rest += x - mean
	}
	mean += rest / float64(len(v))
	for _, x := range v {
		squares += (x - mean) * (x - mean)
	}
	return mean, squares
}

// sortFloats sorts by the bits of the numbers: for a million, a fifth of the time of comparing.
func sortFloats(v []float64) {
	if len(v) < manyKeys {
		slices.Sort(v)
		return
	}
	keys := make([]uint64, len(v))
	for i, x := range v {
		b := math.Float64bits(x)
		keys[i] = b ^ (uint64(int64(b)>>63) | 1<<63)
	}
	sortKeys(keys, make([]uint64, len(v)))
	for i, b := range keys {
		b ^= (^b>>63)*math.MaxUint64 | 1<<63
		v[i] = math.Float64frombits(b)
	}
}

const (
	manyKeys = 4096 // from where on keys are sorted by their bits
	fewKeys  = 32   // up to where each is put where it belongs
)

// sortKeys sorts by the upper 33 of the bits in which keys differ, eleven at a time, and then what has
// the same ones, which is little. It needs as much room again.
func sortKeys(keys, room []uint64) {
	switch {
	case len(keys) <= fewKeys:
		for i := 1; i < len(keys); i++ {
			for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
				keys[j], keys[j-1] = keys[j-1], keys[j]
			}
		}
		return
	case len(keys) < manyKeys:
		slices.Sort(keys)
		return
	}
	const digits, bits, size = 3, 11, 1 << 11
	least, most := keys[0], keys[0]
	for _, b := range keys {
		least, most = min(least, b), max(most, b)
	}
	differ := 64 - mathbits.LeadingZeros64(least^most)
	low := max(0, differ-digits*bits)
	var counts [digits][size]uint32
	for _, b := range keys {
		b >>= low
		counts[0][b&(size-1)]++
		counts[1][b>>bits&(size-1)]++
		counts[2][b>>(2*bits)&(size-1)]++
	}
	from, to := keys, room
	for d := 0; d*bits < differ-low; d++ {
		c, shift := &counts[d], low+d*bits
		at := uint32(0)
		for i, n := range c {
			c[i] = at
			at += n
		}
		for _, b := range from {
			k := b >> shift & (size - 1)
			to[c[k]] = b
			c[k]++
		}
		from, to = to, from
	}
	if &from[0] != &keys[0] {
		copy(keys, from)
	}
	if low == 0 {
		return
	}
	for i := 0; i < len(keys); {
		j := i + 1
		for j < len(keys) && keys[j]>>low == keys[i]>>low {
			j++
		}
		if j > i+1 {
			sortKeys(keys[i:j], room[i:j])
		}
		i = j
	}
}

// commonest are the names that stand most often on either side, at most so many, most often first.
func commonest(a, b *Sample, most int) []string {
	weight := map[string]float64{}
	for _, s := range []*Sample{a, b} {
		for k, n := range s.Counts {
			weight[k] = max(weight[k], float64(n)/float64(s.n))
		}
	}
	names := make([]string, 0, len(weight))
	for k := range weight {
		names = append(names, k)
	}
	slices.SortFunc(names, func(x, y string) int {
		if c := cmp.Compare(weight[y], weight[x]); c != 0 {
			return c
		}
		return cmp.Compare(x, y)
	})
	return names[:min(most, len(names))]
}
