// The two-sample Kolmogorov-Smirnov test: exact where samples are small, as the limit of
// the one-sample distribution where they are large (Hodges 1958; Simard and L'Ecuyer 2011).

package drift

import "math"

// exactKS is up to how many values the larger sample has for an exact p-value.
const exactKS = 10000

// ks is the two-sided p-value.
func ks(ref, cur *Sample) (float64, error) {
	h, n1, n2 := gap(ref.Numbers, cur.Numbers), len(ref.Numbers), len(cur.Numbers)
	g := gcd(n1, n2)
	if max(n1, n2) <= exactKS {
		if h == 0 {
			return 1, nil
		}
		p := 0.0
		if n1 == n2 {
			p = outsideSquare(n1, h)
		} else {
			p = outsidePaths(n1, n2, g, h)
		}
		if p >= 0 && p <= 1 {
			return p, nil
		}
	}
	d := float64(h) / (float64(n1) / float64(g) * float64(n2))
	m, n := float64(max(n1, n2)), float64(min(n1, n2))
	return kolmogorovTail(int(math.RoundToEven(m*n/(m+n))), d), nil
}

// gap is the largest distance of the two distribution functions, as a number of lcm(n1, n2)th parts.
func gap(a, b []float64) int {
	g := gcd(len(a), len(b))
	stepA, stepB := len(b)/g, len(a)/g
	most, at := 0, 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			at += stepA
			i++
		}
		for j < len(b) && b[j] == x {
			at -= stepB
			j++
		}
		most = max(most, at, -at)
	}
	return most
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// outsideSquare is the share of paths over an n by n square that stray h from its diagonal.
func outsideSquare(n, h int) float64 {
	p := 0.0
	for k := n / h; k >= 0; k-- {
		one := 1.0
		for j := range h {
			one = float64(n-k*h-j) * one / float64(n+k*h+j+1)
		}
		p = one * (1 - p)
	}
	return 2 * p
}

// outsidePaths is the same for a rectangle m by n whose sides have the common divisor g: the
// paths inside are counted column by column (Hodges 1958).
func outsidePaths(m, n, g, h int) float64 {
	if m < n {
		m, n = n, m
	}
	mg, ng := m/g, n/g
	low, high := 0, min((h+mg-1)/mg, n+1)
	held := high - low
	paths := make([]float64, min(2*high+2, n+1))
	for i := range paths {
		paths[i] = 1
	}
	for j := low; j < high; j++ {
		paths[j] = 0
	}
	for i := 1; i <= m; i++ {
		was, wasHeld := low, held
		low = min(max(floorDiv(ng*i-h, mg)+1, 0), n)
		high = min((ng*i+h+mg-1)/mg, n+1)
		if high <= low {
			return 1
		}
		val := 1.0
		if low == 0 {
			val = 0
		}
		fi := float64(i)
		for k := range high - low {
			j := float64(k + low)
			val = (paths[k+low-was]*fi + val*j) / (fi + j)
			paths[k] = val
		}
		held = high - low
		for k := held; k < wasHeld; k++ {
			paths[k] = 1
		}
	}
	return paths[high-low-1]
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}

// kolmogorovTail is the chance that the distribution function of n values strays further
// than d from the true one.
func kolmogorovTail(n int, d float64) float64 {
	fn := float64(n)
	t := fn * d
	switch {
	case d >= 1:
		return 0
	case t <= 0.5:
		return 1
	case t <= 1: // Ruben and Gambino 1982
		p := 1.0
		for i := 1; i <= n; i++ {
			p *= float64(i) / fn * (2*t - 1)
		}
		return 1 - p
	case t >= fn-1:
		return 2 * math.Pow(1-d, fn)
	}
	x := t * d
	switch {
	case d >= 0.5, n <= 140 && x > 4, n > 140 && x >= 2.2: // Miller 1956
		if n > 140 && x >= 370 {
			return 0
		}
		return min(1, 2*oneSided(n, d))
	case x >= 18:
		return 0
	case n <= 140, n <= 100000 && fn*math.Pow(d, 1.5) <= 1.4:
		return 1 - durbin(n, d)
	}
	return 1 - pelzGood(fn, d)
}

// oneSided is the chance that the distribution function of n values is more than d above the
// true one: Smirnov's sum, each of whose parts is a binomial chance.
func oneSided(n int, d float64) float64 {
	fn := float64(n)
	if n > 1e6 {
		return math.Exp(-(6*fn*d + 1) * (6*fn*d + 1) / (18 * fn))
	}
	last, sum := int(fn*(1-d)), 0.0
	part := func(j int) float64 {
		p := d + float64(j)/fn
		if p > 1 {
			return 0
		}
		v := binomial(float64(j), fn, p, 1-p) / p
		sum += v
		return v
	}
	middle := last / 2 // where the parts are largest; of many, those far from it are nothing
	for j := middle; j >= 0; j-- {
		if v := part(j); n > 1000 && v < sum*1e-19 {
			break
		}
	}
	for j := middle + 1; j <= last; j++ {
		if v := part(j); n > 1000 && v < sum*1e-19 {
			break
		}
	}
	return d * sum
}

// durbin is the chance of at most d: Durbin's matrix (Marsaglia, Tsang and Wang 2003).
func durbin(n int, d float64) float64 {
	nd := float64(n) * d
	k := int(math.Ceil(nd))
	h, m := float64(k)-nd, 2*k-1
	H := make([]float64, m*m)
	for i := range m {
		for j := range m {
			if i-j+1 >= 0 {
				H[i*m+j] = 1
			}
		}
	}
	for i := range m {
		H[i*m] -= math.Pow(h, float64(i+1))
		H[(m-1)*m+i] -= math.Pow(h, float64(m-i))
	}
	if 2*h-1 > 0 {
		H[(m-1)*m] += math.Pow(2*h-1, float64(m))
	}
	for i := range m {
		f := 1.0
		for j := i; j >= 0; j-- { // by (i-j+1)!
			f *= float64(i - j + 1)
			H[i*m+j] /= f
		}
	}
	Q, scale := power(H, m, n)
	p := Q[(k-1)*m+k-1]
	for i := 1; i <= n; i++ {
		if p *= float64(i) / float64(n); p < 1e-140 {
			p *= 1e140
			scale -= 140
		}
	}
	return p * math.Pow(10, float64(scale))
}

// power is H to the nth, and the power of ten that was taken out of it.
func power(H []float64, m, n int) ([]float64, int) {
	Q := make([]float64, m*m)
	for i := range m {
		Q[i*m+i] = 1
	}
	scale, hScale := 0, 0
	for {
		if n%2 == 1 {
			Q = times(Q, H, m)
			scale += hScale
			if Q[m*m/2] > 1e140 {
				shrink(Q)
				scale += 140
			}
		}
		if n /= 2; n == 0 {
			return Q, scale
		}
		H = times(H, H, m)
		if hScale *= 2; H[m*m/2] > 1e140 {
			shrink(H)
			hScale += 140
		}
	}
}

func shrink(a []float64) {
	for i := range a {
		a[i] *= 1e-140
	}
}

func times(a, b []float64, m int) []float64 {
	out := make([]float64, m*m)
	for i := range m {
		row := out[i*m : i*m+m]
		for k, x := range a[i*m : i*m+m] {
			if x == 0 {
				continue
			}
			for j, y := range b[k*m : k*m+m] {
				row[j] += x * y
			}
		}
	}
	return out
}

// pelzGood is the chance of at most d for large n (Pelz and Good 1976).
func pelzGood(n, d float64) float64 {
	const pi2 = math.Pi * math.Pi
	z := math.Sqrt(n) * d
	z2 := z * z
	z4, z6 := z2*z2, z2*z2*z2
	if -pi2/8/z2 < -745 {
		return 0
	}
	var k0, k1, k2, k3, k2b, k3b float64
	for k := int(math.Ceil(16*z/math.Pi)) + 1; k > 0; k-- {
		m := float64(2*k - 1)
		m2 := m * m
		m4, m6 := m2*m2, m2*m2*m2
		q := math.Exp(-pi2 * m2 / (8 * z2))
		k0 += q
		k1 += q * (pi2/4*m2 - z2)
		k2 += q * (6*z6 + 2*z4 + (2*z4-5*z2)*pi2/4*m2 + pi2*pi2*(1-2*z2)/16*m4)
		k3 += q * (-30*z6 - 90*z4*z4 + pi2*(135*z4-96*z6)/4*m2 + pi2*pi2*(-60*z2+212*z4)/16*m4 + pi2*pi2*pi2*(5-30*z2)/64*m6)
		f2 := float64(k) * float64(k)
		r := math.Exp(-pi2 * f2 / (2 * z2))
		k2b += f2 * r
		k3b += (3*z2 - pi2*f2) * f2 * r
	}
	root := math.Sqrt(2 * math.Pi)
	z7 := z6 * z
	sum := root * (k0/z + k1/(6*z4*math.Sqrt(n)) + k2/(72*z7*n) + k3/(6480*z6*z4*n*math.Sqrt(n)))
	return sum + root*(-pi2*k2b/(36*z2*z*n)+pi2*k3b/(216*z6*n*math.Sqrt(n)))
}

// KolmogorovTail is the chance that n values of one distribution stray further than d from it: scipy's
// kstwo.sf. NaN where there is no value.
func KolmogorovTail(n int, d float64) float64 {
	if n < 1 || math.IsNaN(d) {
		return math.NaN()
	}
	return kolmogorovTail(n, d)
}
