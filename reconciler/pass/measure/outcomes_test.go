// Outcomes that tell their times are joined as in data of predictions, and how late they come is known.

package measure

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/schemas"
)

func TestOfOutcomesThatTellTheirTimesTheLastBeforeTheDeadlineCounts(t *testing.T) {
	asked := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	of := schemas.Ref{Kind: schemas.KindDataset, Name: "outcomes"}
	for name, c := range map[string]struct {
		at   string
		rows [][3]string // id, outcome and time
		want string      // of row 1; "": none
		lag  *watch.Lag
	}{
		"one":               {"on", [][3]string{{"1", "yes", "2026-07-02T12:00:00Z"}}, "yes", &watch.Lag{Median: 24 * time.Hour, Tail: 24 * time.Hour}},
		"changed":           {"on", [][3]string{{"1", "no", "2026-07-04T12:00:00Z"}, {"1.0", "yes", "2026-07-02"}}, "no", &watch.Lag{Median: 72 * time.Hour, Tail: 72 * time.Hour, Changed: 1}},
		"written otherwise": {"on", [][3]string{{"1", "1", "2026-07-02T12:00:00Z"}, {"1", "1.0", "2026-07-02T12:00:00Z"}}, "1", &watch.Lag{Median: 24 * time.Hour, Tail: 24 * time.Hour}},
		"too late":          {"on", [][3]string{{"1", "yes", "2026-07-09T12:00:00Z"}}, "", &watch.Lag{Late: 1}},
		"not yet":           {"on", [][3]string{{"1", "yes", "2026-07-03"}, {"1", "no", "2027-07-03"}}, "yes", &watch.Lag{Median: 36 * time.Hour, Tail: 36 * time.Hour, Future: 1}},
		"before":            {"on", [][3]string{{"1", "yes", "2026-06-30"}}, "", &watch.Lag{Early: 1}},
		"of another row":    {"on", [][3]string{{"2", "yes", "soon"}}, "", &watch.Lag{}},
		"without a time":    {"", [][3]string{{"1", "yes", "soon"}}, "yes", nil},
		"changed, without":  {"", [][3]string{{"1", "yes", ""}, {"1", "no", ""}}, "", nil},
	} {
		o := &outcomes{spec: &schemas.MonitorLabels{From: of, At: c.at}, came: map[string]string{}, changed: map[string]bool{}}
		if c.at != "" {
			o.timed = predictions.NewLabels(7 * 24 * time.Hour).By(asked.Add(10 * 24 * time.Hour))
		}
		for _, row := range c.rows {
			stray, err := o.takeOutcome(func(column string) []byte {
				return []byte(map[string]string{"id": row[0], "label": row[1], "on": row[2]}[column])
			}, func(id string) bool { return id == "1" })
			if err != nil || stray != (row[0] == "2") {
				t.Errorf("%s: %v, %v", name, stray, err)
			}
		}
		got, there := o.of("1", asked, asked.Add(10*24*time.Hour))
		if there != (c.want != "") || there && string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if lag := o.lag(); (lag == nil) != (c.lag == nil) || lag != nil && *lag != *c.lag {
			t.Errorf("%s: %+v, want %+v", name, lag, c.lag)
		}
	}
	o := &outcomes{spec: &schemas.MonitorLabels{From: of, At: "on"}, timed: predictions.NewLabels(0), came: map[string]string{}}
	if _, err := o.takeOutcome(func(string) []byte { return []byte("x") }, func(string) bool { return true }); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a time that is none: %v", err)
	}
}
