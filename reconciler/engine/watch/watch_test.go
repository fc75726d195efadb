// Windows, judged; metrics, realized and estimated.

package watch

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

// The kinds cannot import the statistics, and both lists are one.
func TestTheStatisticsThatMayBeDeclaredAreThoseThatThereAre(t *testing.T) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(schemas.Statistics)), func(n string) bool { return n == "auto" })
	if !slices.Equal(names, drift.Names()) {
		t.Errorf("declared %v, offered %v", names, drift.Names())
	}
	for _, n := range names {
		m, _ := drift.ByName(n)
		takes := schemas.Statistics[n]
		if m.Takes(true) != (takes != "number") || m.Takes(false) != (takes != "category") {
			t.Errorf("%s is declared to take %s: categories %v, numbers %v", n, takes, m.Takes(true), m.Takes(false))
		}
	}
}

func TestAWindowIsJudgedByTheWorstOfIt(t *testing.T) {
	value := func(x float64) *drift.Number { n := drift.Number(x); return &n }
	for name, c := range map[string]struct {
		of   Evidence
		want ledger.Standing
	}{
		"well":                            {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}, {Verdict: drift.Insufficient}}}, ledger.Well},
		"drift":                           {Evidence{Columns: []drift.Column{{Verdict: drift.Drift}, {Verdict: drift.Stable}}}, ledger.Drifted},
		"fault":                           {Evidence{Columns: []drift.Column{{Verdict: drift.Fault}, {Verdict: drift.Drift}}}, ledger.Faulty},
		"too little":                      {Evidence{Columns: []drift.Column{{Verdict: drift.Insufficient}, {Verdict: drift.Unsupported}}}, ledger.Unknown},
		"nothing":                         {Evidence{}, ledger.Unknown},
		"a broken metric":                 {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Realized: []Metric{{Name: "f1", Value: value(0.1), Broken: true}}}, ledger.Drifted},
		"an estimated one breaks nothing": {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Estimated: []Metric{{Name: "f1", Value: value(0.1), Broken: true}}}, ledger.Well},
		"too few outcomes":                {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Realized: []Metric{{Name: "f1", Value: value(0.1), Few: true}}}, ledger.Unknown},
		"outcomes that are overdue":       {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Labels: &Coverage{Rows: 9, Least: 0.8, Overdue: true}}, ledger.Faulty},
		"drift, and no outcomes":          {Evidence{Columns: []drift.Column{{Verdict: drift.Drift}}, Labels: &Coverage{Rows: 9, Least: 0.8, Overdue: true}}, ledger.Drifted},
		"gates that wait for outcomes":    {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Labels: &Coverage{Rows: 9, Least: 0.8}}, ledger.Unknown},
		"outcomes that nothing waits for": {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Labels: &Coverage{Rows: 9}}, ledger.Well},
		"a broken gauge":                  {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Gauges: []GaugeReading{{Broken: true, Value: value(1)}}}, ledger.Drifted},
		"a gauge that is not known":       {Evidence{Columns: []drift.Column{{Verdict: drift.Stable}}, Gauges: []GaugeReading{{Unknown: "down"}}}, ledger.Unknown},
	} {
		if c.of.Judge(); c.of.Verdict != c.want {
			t.Errorf("%s: %s, %v", name, c.of.Verdict, c.of.Why)
		}
	}
}

// drawn are rows of a classifier whose scores are not calibrated: a score s comes true in s² of cases.
func drawn(n int, shift float64, r *rand.Rand) (out []Case) {
	for range n {
		s := math.Min(1, math.Max(0, r.Float64()+shift))
		c := Case{Score: s, Labelled: true}
		if s > 0.5 {
			c.Answer = 1
		}
		if r.Float64() < s*s {
			c.Outcome = 1
		}
		out = append(out, c)
	}
	return out
}

func TestWhatIsEstimatedIsWhatComesTrue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	by := Calibrate(drawn(20000, 0, r))
	for s, want := range map[float64]float64{0.2: 0.04, 0.5: 0.25, 0.9: 0.81} {
		if got := by.At(s); math.Abs(got-want) > 0.04 {
			t.Errorf("a score of %v is %v", s, got)
		}
	}
	for _, shift := range []float64{0, 0.2} { // what is asked changes, and not what comes of it
		window := drawn(20000, shift, r)
		for _, metric := range []string{"accuracy", "precision", "recall", "f1", "specificity", "roc_auc"} {
			got, want := Estimated(metric, window, by), Realized(metric, window)
			if math.Abs(got-want) > 0.02 {
				t.Errorf("%s at a shift of %v: estimated %v, realized %v", metric, shift, got, want)
			}
		}
	}
}

func TestMetricsAreThoseOfTheBooks(t *testing.T) {
	// by hand: tp 2, fp 1, fn 1, tn 1; of six pairs four are in order, and one is even
	cases := []Case{{0.9, 1, 1, true, false}, {0.8, 1, 1, true, false}, {0.7, 1, 0, true, false}, {0.3, 0, 1, true, false}, {0.3, 0, 0, true, false}}
	for metric, want := range map[string]float64{
		"accuracy": 0.6, "precision": 2.0 / 3, "recall": 2.0 / 3, "specificity": 0.5, "f1": 2.0 / 3, "roc_auc": 4.5 / 6, "mae": 0.4, "rmse": math.Sqrt(0.4),
	} {
		if got := Realized(metric, cases); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if got := Realized("accuracy", nil); !math.IsNaN(got) {
		t.Errorf("of nothing it is %v", got)
	}
}

// lines is a table of a text.
// Rows without an answer are of no metric of answers, and a bound that no row tells of is not held. Of several classes that none is the
// positive one, those that were taken for another are wrong.
func TestWhatIsNotAnsweredIsNoAnswer(t *testing.T) {
	none := math.NaN()
	cases := []Case{{Score: 0.9, Answer: none, Outcome: 1}, {Score: none, Answer: 0, Outcome: 0}, {Score: 0.1, Answer: 0, Outcome: 0, Missed: true}}
	for metric, want := range map[string]struct {
		n int
		v float64
	}{"accuracy": {2, 0.5}, "recall": {2, none}, "mae": {2, 0}, "roc_auc": {2, 1}} {
		got := Usable(metric, cases)
		if v := Realized(metric, got); len(got) != want.n || v != want.v && !math.IsNaN(want.v) {
			t.Errorf("%s: %v of %d", metric, v, len(got))
		}
	}
	least := 0.5
	m := []Metric{{Name: "accuracy", Min: &least}, {Name: "accuracy"}}
	if Settle(m, cases[:1]); !m[0].Few || m[1].Few {
		t.Errorf("%+v", m)
	}
}

// A bound is broken by what chance does not explain: one wrong answer of one is no alarm, and one
// right answer of one is no proof.
func TestABoundIsBrokenByWhatChanceDoesNotExplain(t *testing.T) {
	class := func(right, wrong int) (out []Case) {
		for i := range right + wrong {
			truth := float64(i % 2)
			answer := truth
			if i >= right {
				answer = 1 - truth
			}
			out = append(out, Case{Score: answer, Answer: answer, Outcome: truth, Labelled: true})
		}
		return out
	}
	least, most := 0.8, 2.0
	regression := func(n int, miss float64) (out []Case) {
		for i := range n {
			out = append(out, Case{Answer: float64(i) + miss*float64(1+i%3)/2, Outcome: float64(i), Labelled: true})
		}
		return out
	}
	for name, c := range map[string]struct {
		metric      string
		cases       []Case
		broken, few bool
	}{
		"one wrong":              {"accuracy", class(0, 1), false, true},
		"one right":              {"accuracy", class(1, 0), false, true},
		"many right":             {"accuracy", class(900, 100), false, false},
		"many wrong":             {"accuracy", class(700, 300), true, false},
		"all of a few wrong":     {"accuracy", class(0, 8), true, false},
		"as chance has it":       {"accuracy", class(795, 205), false, true},
		"recall of no positive":  {"recall", []Case{{Answer: 0, Outcome: 0, Labelled: true}}, false, true},
		"few of the rarer class": {"roc_auc", class(1, 1), false, true},
		"a few errors":           {"mae", regression(3, 9), false, true},
		"large errors":           {"rmse", regression(300, 9), true, false},
		"small errors":           {"mae", regression(300, 0.1), false, false},
	} {
		v := drift.Number(Realized(c.metric, c.cases))
		m := []Metric{{Name: c.metric, Value: &v, Min: &least}}
		if c.metric == "mae" || c.metric == "rmse" {
			m[0].Min, m[0].Max = nil, &most
		}
		if Settle(m, c.cases); m[0].Broken != c.broken || m[0].Few != c.few {
			t.Errorf("%s: %v: broken %v, few %v", name, float64(v), m[0].Broken, m[0].Few)
		}
	}
}

// Whoever asks a model may ask nonsense: one text among numbers makes a window's column no other
// one, and makes the rest of the log's file no text.
// typed is a table whose column is declared to be text.
