// The verdicts, held: few windows alarm though nothing changed, shifts are found, and what
// cannot be told is not told.

package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// simulation is columns of many windows, of which some are shifted.
type simulation struct {
	columns, windows, reference, n int
	shift                          float64
	methods                        []string // one a column, in turns; "" is the default
}

// ofWindows are shares of windows: those that were called drift, those that had a verdict at all, and those of which
// some column's score is beyond its threshold, which is what Evidently says.
type ofWindows struct{ drift, told, scored float64 }

func (s simulation) run(r *rand.Rand) (out ofWindows) {
	refs, nulls := make([]*Sample, s.columns), map[string]Null{}
	draw := func(c, n int, shift float64) *Sample {
		v := make([]float64, n)
		for i := range v {
			if v[i] = r.NormFloat64() + shift; c%2 == 1 {
				v[i] = math.Exp(v[i])
			}
		}
		return Numeric(v)
	}
	for c := range refs {
		refs[c] = draw(c, s.reference, 0)
	}
	for range s.windows {
		cols := make([]Column, s.columns)
		for c := range cols {
			shift := s.shift
			if c > 0 { // one column of many
				shift = 0
			}
			set := Setting{Method: s.methods[c%len(s.methods)]}
			cols[c] = Hold(fmt.Sprint(c), set, refs[c], draw(c, s.n, shift), func(m Method, threshold float64, n int) Null {
				key := fmt.Sprint(m.Name, c, NullSize(n))
				if _, known := nulls[key]; !known {
					nulls[key] = NullAlarms(m, threshold, refs[c], n, digest.Of([]byte(key)))
				}
				return nulls[key]
			})
		}
		Judge(cols, 0.05)
		one := 1 / float64(s.windows)
		switch Whole(cols) {
		case Drift:
			out.drift += one
			out.told += one
		case Stable:
			out.told += one
		}
		if slices.ContainsFunc(cols, func(c Column) bool { return c.Alarm }) {
			out.scored += one
		}
	}
	return out
}

// Fifty columns of 200 windows each are what the benchmark has.
func TestFewWindowsAlarmThoughNothingChanged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{50, 400, 1200} {
		s := simulation{columns: 8, windows: 40, reference: 2000, n: n, methods: []string{"", "ks", "psi", "jensenshannon"}}
		got := s.run(r)
		if got.drift > 0.125 { // 5 % by right, and chance adds some: five of 40
			t.Errorf("windows of %d: %.0f %% alarm", n, 100*got.drift)
		}
	}
}

func TestShiftsAreFound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := simulation{columns: 4, windows: 10, reference: 4000, n: 2000, shift: 0.25, methods: []string{""}}
	if got := s.run(r); got.drift < 0.9 || math.Abs(got.told-1) > 1e-9 {
		t.Errorf("a quarter of a deviation is found in %.0f %% of windows", 100*got.drift)
	}
}

func TestAWindowThatIsTooSmallHasNoVerdict(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := simulation{columns: 3, windows: 5, reference: 3000, n: 40, methods: []string{"wasserstein"}}
	if got := s.run(r); got.drift != 0 || got.told != 0 || got.scored == 0 {
		t.Errorf("%+v", got)
	}
}

// Two rows are never well: a p-value of so few is large whatever they are.
func TestNoMethodCallsAFewRowsStable(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	numbers := func(n int) *Sample {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		return Numeric(v)
	}
	categories := func(n int) *Sample {
		counts := map[string]int{}
		for range n {
			counts[string(rune('a'+r.IntN(2)))]++
		}
		return Categories(counts)
	}
	quiet := func(Method, float64, int) Null { return Null{Enough: true} }
	for _, m := range methods {
		for kind, draw := range map[bool]func(int) *Sample{false: numbers, true: categories} {
			if !m.Takes(kind) {
				continue
			}
			for _, n := range []int{1, 2, 3, 400} {
				cur := draw(n)
				c := []Column{Hold("x", Setting{Method: m.Name}, draw(400), cur, quiet)}
				Judge(c, 0.05)
				if few := n < 4; few == (c[0].Verdict == Stable) && (few || c[0].Verdict == Insufficient) {
					t.Errorf("%s of %d values, categories %v: %s: %s", m.Name, n, kind, c[0].Verdict, c[0].Why)
				}
			}
		}
	}
	if blind(numbers(1000), 9) || !blind(numbers(3), 1000) || blind(categories(1000), 40) || !blind(categories(2), 1000) {
		t.Error("the size from which on windows tell something has changed")
	}
}

func TestAnEmptyWindowIsNoScoreOfZero(t *testing.T) {
	ref := Numeric([]float64{1, 2, 3})
	for _, cur := range []*Sample{Numeric(nil), Numeric([]float64{math.NaN(), math.Inf(1)})} {
		c := Hold("x", Setting{}, ref, cur, nil)
		if c.Verdict != Insufficient || c.Score != nil || c.Window != 0 {
			t.Errorf("%+v", c)
		}
	}
	if c := Hold("x", Setting{}, Numeric(nil), ref, nil); c.Verdict != Fault {
		t.Errorf("%+v", c)
	}
	if c := Hold("x", Setting{}, ref, Categories(map[string]int{"a": 3}), nil); c.Verdict != Fault || c.Score != nil {
		t.Errorf("another type is a fault: %+v", c)
	}
}

func TestEffectStandsBesideSignificance(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	a, b := make([]float64, 200000), make([]float64, 200000)
	for i := range a {
		a[i], b[i] = r.NormFloat64(), r.NormFloat64()+0.02
	}
	c := []Column{Hold("x", Setting{Method: "t_test"}, Numeric(a), Numeric(b), func(Method, float64, int) Null { return Null{Enough: true} })}
	Judge(c, 0.05)
	if !c[0].Alarm || c[0].Verdict != Stable || c[0].Effect > LeastEffect {
		t.Errorf("%+v", c[0])
	}
}

// What is adjusted is never below what it was, keeps the order, and ends at the largest.
func TestAdjustingKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 60).Draw(t, "p")
		q := adjusted(p)
		for i := range p {
			if q[i] < p[i] || q[i] > 1 {
				t.Fatalf("%v became %v", p[i], q[i])
			}
			for j := range p {
				if p[i] < p[j] && q[i] > q[j] {
					t.Fatalf("%v and %v changed places", p[i], p[j])
				}
			}
		}
	})
	if q := adjusted([]float64{0.01, 0.02, 0.03, 0.04}); q[0] != 0.04 || q[3] != 0.04 {
		t.Errorf("%v", q)
	}
}

func TestDriftPersists(t *testing.T) {
	for name, c := range map[string]struct {
		now    Verdict
		before []Verdict
		want   bool
	}{
		"the first of two":         {Drift, nil, false},
		"two of five":              {Drift, []Verdict{Stable, Stable, Drift}, true},
		"the other is too old":     {Drift, []Verdict{Stable, Stable, Stable, Stable, Drift}, false},
		"this one has not drifted": {Stable, []Verdict{Drift, Drift}, false},
		"too little is no drift":   {Drift, []Verdict{Insufficient, Fault}, false},
	} {
		if got := Persists(c.now, c.before, 2, 5); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whatever the samples are, a method answers with a score, with NaN or with an error.
func TestNoSampleMakesAMethodFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := func(name string) *Sample {
			v := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, 1, 1, 2, math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e308, -1e308, 5e-324})), 0, 60).Draw(t, name)
			return Numeric(v)
		}
		ref, cur := side("ref"), side("cur")
		for _, m := range methods {
			score, err := m.Score(ref, cur)
			if err == nil && m.P && (score < 0 || score > 1+1e-9) {
				t.Fatalf("%s says %v", m.Name, score)
			}
		}
		if ref.N() > 0 && cur.N() > 0 {
			shape(ref, cur)
		}
	})
}
