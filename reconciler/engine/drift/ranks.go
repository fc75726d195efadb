// Statistics over numbers in their order: distances of distribution functions, and tests of
// ranks and means.

package drift

import (
	"math"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// areas sums f of the distance of the distribution functions over the numbers between.
func areas(a, b []float64, f func(d float64) float64) (sum float64) {
	n1, n2 := float64(len(a)), float64(len(b))
	i, j, last := 0, 0, 0.0
	for s := range steps(a, b) {
		if i+j > 0 {
			sum += f(float64(i)/n1-float64(j)/n2) * (s.value - last)
		}
		i, j, last = i+s.ref, j+s.cur, s.value
	}
	return sum
}

func wasserstein(ref, cur *Sample) (float64, error) {
	_, squares := moments(ref.Numbers)
	norm := max(math.Sqrt(squares/float64(len(ref.Numbers))), 0.001)
	return areas(ref.Numbers, cur.Numbers, math.Abs) / norm, nil
}

func energy(ref, cur *Sample) (float64, error) {
	sum := areas(ref.Numbers, cur.Numbers, func(d float64) float64 { return d * d })
	return math.Sqrt2 * math.Sqrt(sum), nil
}

// tTest is Student's, of equal variances.
func tTest(ref, cur *Sample) (float64, error) {
	n1, n2 := float64(ref.N()), float64(cur.N())
	m1, s1 := moments(ref.Numbers)
	m2, s2 := moments(cur.Numbers)
	dof := n1 + n2 - 2
	if dof <= 0 {
		return math.NaN(), nil
	}
	if ref.Numbers[0] == ref.Numbers[len(ref.Numbers)-1] {
		m1, s1 = ref.Numbers[0], 0
	}
	if cur.Numbers[0] == cur.Numbers[len(cur.Numbers)-1] {
		m2, s2 = cur.Numbers[0], 0
	}
	t := (m1 - m2) / math.Sqrt((s1+s2)/dof*(1/n1+1/n2))
	return studentTails(t, dof), nil
}

// mannWhitney is the chance that the reference is not below the window.
func mannWhitney(ref, cur *Sample) (float64, error) {
	n1, n2 := float64(ref.N()), float64(cur.N())
	var rank, below, ties float64 // of the reference
	tied := false
	for s := range steps(ref.Numbers, cur.Numbers) {
		t := float64(s.ref + s.cur)
		rank += float64(s.ref) * (below + (t+1)/2)
		below += t
		ties += t*t*t - t
		tied = tied || t > 1
	}
	u := n1*n2 - (rank - n1*(n1+1)/2)
	if !tied && (n1 <= 8 || n2 <= 8) {
		return exactU(int(n1), int(n2), int(u)), nil
	}
	n := n1 + n2
	z := (u - n1*n2/2 - 0.5) / math.Sqrt(n1*n2/12*((n+1)-ties/(n*(n-1))))
	return min(1, math.Erfc(z/math.Sqrt2)/2), nil
}

// exactU is the chance of at least u: the counts are the coefficients of the Gaussian
// binomial, so many ways that they are shares from the start.
func exactU(n1, n2, u int) float64 {
	m, n := min(n1, n2), max(n1, n2)
	// chance of each sum of ranks, value by value: f(i, j) = i/(i+j) f(i-1, j) shifted by j + j/(i+j) f(i, j-1)
	size := m*n + 1
	rows := make([][]float64, m+1)
	for i := range rows {
		rows[i] = make([]float64, size)
		rows[i][0] = 1
	}
	for j := 1; j <= n; j++ {
		for i := 1; i <= m; i++ {
			share := float64(i) / float64(i+j)
			row, over := rows[i], rows[i-1]
			for k := min(i*j, size-1); k >= 0; k-- {
				v := (1 - share) * row[k]
				if k >= j {
					v += share * over[k-j]
				}
				row[k] = v
			}
		}
	}
	sum := 0.0
	for k := u; k < size; k++ {
		sum += rows[m][k]
	}
	return min(1, sum)
}

func cramerVonMises(ref, cur *Sample) (float64, error) {
	n1, n2 := ref.N(), cur.N()
	if n1 < 2 || n2 < 2 {
		return 0, fault.New(fault.Invalid, "cramer_von_mises needs two values on each side at least")
	}
	var u1, u2 exactSum
	i, j := 0, 0
	for s := range steps(ref.Numbers, cur.Numbers) {
		rank := float64(i+j) + float64(s.ref+s.cur+1)/2
		for range s.ref {
			i++
			u1.add((rank - float64(i)) * (rank - float64(i)))
		}
		for range s.cur {
			j++
			u2.add((rank - float64(j)) * (rank - float64(j)))
		}
	}
	m, n := float64(n1), float64(n2)
	u, k, all := m*u1.value()+n*u2.value(), m*n, m+n
	if max(n1, n2) <= 20 {
		return exactCVM(u, n1, n2), nil
	}
	t := u/(k*all) - (4*k-1)/(6*all)
	mean := (1 + 1/all) / 6
	variance := (all + 1) * (4*k*all - 3*(m*m+n*n) - 2*k) / (45 * all * all * 4 * k)
	x := 1.0/6 + (t-mean)/math.Sqrt(45*variance)
	if x < 0.003 {
		return 1, nil
	}
	return max(0, 1-limitCVM(x)), nil
}

// exactSum adds up with what rounding loses kept apart (Neumaier 1974): the statistic is what is
// left when nearly all of two huge sums is taken away.
type exactSum struct{ sum, lost float64 }

func (s *exactSum) add(x float64) {
	t := s.sum + x
	if math.Abs(s.sum) >= math.Abs(x) {
		s.lost += (s.sum - t) + x
	} else {
		s.lost += (x - t) + s.sum
	}
	s.sum = t
}

func (s *exactSum) value() float64 { return s.sum + s.lost }

// limitCVM is the limiting distribution of the statistic; the series ends where its peer's does.
func limitCVM(x float64) (sum float64) {
	for k := 0.0; ; k++ {
		a, _ := math.Lgamma(k + 0.5)
		b, _ := math.Lgamma(k + 1)
		y := 4*k + 1
		q := y * y / (16 * x)
		z := math.Exp(a-b) / (math.Pow(math.Pi, 1.5) * math.Sqrt(x)) * math.Sqrt(y) * besselQuarter(q)
		if sum += z; math.Abs(z) < 1e-7 {
			return sum
		}
	}
}

// besselQuarter is e^-q K¼(q), by its integral over cosh, for which the trapezoid rule is exact
// to the last digits.
func besselQuarter(q float64) float64 {
	const step = 1.0 / 64
	sum := 0.5 * math.Exp(-2*q)
	for i := 1; ; i++ {
		t := float64(i) * step
		v := math.Exp(-q*(1+math.Cosh(t))) * math.Cosh(t/4)
		if sum += v; v < sum*1e-18 || v == 0 {
			return sum * step
		}
	}
}

// exactCVM counts the orders of both samples that are as far apart (Xiao, Gordon and Yakovlev 2006).
// Evidently 0.7 counts in floating point of 16 or 32 bits, or fails: here are all digits.
func exactCVM(u float64, m, n int) float64 {
	lcm := m / gcd(m, n) * n
	a, b, mn := lcm/m, lcm/n, float64(m*n)
	zeta := math.Floor(float64(lcm) * float64(lcm) * float64(m+n) * (6*u - mn*(4*mn-1)) / (6 * mn * mn))
	counts := make([]map[int]float64, m+1)
	counts[0] = map[int]float64{0: 1}
	for i := range n + 1 {
		next := make([]map[int]float64, m+1)
		var last map[int]float64
		for v := range m + 1 {
			sum, far := map[int]float64{}, (a*v-b*i)*(a*v-b*i)
			for _, from := range []map[int]float64{last, counts[v]} {
				for z, c := range from {
					sum[z+far] += c
				}
			}
			next[v], last = sum, sum
		}
		counts = next
	}
	var far, all float64
	for z, c := range counts[m] {
		if all += c; float64(z) >= zeta {
			far += c
		}
	}
	return far / all
}

// anderson is the two-sample test of Scholz and Stephens (1987), whose p-value is read between
// their critical values and ends at 0.25 and 0.001.
func anderson(ref, cur *Sample) (float64, error) {
	if len(ref.Numbers)+len(cur.Numbers) < 4 {
		return 0, fault.New(fault.Invalid, "anderson needs four values at least")
	}
	n1, n2 := float64(ref.N()), float64(cur.N())
	n := n1 + n2
	var below, i, j, stat float64
	distinct := 0
	for s := range steps(ref.Numbers, cur.Numbers) {
		distinct++
		f1, f2 := float64(s.ref), float64(s.cur)
		l := f1 + f2
		mid := below + l/2
		d := mid*(n-mid) - n*l/4
		x, y := n*(i+f1/2)-mid*n1, n*(j+f2/2)-mid*n2
		if d != 0 {
			stat += l / n * (x*x/n1 + y*y/n2) / d
		}
		below, i, j = below+l, i+f1, j+f2
	}
	if distinct < 2 {
		return 0, fault.New(fault.Invalid, "anderson needs more than one distinct value")
	}
	stat *= (n - 1) / n
	h, g := 0.0, 0.0
	for k := n - 1; k > 1; k-- {
		h += 1 / k
		g += h / (n - k + 1)
	}
	h++
	H := 1/n1 + 1/n2
	a := (4*g - 6) + (10-6*g)*H
	b := (2*g-4)*4 + 16*h + (2*g-14*h-4)*H - 8*h + 4*g - 6
	c := (6*h+2*g-2)*4 + (4*h-4*g+6)*2 + (2*h-6)*H + 4*h
	d := (2*h+6)*4 - 8*h
	variance := (a*n*n*n + b*n*n + c*n + d) / ((n - 1) * (n - 2) * (n - 3))
	return andersonP((stat - 1) / math.Sqrt(variance)), nil
}

func andersonP(x float64) float64 {
	critical := []float64{0.675 - 0.245 - 0.105, 1.281 + 0.25 - 0.305, 1.645 + 0.678 - 0.362, 1.96 + 1.149 - 0.391, 2.326 + 1.822 - 0.396, 2.573 + 2.364 - 0.345, 3.085 + 3.615 - 0.154}
	chance := []float64{0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001}
	switch {
	case x < critical[0]:
		return chance[0]
	case x > critical[len(critical)-1]:
		return chance[len(chance)-1]
	}
	// a parabola through the logarithms, by least squares around the middle
	const middle = 3.0
	var s [5]float64
	var r [3]float64
	for i, v := range critical {
		p := 1.0
		for k := range s {
			s[k] += p
			if k < 3 {
				r[k] += p * math.Log(chance[i])
			}
			p *= v - middle
		}
	}
	m := [][]float64{{s[0], s[1], s[2], r[0]}, {s[1], s[2], s[3], r[1]}, {s[2], s[3], s[4], r[2]}}
	f := solve(m)
	v := x - middle
	return math.Exp(f[0] + f[1]*v + f[2]*v*v)
}

// solve solves linear equations, each a row with its right side last, by elimination.
func solve(m [][]float64) []float64 {
	n := len(m)
	for c := range n {
		best := c
		for r := c + 1; r < n; r++ {
			if math.Abs(m[r][c]) > math.Abs(m[best][c]) {
				best = r
			}
		}
		m[c], m[best] = m[best], m[c]
		for r := range n {
			if r == c {
				continue
			}
			f := m[r][c] / m[c][c]
			for k := c; k <= n; k++ {
				m[r][k] -= f * m[c][k]
			}
		}
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = m[i][n] / m[i][i]
	}
	return out
}
