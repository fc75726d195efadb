// Significance and effect: a p-value that promises what it says, whatever the method of the
// score, and how far apart the distributions are.

package drift

import (
	"maps"
	"math"
	"slices"
	"sort"
)

// significance is the p-value of Kolmogorov and Smirnov for numbers and of chi-square over both
// samples for names; effect is the largest distance of the distribution functions, or half the
// sum of what the shares differ by.
func significance(ref, cur *Sample) (p, effect float64) {
	n1, n2 := float64(ref.N()), float64(cur.N())
	if !ref.Category {
		g := gcd(len(ref.Numbers), len(cur.Numbers))
		d := float64(gap(ref.Numbers, cur.Numbers)) / (n1 / float64(g) * n2)
		if n1*n2 <= 1e6 {
			p, _ = ks(ref, cur)
			return p, d
		}
		return kolmogorovTail(int(math.RoundToEven(n1*n2/(n1+n2))), d), d
	}
	var stat, dof float64
	var rest cell // values that are too rare to count on their own
	add := func(c cell) {
		share := float64(c.ref+c.cur) / (n1 + n2)
		a, b := float64(c.ref)-share*n1, float64(c.cur)-share*n2
		stat += a*a/(share*n1) + b*b/(share*n2)
		dof++
	}
	for _, c := range cells(ref, cur) {
		effect += math.Abs(float64(c.ref)/n1-float64(c.cur)/n2) / 2
		if float64(c.ref+c.cur)*min(n1, n2)/(n1+n2) < 5 {
			rest.ref, rest.cur = rest.ref+c.ref, rest.cur+c.cur
			continue
		}
		add(c)
	}
	if rest != (cell{}) {
		add(rest)
	}
	if dof < 2 {
		return 1, effect
	}
	return chiSquareTail(stat, dof-1), effect
}

// Shape is how two samples lie, in a few bins or values.
type Shape struct {
	// Edges are borders of bins; none where Values are named.
	Edges  []float64 `json:"edges,omitempty"`
	Values []string  `json:"values,omitempty"`
	// Reference and Window are shares; of names, the rest is in none.
	Reference []float64 `json:"reference"`
	Window    []float64 `json:"window"`
}

const shapeBins = 10

func shape(ref, cur *Sample) *Shape {
	out := &Shape{}
	if ref.Category {
		a, b := ref.Names(), cur.Names()
		names := commonest(a, b, shapeBins)
		for _, k := range names {
			out.Values = append(out.Values, k)
			out.Reference = append(out.Reference, float64(a.Counts[k])/float64(a.n))
			out.Window = append(out.Window, float64(b.Counts[k])/float64(b.n))
		}
		return out
	}
	a, b := ref.Numbers, cur.Numbers
	lo, hi := a[0], a[len(a)-1]
	if k := len(a) / 200; k > 0 { // of the reference all but its ends, so that one value far out hides nothing
		lo, hi = a[k], a[len(a)-1-k]
	}
	if lo == hi {
		lo, hi = lo-0.5, hi+0.5
	}
	for i := range shapeBins + 1 {
		out.Edges = append(out.Edges, lo+(hi-lo)*float64(i)/shapeBins)
	}
	bin := func(x float64) int {
		if f := (x - lo) / (hi - lo) * shapeBins; f > 0 { // and no NaN, of borders too far apart or too near
			return int(min(shapeBins-1, f))
		}
		return 0
	}
	out.Reference, out.Window = binned(a, bin), binned(b, bin)
	return out
}

// binned are the shares of sorted values in each bin.
func binned(sorted []float64, bin func(x float64) int) []float64 {
	out, from := make([]float64, shapeBins), 0
	for k := range out {
		to := from + sort.Search(len(sorted)-from, func(i int) bool { return bin(sorted[from+i]) > k })
		out[k] = float64(to-from) / float64(len(sorted))
		from = to
	}
	return out
}

// told is the p-value at which a change is told from chance in blind.
const told = 0.05

// blind tells whether a window of n values is too small to show a change, whatever method it is
// held by: one half of whose values the reference does not have is not significant.
func blind(ref *Sample, n int) bool {
	if !ref.Category && min(ref.N(), n) > 100 {
		return false
	}
	p, _ := significance(ref, halved(ref, n))
	return !(p <= told)
}

// halved is a window of n values: one half lies as those of the reference do, the other is new.
func halved(ref *Sample, n int) *Sample {
	const fresh = "\x00"
	kept := n - n/2
	if !ref.Category {
		out := make([]float64, 0, n)
		for i := range kept {
			out = append(out, ref.Numbers[(2*i+1)*len(ref.Numbers)/(2*kept)])
		}
		beyond := math.Nextafter(ref.Numbers[len(ref.Numbers)-1], math.Inf(1))
		for range n / 2 {
			out = append(out, beyond)
		}
		return &Sample{Numbers: out}
	}
	names := ref.Names()
	counts := map[string]int{fresh: n / 2}
	at, sum := 0, 0
	for _, k := range slices.Sorted(maps.Keys(names.Counts)) {
		sum += names.Counts[k]
		for ; at < kept && (2*at+1)*names.N()/(2*kept) < sum; at++ {
			counts[k]++
		}
	}
	return Categories(counts)
}
