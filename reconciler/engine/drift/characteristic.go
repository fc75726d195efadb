// The test of Epps and Singleton (1986): samples are held against each other by their
// characteristic functions, at two points.

package drift

import (
	"math"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func eppsSingleton(ref, cur *Sample) (float64, error) {
	a, b := ref.Numbers, cur.Numbers
	n1, n2 := float64(len(a)), float64(len(b))
	n := n1 + n2
	spread := quantile(a, b, 0.75) - quantile(a, b, 0.25)
	if spread == 0 {
		return 0, fault.New(fault.Invalid, "es needs values that differ in their middle half")
	}
	if len(a) < 5 || len(b) < 5 {
		return 0, fault.New(fault.Invalid, "es needs five values on each side at least")
	}
	sigma := spread / 2
	m1, c1 := waves(a, sigma)
	m2, c2 := waves(b, sigma)
	var cov [4][4]float64
	var diff [4]float64
	for i := range 4 {
		diff[i] = m1[i] - m2[i]
		for j := range 4 {
			cov[i][j] = n/n1*c1[i][j] + n/n2*c2[i][j]
		}
	}
	values, vectors := eigen(cov)
	most := 0.0
	for _, v := range values {
		most = max(most, math.Abs(v))
	}
	w, rank := 0.0, 0.0
	least := math.Inf(1) // of the inverse, for its rank
	for _, v := range values {
		if math.Abs(v) > 1e-15*most {
			least = min(least, math.Abs(v))
		}
	}
	for k, v := range values {
		if math.Abs(v) <= 1e-15*most {
			continue
		}
		if 1/math.Abs(v) > 1/least*4*2.220446049250313e-16 {
			rank++
		}
		dot := 0.0
		for i := range 4 {
			dot += vectors[i][k] * diff[i]
		}
		w += dot * dot / v
	}
	w *= n
	if max(n1, n2) < 25 {
		w *= 1 / (1 + math.Pow(n, -0.45) + 10.1*(math.Pow(n1, -1.7)+math.Pow(n2, -1.7)))
	}
	return chiSquareTail(w, rank), nil
}

// waves are means and covariances of the cosines and sines at both points.
func waves(v []float64, sigma float64) (mean [4]float64, cov [4][4]float64) {
	n := float64(len(v))
	g := make([][4]float64, len(v))
	for i, x := range v {
		s0, c0 := math.Sincos(0.4 / sigma * x)
		s1, c1 := math.Sincos(0.8 / sigma * x)
		g[i] = [4]float64{c0, c1, s0, s1}
		for k, y := range g[i] {
			mean[k] += y
		}
	}
	for k := range mean {
		mean[k] /= n
	}
	for _, y := range g {
		for i := range 4 {
			for j := range i + 1 {
				cov[i][j] += (y[i] - mean[i]) * (y[j] - mean[j]) / n
			}
		}
	}
	for i := range 4 {
		for j := range i {
			cov[j][i] = cov[i][j]
		}
	}
	return mean, cov
}

// quantile is of both sorted samples together, linear between two values.
func quantile(a, b []float64, q float64) float64 {
	at := q*float64(len(a)+len(b)) + 1 - q // from 1; to the last digit as scipy 1.17 does
	low := int(math.Floor(at))
	g := at - float64(low)
	return (1-g)*nth(a, b, low-1) + g*nth(a, b, min(low, len(a)+len(b)-1))
}

// nth is the value at a place of both sorted samples together.
func nth(a, b []float64, k int) float64 {
	lo, hi := max(0, k+1-len(b)), min(k+1, len(a)) // how many of a are among the k+1 least
	for lo < hi {
		i := (lo + hi) / 2
		if j := k + 1 - i; a[i] < b[j-1] {
			lo = i + 1
		} else {
			hi = i
		}
	}
	out := math.Inf(-1)
	if lo > 0 {
		out = a[lo-1]
	}
	if j := k + 1 - lo; j > 0 {
		out = max(out, b[j-1])
	}
	return out
}

// eigen are eigenvalues and eigenvectors, in columns, of a symmetric matrix: Jacobi's rotations.
func eigen(a [4][4]float64) (values [4]float64, v [4][4]float64) {
	for i := range v {
		v[i][i] = 1
	}
	for range 60 {
		off := 0.0
		for i := range 4 {
			for j := range i {
				off += a[i][j] * a[i][j]
			}
		}
		if off == 0 {
			break
		}
		for p := range 3 {
			for q := p + 1; q < 4; q++ {
				if a[p][q] == 0 {
					continue
				}
				theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
				t := 1 / (math.Abs(theta) + math.Hypot(theta, 1))
				if theta < 0 {
					t = -t
				}
				c := 1 / math.Hypot(t, 1)
				s := t * c
				for k := range 4 {
					x, y := a[k][p], a[k][q]
					a[k][p], a[k][q] = c*x-s*y, s*x+c*y
				}
				for k := range 4 {
					x, y := a[p][k], a[q][k]
					a[p][k], a[q][k] = c*x-s*y, s*x+c*y
					x, y = v[k][p], v[k][q]
					v[k][p], v[k][q] = c*x-s*y, s*x+c*y
				}
				a[p][q], a[q][p] = 0, 0
			}
		}
	}
	for i := range values {
		values[i] = a[i][i]
	}
	return values, v
}
