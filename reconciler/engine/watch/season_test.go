// Which hours a window has.

package watch

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

func TestASeasonIsTheHoursOfItsWindow(t *testing.T) {
	noon := time.Date(2026, 11, 25, 12, 30, 0, 0, time.UTC) // a Wednesday
	for name, c := range map[string]struct {
		every  string
		back   time.Duration
		hours  int
		in     time.Time
		out    time.Time
		always bool
	}{
		"an hour of each day":   {schemas.EveryDay, time.Hour, 2, noon.AddDate(0, -3, 0), noon.Add(2 * time.Hour), false},
		"an hour of each week":  {schemas.EveryWeek, time.Hour, 2, noon.AddDate(0, 0, -70), noon.AddDate(0, 0, -69), false},
		"a day, of each week":   {schemas.EveryWeek, 24 * time.Hour, 25, noon.AddDate(0, 0, -7), noon.AddDate(0, 0, -3), false},
		"a day, of each day":    {schemas.EveryDay, 24 * time.Hour, 24, noon, time.Time{}, true},
		"a month, of each week": {schemas.EveryWeek, 30 * 24 * time.Hour, 168, noon, time.Time{}, true},
		"across zones":          {schemas.EveryDay, time.Hour, 2, noon.In(time.FixedZone("", 5*3600)), noon.Add(-5 * time.Hour), false},
	} {
		s := SeasonOf(c.every, noon.Add(-c.back), noon)
		if len(s.hours) != c.hours || !s.Has(c.in) || !c.always && s.Has(c.out) {
			t.Errorf("%s: %s", name, s.Name())
		}
	}
	if (*Season)(nil).Name() != "" || SeasonOf(schemas.EveryDay, noon, noon).Name() == SeasonOf(schemas.EveryWeek, noon, noon).Name() {
		t.Error("seasons are not told apart")
	}
}
