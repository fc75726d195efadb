// The reference of a window at night is its nights.

package measure

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAReferenceIsNarrowedToTheHoursOfTheWindow(t *testing.T) {
	now := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	spec := &schemas.Monitor{Current: schemas.Current{Window: "2h", Season: &schemas.Season{Every: schemas.EveryDay, Time: "sold"}}}
	s := &session{spec: spec, now: now, season: watch.SeasonOf(schemas.EveryDay, now.Add(-2*time.Hour), now)}
	base := &rows{session: s}
	take := base.row(time.Time{})
	cell := func(text string) func(string) []byte {
		return func(name string) []byte {
			if name != "sold" || text == "" {
				return nil
			}
			return []byte(text)
		}
	}
	for text, want := range map[string]bool{"2026-03-01T02:59:59Z": true, "2026-03-01T04:00:00Z": false, "2025-07-09T01:00:00Z": true, "2026-03-01T12:00:00Z": false} {
		if in, err := take(cell(text)); in != want || err != nil {
			t.Errorf("%s: %v, %v", text, in, err)
		}
	}
	if base.told.Rows != 2 || base.other != 2 {
		t.Errorf("%d rows, and %d others", base.told.Rows, base.other)
	}
	for _, text := range []string{"", "12", "soon"} {
		if _, err := take(cell(text)); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
	if in, err := (&rows{session: s, current: true}).row(now.Add(-2 * time.Hour))(func(string) []byte { return []byte("2026-11-25T02:00:00Z") }); !in || err != nil {
		t.Errorf("the window's own rows: %v, %v", in, err)
	}
	if !s.apart("sold") {
		t.Error("the time of a row is compared as a feature")
	}
}
