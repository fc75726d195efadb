// Samples: the values of one column of one side, as the statistics want them. Numbers are
// kept sorted, once; categories as counts.

package drift

import (
	"cmp"
	"math"
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

// Decimals is Numeric of decimals, each without its point: values of 12 and -5 with 2 places are 0.12 and -0.05. It
// may change the order of values.
func Decimals(values []int32, places int) *Sample {
	s := &Sample{Numbers: sortDecimals(values, math.Pow10(places)), Whole: len(values) > 0}
	for i := 0; s.Whole && places > 0 && i < len(s.Numbers); i++ {
		s.Whole = s.Numbers[i] == math.Trunc(s.Numbers[i])
	}
	return s
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
