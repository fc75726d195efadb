// Package drift holds one sample of a column against another. Its scores are those of
// Evidently 0.7, method by method; beside a score, and never in its place, stands what makes it a
// verdict: how often the score alarms though nothing changed, significance over all columns,
// effect, and whether the windows before say the same.
package drift

import (
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Method is one way to hold two samples against each other.
type Method struct {
	// Name is what Evidently calls it: ks, psi, jensenshannon.
	Name string
	// Title is the name in reports.
	Title string
	// P says that the score is a p-value, small where samples differ; else it is a distance.
	P bool
	// Threshold is from where on samples have drifted, where none is declared.
	Threshold float64
	numbers   bool // it takes numbers
	names     bool // it takes categories
	few       bool // it takes numbers of few values where no method is named
	inclusive bool // a score at the threshold has drifted
	score     func(ref, cur *Sample) (float64, error)
}

// methods has one row a method.
var methods = []Method{
	{Name: "ks", Title: "K-S p_value", P: true, Threshold: 0.05, numbers: true, inclusive: true, score: ks},
	{Name: "chisquare", Title: "chi-square p_value", P: true, Threshold: 0.05, few: true, names: true, score: chiSquare},
	{Name: "z", Title: "Z-test p_value", P: true, Threshold: 0.05, few: true, names: true, score: proportions},
	{Name: "wasserstein", Title: "Wasserstein distance (normed)", Threshold: 0.1, numbers: true, inclusive: true, score: wasserstein},
	{Name: "jensenshannon", Title: "Jensen-Shannon distance", Threshold: 0.1, numbers: true, names: true, inclusive: true, score: jensenShannon},
	{Name: "psi", Title: "PSI", Threshold: 0.1, numbers: true, names: true, inclusive: true, score: psi},
	{Name: "kl_div", Title: "Kullback-Leibler divergence", Threshold: 0.1, numbers: true, names: true, inclusive: true, score: klDivergence},
	{Name: "hellinger", Title: "Hellinger distance", Threshold: 0.1, numbers: true, names: true, inclusive: true, score: hellinger},
	{Name: "ed", Title: "Energy-distance", Threshold: 0.1, numbers: true, score: energy},
	{Name: "t_test", Title: "t_test", P: true, Threshold: 0.05, numbers: true, score: tTest},
	{Name: "mannw", Title: "Mann-Whitney U-rank test", P: true, Threshold: 0.05, numbers: true, score: mannWhitney},
	{Name: "cramer_von_mises", Title: "Cramer-von Mises", P: true, Threshold: 0.1, numbers: true, inclusive: true, score: cramerVonMises},
	{Name: "anderson", Title: "Anderson-Darling", P: true, Threshold: 0.1, numbers: true, score: anderson},
	{Name: "es", Title: "Epps-Singleton", P: true, Threshold: 0.05, numbers: true, score: eppsSingleton},
	{Name: "g_test", Title: "g_test", P: true, Threshold: 0.1, names: true, score: gTest},
	{Name: "fisher_exact", Title: "Fisher's Exact test", P: true, Threshold: 0.1, names: true, score: fisherExact},
}

// Names are the names of all methods, sorted.
func Names() []string {
	var out []string
	for _, m := range methods {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}

// ByName finds a method.
func ByName(name string) (Method, bool) {
	for _, m := range methods {
		if m.Name == name {
			return m, true
		}
	}
	return Method{}, false
}

// Unoffered are methods of Evidently that there are none of here, and why.
var Unoffered = map[string]string{
	"TVD":                     "its p-value is drawn at random, in the order of the rows",
	"empirical_mmd":           "its p-value is drawn at random without a seed, so that two runs differ",
	"perc_text_content_drift": "text is not compared with text",
	"abs_text_content_drift":  "text is not compared with text",
}

// Default is the method that Evidently takes where none is named.
func Default(ref, cur *Sample) Method {
	values := 0
	for range distinctOfBoth(ref, cur, 6) {
		values++
	}
	name := "wasserstein"
	small := ref.N() <= 1000
	category := ref.Category || cur.Category
	switch {
	case small && !category && values > 5:
		name = "ks"
	case small && values > 2:
		name = "chisquare"
	case small:
		name = "z"
	case category || values <= 5:
		name = "jensenshannon"
	}
	m, _ := ByName(name)
	return m
}

// distinctOfBoth yields as many times as both sides have different values, most times at most.
func distinctOfBoth(ref, cur *Sample, most int) func(func() bool) {
	return func(yield func() bool) {
		if ref.Counts != nil || cur.Counts != nil {
			for range cells(ref, cur) {
				if !yield() {
					return
				}
			}
			return
		}
		n := 0
		for range steps(ref.Numbers, cur.Numbers) {
			if n++; n > most || !yield() {
				return
			}
		}
	}
}

// Takes tells whether the method may be named for a column of categories, or of numbers.
func (m Method) Takes(categories bool) bool {
	if categories {
		return m.names
	}
	return m.numbers
}

// Score holds cur against ref. A score that cannot be computed is an error that says why; NaN is
// a p-value that these samples do not have, as of two constants in a t-test.
func (m Method) Score(ref, cur *Sample) (float64, error) {
	switch {
	case ref.N() == 0:
		return 0, fault.New(fault.Invalid, "the reference has no value")
	case cur.N() == 0:
		return 0, fault.New(fault.Invalid, "the window has no value")
	case ref.Category != cur.Category:
		return 0, fault.New(fault.Invalid, "one side has numbers and the other has categories")
	case !m.Takes(ref.Category) && !(m.few && !ref.Category):
		return 0, fault.New(fault.Invalid, "method %s takes no %s", m.Name, what(ref))
	}
	return m.score(ref, cur)
}

func what(s *Sample) string {
	if s.Category {
		return "categories"
	}
	return "numbers"
}

// Drifted tells whether a score says so.
func (m Method) Drifted(score, threshold float64) bool {
	switch {
	case math.IsNaN(score):
		return false
	case score == threshold:
		return m.inclusive
	case m.P:
		return score < threshold
	}
	return score > threshold
}
