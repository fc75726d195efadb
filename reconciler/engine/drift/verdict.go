// Verdicts: what a column's score comes to once its size, its significance among all columns
// and its effect are known.

package drift

import (
	"fmt"
	"math"
	"slices"
)

// Verdict is what is said of a column, or of a window.
type Verdict string

const (
	Stable       Verdict = "stable"
	Drift        Verdict = "drift"
	Insufficient Verdict = "insufficient" // too few values for this method to tell
	Fault        Verdict = "fault"        // the column is missing, or of another type: no drift, and not well
	Unsupported  Verdict = "unsupported"  // nothing holds such a column, as text, against another
)

// LeastEffect is the least distance of the distributions, from 0 to 1, that is called drift: at
// a million rows everything is significant.
const LeastEffect = 0.05

// Column is one column, held.
type Column struct {
	Name      string  `json:"name"`
	Type      string  `json:"type"` // number, category or text
	Method    string  `json:"method,omitempty"`
	P         bool    `json:"pValue,omitempty"` // the score is a p-value
	Score     *Number `json:"score,omitempty"`  // Evidently's
	Threshold float64 `json:"threshold,omitempty"`
	Alarm     bool    `json:"alarm"` // what Evidently would say of the score
	Reference int     `json:"reference"`
	Window    int     `json:"window"`
	// NullRate is how often windows of this size alarm though nothing changed.
	NullRate float64 `json:"nullRate"`
	// Significance is a p-value that promises what it says, and Adjusted the same over all
	// columns (Benjamini and Hochberg 1995).
	Significance *Number `json:"significance,omitempty"`
	Adjusted     *Number `json:"adjusted,omitempty"`
	// Effect is the largest distance of the distributions, from 0 to 1.
	Effect  float64 `json:"effect"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	// Shape is how the values lie, for people.
	Shape *Shape `json:"shape,omitempty"`

	enough bool
	blind  bool
}

// Number is a float that JSON can always hold: what is no number is null.
type Number float64

// MarshalJSON writes null for NaN and infinities.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); f-f != 0 {
		return []byte("null"), nil
	}
	return fmt.Appendf(nil, "%v", float64(n)), nil
}

func number(f float64) *Number { n := Number(f); return &n }

// Setting is how a column is held; the zero value is as Evidently would.
type Setting struct {
	Method    string
	Threshold *float64
}

// Hold holds a window's column against the reference's. null finds the null alarm rate.
func Hold(name string, set Setting, ref, cur *Sample, null func(m Method, threshold float64, n int) Null) Column {
	c := Column{Name: name, Type: "number", Reference: ref.N(), Window: cur.N()}
	if ref.Category {
		c.Type = "category"
	}
	switch {
	case ref.N() == 0:
		return c.end(Fault, "the reference has no value")
	case cur.N() == 0: // never a score of 0
		return c.end(Insufficient, "the window has no value")
	case ref.Category != cur.Category:
		return c.end(Fault, "the reference has "+what(ref)+", and the window "+what(cur))
	}
	m := Default(ref, cur)
	if set.Method != "" {
		m, _ = ByName(set.Method)
	}
	c.Method, c.P, c.Threshold = m.Name, m.P, m.Threshold
	if set.Threshold != nil {
		c.Threshold = *set.Threshold
	}
	c.Shape = shape(ref, cur)
	score, err := m.Score(ref, cur)
	if err != nil {
		return c.end(Insufficient, err.Error())
	}
	c.Score, c.Alarm = number(score), m.Drifted(score, c.Threshold)
	p, effect := significance(ref, cur)
	c.Significance, c.Effect = number(p), effect
	if math.IsNaN(score) {
		return c.end(Insufficient, m.Name+" has no value for these samples")
	}
	found := null(m, c.Threshold, cur.N())
	c.NullRate, c.enough = found.Rate, found.Enough
	if !found.Enough {
		return c.end(Insufficient, fmt.Sprintf("windows of %d values alarm by chance in %.0f %% of cases", cur.N(), 100*found.Rate))
	}
	c.blind = blind(ref, cur.N())
	return c
}

func (c Column) end(v Verdict, why string) Column {
	c.Verdict, c.Why = v, why
	return c
}

// Judge gives each column that was held its verdict: drift is a score beyond its threshold that
// is significant over all columns and has an effect.
func Judge(columns []Column, fdr float64) {
	var held []int
	for i, c := range columns {
		if c.Verdict == "" {
			held = append(held, i)
		}
	}
	p := make([]float64, len(held))
	for k, i := range held {
		p[k] = float64(*columns[i].Significance)
	}
	for k, q := range adjusted(p) {
		c := &columns[held[k]]
		c.Adjusted = number(q)
		switch {
		case c.blind && (!c.Alarm || q > fdr): // that nothing is found tells nothing
			c.Verdict, c.Why = Insufficient, fmt.Sprintf("a change of half of %d values is within chance", c.Window)
		case !c.Alarm:
			c.Verdict = Stable
		case q > fdr:
			c.Verdict, c.Why = Stable, "beyond the threshold, but chance over all columns does as much"
		case c.Effect < LeastEffect:
			c.Verdict, c.Why = Stable, "significant, but too small to matter"
		default:
			c.Verdict = Drift
		}
	}
}

// adjusted are p-values over their family (Benjamini and Hochberg 1995).
func adjusted(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] > p[b]:
			return -1
		case p[a] < p[b]:
			return 1
		}
		return 0
	})
	out, least := make([]float64, len(p)), 1.0
	for k, i := range order {
		least = min(least, max(p[i], p[i]*float64(len(p))/float64(len(p)-k)))
		out[i] = least
	}
	return out
}

// Whole is the verdict of a window by its columns: a fault comes first, then drift, then that
// too little is known.
func Whole(columns []Column) Verdict {
	seen := map[Verdict]bool{}
	for _, c := range columns {
		seen[c.Verdict] = true
	}
	for _, v := range []Verdict{Fault, Drift, Stable} {
		if seen[v] {
			return v
		}
	}
	return Insufficient
}

// Persists tells whether a window's drift is news to act on: at least so many of the last
// windows have drifted, this one among them. before is newest first.
func Persists(now Verdict, before []Verdict, violations, of int) bool {
	if now != Drift {
		return false
	}
	n := 1
	for _, v := range before[:min(len(before), max(of-1, 0))] {
		if v == Drift {
			n++
		}
	}
	return n >= violations
}
