// Labels: the last before the deadline counts, and all that is odd is said.

package predictions

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheLastLabelBeforeTheDeadlineCounts(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	day := func(n float64) time.Time { return began.Add(time.Duration(n * 24 * float64(time.Hour))) }
	yes, no := BoolOf(true), BoolOf(false)
	for name, c := range map[string]struct {
		labels []Outcome
		asked  []string
		within time.Duration
		now    time.Time
		want   string
		odd    Coverage
	}{
		"one":                     {[]Outcome{{"1", yes, day(2)}}, []string{"1"}, 30 * 24 * time.Hour, day(40), "[true]", Coverage{Predictions: 1, Labelled: 1, Labels: 1, LagMedian: 48 * time.Hour, LagTail: 48 * time.Hour}},
		"none yet":                {nil, []string{"1"}, 30 * 24 * time.Hour, day(10), "[-]", Coverage{Predictions: 1, Pending: 1}},
		"none, and it is over":    {nil, []string{"1"}, 24 * time.Hour, day(10), "[-]", Coverage{Predictions: 1}},
		"without a prediction":    {[]Outcome{{"9", yes, day(1)}}, []string{"1"}, 24 * time.Hour, day(10), "[-]", Coverage{Predictions: 1, Labels: 1, Orphans: 1}},
		"one that changes":        {[]Outcome{{"1", yes, day(3)}, {"1", no, day(2)}}, []string{"1"}, 0, day(10), "[true]", Coverage{Predictions: 1, Labelled: 1, Labels: 2, Changed: 1, LagMedian: 72 * time.Hour, LagTail: 72 * time.Hour}},
		"changed too late":        {[]Outcome{{"1", yes, day(2)}, {"1", no, day(9)}}, []string{"1"}, 3 * 24 * time.Hour, day(10), "[true]", Coverage{Predictions: 1, Labelled: 1, Labels: 2, Late: 1, LagMedian: 48 * time.Hour, LagTail: 48 * time.Hour}},
		"said twice":              {[]Outcome{{"1", yes, time.Time{}}, {"1", yes, time.Time{}}}, []string{"1"}, 0, day(10), "[true]", Coverage{Predictions: 1, Labelled: 1, Labels: 2, Repeated: 1}},
		"written otherwise":       {[]Outcome{{"1.0", IntOf(3), time.Time{}}, {"1", FloatOf(3), time.Time{}}}, []string{"1"}, 0, day(10), "[3]", Coverage{Predictions: 1, Labelled: 1, Labels: 2, Repeated: 1}},
		"asked for otherwise":     {[]Outcome{{"1", yes, time.Time{}}}, []string{"1.0", "1"}, 0, day(10), "[true true]", Coverage{Predictions: 2, Labelled: 2, Labels: 1, Twice: 1}},
		"of no time, the last":    {[]Outcome{{"1", yes, time.Time{}}, {"1", no, time.Time{}}}, []string{"1"}, 0, day(10), "[false]", Coverage{Predictions: 1, Labelled: 1, Labels: 2, Changed: 1}},
		"before it was asked":     {[]Outcome{{"1", yes, day(-1)}}, []string{"1"}, 0, day(10), "[-]", Coverage{Predictions: 1, Pending: 1, Labels: 1, Early: 1}},
		"no id, no value":         {[]Outcome{{"", yes, day(1)}, {"1", Value{}, day(1)}}, []string{"1"}, time.Hour, day(10), "[-]", Coverage{Predictions: 1, Labels: 2, Nameless: 2}},
		"an id asked about twice": {[]Outcome{{"1", yes, day(-2)}, {"1", no, day(1)}}, []string{"1", "1"}, 0, day(10), "[false false]", Coverage{Predictions: 2, Labelled: 2, Labels: 2, Twice: 1, Early: 1, LagMedian: 24 * time.Hour, LagTail: 24 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLabels(c.within)
			for _, o := range c.labels {
				l.Add(o)
			}
			var got []string
			for _, id := range c.asked {
				v, ok := l.Join(id, began, c.now)
				if !ok {
					got = append(got, "-")
					continue
				}
				got = append(got, v.String())
			}
			if fmt.Sprint(got) != c.want || l.Coverage() != c.odd {
				t.Errorf("%q, want %q\n got %+v\nwant %+v", got, c.want, l.Coverage(), c.odd)
			}
		})
	}
}

// However labels are ordered that tell their times, what a prediction has is the same.
func TestTheOrderOfLabelsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "labels")
		var all []Outcome
		for i := range n { // no two at one time: of those the order decides
			all = append(all, Outcome{fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "id")), IntOf(rapid.Int64Range(0, 2).Draw(t, "value")), time.Unix(int64(i*10+rapid.IntRange(0, 9).Draw(t, "at")), 0)})
		}
		within := time.Duration(rapid.IntRange(0, 100).Draw(t, "within")) * time.Second
		join := func(order []Outcome) string {
			l := NewLabels(within)
			for _, o := range order {
				l.Add(o)
			}
			said := ""
			for id := range 4 {
				v, ok := l.Join(fmt.Sprint(id), time.Unix(50, 0), time.Unix(1000, 0))
				said += fmt.Sprint(v, ok, " ")
			}
			c := l.Coverage()
			if c.Labelled > c.Predictions || c.Share() > 1 {
				t.Fatalf("%+v", c)
			}
			return said + fmt.Sprint(c.Labelled, c.Pending, c.Orphans, c.Late, c.Early)
		}
		if a, b := join(all), join(rapid.Permutation(all).Draw(t, "order")); a != b {
			t.Errorf("%s or %s", a, b)
		}
	})
}
