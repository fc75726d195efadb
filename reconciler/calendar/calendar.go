// Package calendar knows windows of time as people declare them: between two dates, or from one
// time of a cron expression to the next of another, by the clocks of a zone. It is pure.
package calendar

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an image of the program has no zones of its own

	"github.com/robfig/cron/v3"
)

// Window is a stretch of time that comes once, or again and again.
type Window struct {
	from, to moment
	zone     *time.Location
}

// moment is a time of the clocks of a zone, or those that a cron expression names. As clocks show
// the same time twice when they are set back, it says more than an instant does only with its zone.
type moment struct {
	once  time.Time // in UTC, with what clocks show
	times *cron.SpecSchedule
}

// Forms of a date.
const (
	dateForm = "2006-01-02"
	timeForm = "2006-01-02T15:04"
)

// Field is which of a window's parts cannot be read.
type Field string

const (
	FieldFrom Field = "from"
	FieldTo   Field = "to"
	FieldZone Field = "zone"
)

// Parse reads a window: from and to are both dates, as 2026-12-20 or 2026-12-20T18:00, or both cron
// expressions. A date alone counts whole: it begins with its first minute and ends with its last.
// A window goes from each time of from to the next of to. zone is an IANA name; "" is UTC.
// On an error it tells which field is wrong.
func Parse(from, to, zone string) (w Window, of Field, err error) {
	if w.zone, err = location(zone); err != nil {
		return w, FieldZone, err
	}
	if w.from, err = parse(from, false); err != nil {
		return w, FieldFrom, err
	}
	if w.to, err = parse(to, true); err != nil {
		return w, FieldTo, err
	}
	switch {
	case (w.from.times == nil) != (w.to.times == nil):
		return w, FieldTo, errors.New("and from are a date and a cron expression; write two dates, or two cron expressions")
	case w.from.times == nil && !w.from.once.Before(w.to.once):
		return w, FieldTo, errors.New("is not after from, so that nothing is between them; swap them")
	case w.from.times != nil && sameTimes(w.from.times, w.to.times):
		return w, FieldTo, errors.New("names the times that from names, so that nothing is between them; write when it ends")
	}
	return w, "", nil
}

func location(zone string) (*time.Location, error) {
	if zone == "" {
		return time.UTC, nil
	}
	at, err := time.LoadLocation(zone)
	if err != nil || at == time.Local { // what the machine calls local is not the same everywhere
		return nil, fmt.Errorf("%.60q is not a time zone; write an IANA name such as Europe/Berlin, or UTC", zone)
	}
	return at, nil
}

func parse(text string, end bool) (moment, error) {
	if day, err := time.Parse(dateForm, text); err == nil {
		if end {
			day = day.AddDate(0, 0, 1)
		}
		return moment{once: day}, nil
	}
	if at, err := time.Parse(timeForm, text); err == nil {
		return moment{once: at}, nil
	}
	wrong := fmt.Errorf("%.60q is neither a date nor a cron expression; write one such as 2026-12-20, 2026-12-20T18:00 or \"0 18 * * FRI\"", text)
	if strings.Contains(text, "TZ=") {
		return moment{}, fmt.Errorf("%.60q names a time zone; give it as zone", text)
	}
	s, err := cron.ParseStandard(text)
	if err != nil {
		return moment{}, wrong
	}
	times, plain := s.(*cron.SpecSchedule)
	if !plain { // @every counts from when a program began
		return moment{}, fmt.Errorf("%.60q is not a time of the clock; write minute hour day month weekday, such as \"0 18 * * FRI\"", text)
	}
	m := moment{times: times}
	if _, comes := m.after(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); !comes {
		return moment{}, fmt.Errorf("%.60q never comes; correct its day or month", text)
	}
	return m, nil
}

func sameTimes(a, b *cron.SpecSchedule) bool {
	return a.Minute == b.Minute && a.Hour == b.Hour && a.Dom == b.Dom && a.Month == b.Month && a.Dow == b.Dow
}

// slack is more than clocks are ever set forward or back.
const slack = 3 * time.Hour

// Holds tells whether now is within w, and until when. Where clocks are set back, and show a time
// twice, w begins with the first and ends with the second; a time that clocks skip is when they skip it.
func (w Window) Holds(now time.Time) (until time.Time, holds bool) {
	if w.from.times == nil {
		begin, end := w.instant(w.from.once, false), w.instant(w.to.once, true)
		return end, !now.Before(begin) && now.Before(end)
	}
	shown, found := w.from.before(wall(now, w.zone).Add(slack))
	for found && w.instant(shown, false).After(now) {
		shown, found = w.from.before(shown.Add(-time.Minute))
	}
	if !found {
		return time.Time{}, false
	}
	begin := w.instant(shown, false)
	shown, found = w.to.after(wall(begin, w.zone).Add(-slack))
	for found && !w.instant(shown, true).After(begin) {
		shown, found = w.to.after(shown.Add(time.Minute))
	}
	if !found {
		return time.Time{}, false
	}
	end := w.instant(shown, true)
	return end, now.Before(end)
}

// most is how many windows, one after another, Held follows.
const most = 400

// Held tells whether now is within one of windows, which one, and until when it is in none.
func Held(windows []Window, now time.Time) (which int, until time.Time, held bool) {
	until = now
	for range most {
		further := false
		for i, w := range windows {
			if end, holds := w.Holds(until); holds {
				if !held {
					which, held = i, true
				}
				until, further = end, true
			}
		}
		if !further {
			break
		}
	}
	return which, until, held
}

// Show is t as people read it who know that zone.
func (w Window) Show(t time.Time) string { return t.In(w.zone).Format("2006-01-02 15:04 MST") }

// wall is what the clocks of a zone show, to the minute, as a time in UTC.
func wall(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// instant is when the clocks of w's zone show that time, the last time or the first; of a time
// that they skip, when they do.
func (w Window) instant(shown time.Time, last bool) time.Time {
	var found time.Time
	var late time.Time
	for _, near := range []time.Time{shown.Add(-24 * time.Hour), shown.Add(24 * time.Hour)} {
		_, offset := near.In(w.zone).Zone()
		at := shown.Add(-time.Duration(offset) * time.Second)
		if at.After(late) {
			late = at
		}
		if wall(at, w.zone).Equal(shown) && (found.IsZero() || last && at.After(found) || !last && at.Before(found)) {
			found = at
		}
	}
	if found.IsZero() { // they are set forward between the two
		found, _ = late.In(w.zone).ZoneBounds()
	}
	return found.UTC()
}

// days is more than any cron expression of days and months lets pass: between two 29ths of February that are
// of one weekday lie up to forty years.
const days = 41 * 366

// before is the newest time of m that is not after shown.
func (m moment) before(shown time.Time) (time.Time, bool) {
	day := time.Date(shown.Year(), shown.Month(), shown.Day(), 0, 0, 0, 0, time.UTC)
	for i := range days {
		if m.on(day.AddDate(0, 0, -i)) {
			for minute := 24*60 - 1; minute >= 0; minute-- {
				if at := day.AddDate(0, 0, -i).Add(time.Duration(minute) * time.Minute); m.at(minute) && !at.After(shown) {
					return at, true
				}
			}
		}
	}
	return time.Time{}, false
}

// after is the oldest time of m that is not before shown.
func (m moment) after(shown time.Time) (time.Time, bool) {
	day := time.Date(shown.Year(), shown.Month(), shown.Day(), 0, 0, 0, 0, time.UTC)
	for i := range days {
		if m.on(day.AddDate(0, 0, i)) {
			for minute := range 24 * 60 {
				if at := day.AddDate(0, 0, i).Add(time.Duration(minute) * time.Minute); m.at(minute) && !at.Before(shown) {
					return at, true
				}
			}
		}
	}
	return time.Time{}, false
}

// star is the bit of a cron field that names everything.
const star = 1 << 63

// on tells whether m comes on that day: where both the day of the month and the weekday are
// narrowed, either will do, as cron has it.
func (m moment) on(day time.Time) bool {
	if m.times.Month&(1<<uint(day.Month())) == 0 {
		return false
	}
	dom, dow := m.times.Dom&(1<<uint(day.Day())) != 0, m.times.Dow&(1<<uint(day.Weekday())) != 0
	if m.times.Dom&star != 0 || m.times.Dow&star != 0 {
		return dom && dow
	}
	return dom || dow
}

func (m moment) at(minute int) bool {
	return m.times.Hour&(1<<uint(minute/60)) != 0 && m.times.Minute&(1<<uint(minute%60)) != 0
}
