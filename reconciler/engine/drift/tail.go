// Tails of the distributions that p-values are read from, to a relative 1e-12 also where they
// are tiny: a p-value of 1e-100 is compared with a peer's as one of 0.5 is.

package drift

import "math"

// normalTails is the chance that a standard normal value is further from zero than z, as its
// peer computes it: one less what is nearer, so that beyond 8 it is nothing.
func normalTails(z float64) float64 { return 2 * (1 - math.Erfc(-math.Abs(z)/math.Sqrt2)/2) }

// chiSquareTail is the chance of more than x under chi-square with dof degrees of freedom.
func chiSquareTail(x, dof float64) float64 {
	switch {
	case math.IsNaN(x) || dof <= 0:
		return math.NaN()
	case x <= 0:
		return 1
	case math.IsInf(x, 1):
		return 0
	}
	return upperGamma(dof/2, x/2)
}

// upperGamma is the regularized incomplete gamma function Q(a, x): the series of P below
// a+1, and Lentz's continued fraction of Q above (Abramowitz and Stegun 6.5.29, 6.5.31).
func upperGamma(a, x float64) float64 {
	const enough, most = 1e-17, 1 << 20
	front := gammaFront(a, x)
	if x < a+1 {
		sum, term := 1.0, 1.0
		for n := 1; n < most; n++ {
			term *= x / (a + float64(n))
			sum += term
			if term < sum*enough {
				break
			}
		}
		return 1 - front*sum/a
	}
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for n := 1; n < most; n++ {
		an := -float64(n) * (float64(n) - a)
		b += 2
		if d = an*d + b; math.Abs(d) < tiny {
			d = tiny
		}
		if c = b + an/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		step := d * c
		h *= step
		if math.Abs(step-1) < 1e-16 {
			break
		}
	}
	return front * h
}

// gammaFront is x^a e^-x / Γ(a). For large a its parts are huge and nearly cancel, so that
// Stirling's series takes their place (Temme 1994).
func gammaFront(a, x float64) float64 {
	if a < 10 {
		lg, _ := math.Lgamma(a)
		return math.Exp(a*math.Log(x) - x - lg)
	}
	mu := (x - a) / a
	return math.Exp(a*log1pLess(mu)-stirlingError(a)) * math.Sqrt(a/(2*math.Pi))
}

// log1pLess is log(1+u) - u.
func log1pLess(u float64) float64 {
	if math.Abs(u) > 0.3 {
		return math.Log1p(u) - u
	}
	// log(1+u) = 2 atanh(u/(2+u))
	r := u / (2 + u)
	sum, power := 0.0, 2*r
	for k := 3; k < 80 && math.Abs(power) > 1e-19*u*u; k += 2 {
		power *= r * r
		sum += power / float64(k)
	}
	return sum - u*u/(2+u)
}

// stirlingError is ln Γ(n+1) - (n+½) ln n + n - ½ ln 2π (Loader 2000).
func stirlingError(n float64) float64 {
	if n < 16 {
		lg, _ := math.Lgamma(n + 1)
		return lg - (n+0.5)*math.Log(n) + n - 0.5*math.Log(2*math.Pi)
	}
	s := n * n
	return (1.0/12 - (1.0/360-(1.0/1260-(1.0/1680-(1.0/1188-(691.0/360360)/s)/s)/s)/s)/s) / n
}

// deviance is x ln(x/m) + m - x, without the loss where both are close (Loader 2000).
func deviance(x, m float64) float64 {
	if x == 0 {
		return m
	}
	return -x * log1pLess((m-x)/x)
}

// binomial is the chance of x of n where each has the chance p, and q is 1 - p, given
// apart as it may be tiny.
func binomial(x, n, p, q float64) float64 {
	switch {
	case p <= 0 || q <= 0:
		if p <= 0 && x == 0 || q <= 0 && x == n {
			return 1
		}
		return 0
	case x == 0:
		if p < 0.1 {
			return math.Exp(n * math.Log1p(-p))
		}
		return math.Exp(n * math.Log(q))
	case x == n:
		if q < 0.1 {
			return math.Exp(n * math.Log1p(-q))
		}
		return math.Exp(n * math.Log(p))
	}
	lc := stirlingError(n) - stirlingError(x) - stirlingError(n-x) - deviance(x, n*p) - deviance(n-x, n*q)
	return math.Exp(lc) * math.Sqrt(n/(2*math.Pi*x*(n-x)))
}

// studentTails is the chance that a t-distributed value with dof degrees of freedom is
// further from zero than t: I(dof/(dof+t²); dof/2, ½).
func studentTails(t, dof float64) float64 {
	if math.IsNaN(t) || dof <= 0 {
		return math.NaN()
	}
	if math.IsInf(t, 0) {
		return 0
	}
	a, b, y := dof/2, 0.5, t*t/(dof+t*t) // x = 1-y
	x := dof / (dof + t*t)
	front := math.Exp(a*logOf(x, y)+b*math.Log(y)) / betaHalf(a)
	if t == 0 {
		return 1
	}
	if x < (a+1)/(a+b+2) {
		return front * betaFraction(a, b, x) / a
	}
	return 1 - front*betaFraction(b, a, y)/b
}

// logOf is log x where y is 1 - x.
func logOf(x, y float64) float64 {
	if y < 0.5 {
		return math.Log1p(-y)
	}
	return math.Log(x)
}

// betaHalf is the beta function B(a, ½): Γ(a)Γ(½)/Γ(a+½). The ratio of two large gammas
// comes from Stirling's series.
func betaHalf(a float64) float64 {
	if a < 20 {
		x, _ := math.Lgamma(a)
		y, _ := math.Lgamma(a + 0.5)
		return math.Exp(x-y) * math.Sqrt(math.Pi)
	}
	// ln Γ(a+½) - ln Γ(a) = a ln(1+1/(2a)) - ½ + ½ ln a + s(a+½) - s(a), where s is the error of Stirling's formula for Γ
	u := 0.5 / a
	d := a*log1pLess(u) + 0.5*math.Log(a) + gammaError(a+0.5) - gammaError(a)
	return math.Exp(-d) * math.Sqrt(math.Pi)
}

// gammaError is ln Γ(z) - (z-½) ln z + z - ½ ln 2π, which is the error of ln Γ(z+1) as well.
func gammaError(z float64) float64 { return stirlingError(z) }

// betaFraction is the continued fraction of the incomplete beta function (DLMF 8.17.22).
func betaFraction(a, b, x float64) float64 {
	const tiny, most = 1e-300, 1 << 20
	c, d := 1.0, 1-(a+b)*x/(a+1)
	if math.Abs(d) < tiny {
		d = tiny
	}
	d = 1 / d
	h, step := d, 0.0
	for m := 1.0; m < most; m++ {
		for _, an := range [2]float64{m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)), -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))} {
			if d = 1 + an*d; math.Abs(d) < tiny {
				d = tiny
			}
			if c = 1 + an/c; math.Abs(c) < tiny {
				c = tiny
			}
			d = 1 / d
			step = d * c
			h *= step
		}
		if math.Abs(step-1) < 1e-16 {
			break
		}
	}
	return h
}
