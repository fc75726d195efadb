// Statistics over shares: of bins where a column has many numbers, else of each value.

package drift

import (
	"math"
	"sort"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// mostBins bounds what a bin width may ask for: beyond it, one value is so far out that
// nothing is told by bins.
const mostBins = 1 << 22

// edges are the borders of Sturges's bins over n values from lo to hi, as numpy has them.
func edges(lo, hi float64, n int, whole bool) ([]float64, error) {
	width := (hi - lo) / (math.Log2(float64(n)) + 1)
	if lo == hi {
		lo, hi = lo-0.5, hi+0.5
	}
	bins := 1
	if width > 0 {
		if whole && width < 1 {
			width = 1
		}
		want := math.Ceil((hi - lo) / width)
		if !(want < mostBins) {
			return nil, fault.New(fault.Invalid, "the values are too far apart for bins")
		}
		bins = int(want)
	}
	step := (hi - lo) / float64(bins)
	out := make([]float64, bins+1)
	for i := range out {
		out[i] = lo + float64(i)*step
	}
	out[bins] = hi
	return out, nil
}

// histogram counts sorted values between edges; the last bin holds its upper edge.
func histogram(sorted, edges []float64) []float64 {
	out := make([]float64, len(edges)-1)
	last := 0
	for i, e := range edges {
		at := 0
		if i == len(edges)-1 {
			at = sort.Search(len(sorted), func(k int) bool { return sorted[k] > e })
		} else {
			at = sort.SearchFloat64s(sorted, e)
		}
		if i > 0 {
			out[i-1] = float64(at - last)
		}
		last = at
	}
	return out
}

// shares are those of both sides, bin by bin or value by value.
func shares(ref, cur *Sample) (p, q []float64, err error) {
	if !ref.Category && !cur.Category && ref.Distinct() > 20 {
		a, b := ref.Numbers, cur.Numbers
		e, err := edges(min(a[0], b[0]), max(a[len(a)-1], b[len(b)-1]), len(a)+len(b), ref.Whole && cur.Whole)
		if err != nil {
			return nil, nil, err
		}
		p, q = histogram(a, e), histogram(b, e)
	} else {
		for _, c := range cells(ref, cur) {
			p, q = append(p, float64(c.ref)), append(q, float64(c.cur))
		}
	}
	for i := range p {
		p[i] /= float64(ref.N())
		q[i] /= float64(cur.N())
	}
	return p, q, nil
}

// filled puts a small share in the place of none.
func filled(p []float64) []float64 {
	least := math.Inf(1)
	for _, x := range p {
		if x > 0 {
			least = min(least, x)
		}
	}
	put := 0.0001
	if least <= put {
		put = least / 1e6
	}
	for i, x := range p {
		if x == 0 {
			p[i] = put
		}
	}
	return p
}

func total(p []float64) (sum float64) {
	for _, x := range p {
		sum += x
	}
	return sum
}

func psi(ref, cur *Sample) (float64, error) {
	p, q, err := shares(ref, cur)
	if err != nil {
		return 0, err
	}
	filled(p)
	filled(q)
	sum := 0.0
	for i := range p {
		sum += (p[i] - q[i]) * math.Log(p[i]/q[i])
	}
	return sum, nil
}

func klDivergence(ref, cur *Sample) (float64, error) {
	p, q, err := shares(ref, cur)
	if err != nil {
		return 0, err
	}
	return relativeEntropy(filled(p), filled(q)), nil
}

// relativeEntropy is of p to q, both brought to a sum of 1.
func relativeEntropy(p, q []float64) (sum float64) {
	a, b := total(p), total(q)
	for i := range p {
		if x := p[i] / a; x > 0 {
			sum += x * math.Log(x/(q[i]/b))
		}
	}
	return sum
}

func jensenShannon(ref, cur *Sample) (float64, error) {
	p, q, err := shares(ref, cur)
	if err != nil {
		return 0, err
	}
	a, b := total(p), total(q)
	middle := make([]float64, len(p))
	for i := range p {
		p[i], q[i] = p[i]/a, q[i]/b
		middle[i] = (p[i] + q[i]) / 2
	}
	sum := 0.0
	for i := range p {
		if p[i] > 0 {
			sum += p[i] * math.Log(p[i]/middle[i])
		}
		if q[i] > 0 {
			sum += q[i] * math.Log(q[i]/middle[i])
		}
	}
	return math.Sqrt(max(sum, 0) / 2), nil
}

func hellinger(ref, cur *Sample) (float64, error) {
	alike := 0.0
	if ref.Category {
		for _, c := range cells(ref, cur) {
			alike += math.Sqrt(float64(c.ref) / float64(ref.N()) * (float64(c.cur) / float64(cur.N())))
		}
	} else {
		a, b := ref.Numbers, cur.Numbers
		distinct := 0
		for range steps(a, b) {
			distinct++
		}
		e, err := edges(min(a[0], b[0]), max(a[len(a)-1], b[len(b)-1]), distinct, ref.Whole && cur.Whole)
		if err != nil {
			return 0, err
		}
		p, q := histogram(a, e), histogram(b, e)
		for i := range p {
			alike += math.Sqrt(p[i] / float64(len(a)) * (q[i] / float64(len(b))))
		}
	}
	return math.Sqrt(1 - max(0, min(1, alike))), nil
}

func chiSquare(ref, cur *Sample) (float64, error) {
	all, grow := cells(ref, cur), float64(cur.N())/float64(ref.N())
	sum := 0.0
	for _, c := range all {
		expected := float64(c.ref) * grow
		if expected == 0 {
			return 0, nil // a value that the reference never had
		}
		d := float64(c.cur) - expected
		sum += d * d / expected
	}
	return chiSquareTail(sum, float64(len(all)-1)), nil
}

// gTest is by likelihood ratio. As in Evidently, the reference is not scaled to the window, and
// samples of different sizes have no score.
func gTest(ref, cur *Sample) (float64, error) {
	a, b := float64(ref.N()), float64(cur.N())
	if math.Abs(a-b)/min(a, b) > 1e-8 {
		return 0, fault.New(fault.Invalid, "g_test needs as many values in the window as in the reference")
	}
	all, sum := cells(ref, cur), 0.0
	for _, c := range all {
		switch {
		case c.cur == 0:
		case c.ref == 0:
			return 0, nil
		default:
			sum += 2 * float64(c.cur) * math.Log(float64(c.cur)/float64(c.ref))
		}
	}
	return chiSquareTail(sum, float64(len(all)-1)), nil
}

// proportions is the z-test of the share of what is not the least value.
func proportions(ref, cur *Sample) (float64, error) {
	all := cells(ref, cur)
	if len(all) == 1 {
		return 1, nil
	}
	n1, n2 := float64(ref.N()), float64(cur.N())
	p1, p2 := 1-float64(all[0].ref)/n1, 1-float64(all[0].cur)/n2
	p := (p1*n1 + p2*n2) / (n1 + n2)
	return normalTails((p1 - p2) / math.Sqrt(p*(1-p)*(1/n1+1/n2))), nil
}

// fisherExact is of the two by two table of two values.
func fisherExact(ref, cur *Sample) (float64, error) {
	all := cells(ref, cur)
	switch {
	case ref.N() != cur.N():
		return 0, fault.New(fault.Invalid, "fisher_exact needs as many values in the window as in the reference")
	case ref.Distinct() > 2 || cur.Distinct() > 2:
		return 0, fault.New(fault.Invalid, "fisher_exact takes two categories at most")
	case len(all) > 2:
		return 0, fault.New(fault.Invalid, "fisher_exact takes two categories at most, and there are %d of both together", len(all))
	case len(all) < 2:
		return 1, nil
	}
	n1, n2, n := cur.N(), ref.N(), all[0].cur+all[0].ref
	chance := func(x int) float64 {
		p := float64(n) / float64(n1+n2)
		q := 1 - p
		return binomial(float64(x), float64(n1), p, q) * binomial(float64(n-x), float64(n2), p, q) / binomial(float64(n), float64(n1+n2), p, q)
	}
	here, sum := chance(all[0].cur), 0.0
	for x := max(0, n-n2); x <= min(n, n1); x++ {
		if c := chance(x); c <= here*(1+1e-11) {
			sum += c
		}
	}
	return min(1, sum), nil
}
