// Package calendar knows windows of time as people declare them: between two dates, or from one
// time of a cron expression to the next of another, by the clocks of a zone. It is pure.
package calendar

import (
	"errors"
	"fmt"
	"math/bits"
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

// Holds tells whether now is within w, and until when. Where clocks are set back, and show a time
// twice, w begins with the first and ends with the second; a time that clocks skip is when they skip it.
func (w Window) Holds(now time.Time) (until time.Time, holds bool) {
	if w.from.times == nil {
		begin, end := w.instant(w.from.once, false), w.instant(w.to.once, true)
		return end, !now.Before(begin) && now.Before(end)
	}
	shown, found := w.from.before(w.shownBy(now))
	if !found {
		return time.Time{}, false
	}
	begin := w.instant(shown, false)
	if shown, found = w.to.after(w.shownAfter(begin)); !found {
		return time.Time{}, false
	}
	end := w.instant(shown, true)
	return end, now.Before(end)
}

// shownBy is the latest time that the clocks of w's zone have shown by now: more than they show,
// where they were set back not long ago.
func (w Window) shownBy(now time.Time) time.Time {
	latest := wall(now, w.zone)
	if set, _ := now.In(w.zone).ZoneBounds(); !set.IsZero() {
		if before := wall(set.Add(-time.Nanosecond), w.zone); before.After(latest) {
			return before
		}
	}
	return latest
}

// shownAfter is the earliest time that the clocks of w's zone show after t, or skip then: less than
// they show, where they are set back soon.
func (w Window) shownAfter(t time.Time) time.Time {
	earliest := wall(t, w.zone).Add(time.Minute)
	if _, set := t.In(w.zone).ZoneBounds(); !set.IsZero() {
		if back := wall(set, w.zone); back.Before(earliest) {
			return back
		}
	}
	return earliest
}

// most is how many windows, one after another, Held follows.
const most = 64

// Held tells whether now is within one of windows, which one, and until when it is in none; until
// is zero where they follow each other without an end that it has found.
func Held(windows []Window, now time.Time) (which int, until time.Time, held bool) {
	return follow(windows, now, Window.Holds)
}

func follow(windows []Window, now time.Time, holds func(Window, time.Time) (time.Time, bool)) (which int, until time.Time, held bool) {
	until = now
	steps := 0
	for further := true; further; {
		further = false
		for i, w := range windows {
			end, within := holds(w, until)
			if !within {
				continue
			}
			if !held {
				which, held = i, true
			}
			if steps++; steps > most {
				return which, time.Time{}, true
			}
			until, further = end, true
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

// months is more than any cron expression of days and months lets pass: between two 29ths of February
// lie up to eight years.
const months = 8*12 + 1

// star is the bit of a cron field that names everything.
const star = 1 << 63

// before is the newest time of m that is not after shown.
func (m moment) before(shown time.Time) (time.Time, bool) {
	at, _ := m.newest(shown)
	return at, !at.IsZero()
}

// newest is before, and tells how many months were looked at. No time found is zero.
func (m moment) newest(shown time.Time) (at time.Time, looked int) {
	year, month, day := shown.Date()
	if in := m.days(year, month); in&(1<<uint(day)) != 0 {
		if minute := m.lastMinute(shown.Hour()*60 + shown.Minute()); minute >= 0 {
			return clock(year, month, day, minute), 1
		}
	}
	for day--; looked < months; looked++ {
		if day := highest(m.days(year, month), day); day >= 0 {
			return clock(year, month, day, m.lastMinute(24*60-1)), looked + 1
		}
		if month--; month < time.January {
			year, month = year-1, time.December
		}
		day = 31
	}
	return time.Time{}, looked
}

// after is the oldest time of m that is not before shown.
func (m moment) after(shown time.Time) (time.Time, bool) {
	at, _ := m.oldest(shown)
	return at, !at.IsZero()
}

// oldest is after, and tells how many months were looked at. No time found is zero.
func (m moment) oldest(shown time.Time) (at time.Time, looked int) {
	year, month, day := shown.Date()
	if in := m.days(year, month); in&(1<<uint(day)) != 0 {
		if minute := m.firstMinute(shown.Hour()*60 + shown.Minute()); minute >= 0 {
			return clock(year, month, day, minute), 1
		}
	}
	for day++; looked < months; looked++ {
		if day := lowest(m.days(year, month), day); day >= 0 {
			return clock(year, month, day, m.firstMinute(0)), looked + 1
		}
		if month++; month > time.December {
			year, month = year+1, time.January
		}
		day = 1
	}
	return time.Time{}, looked
}

func clock(year int, month time.Month, day, minute int) time.Time {
	return time.Date(year, month, day, 0, minute, 0, 0, time.UTC)
}

// days are those of a month on which m comes, a bit each: where both the day of the month and the
// weekday are narrowed, either will do, as cron has it.
func (m moment) days(year int, month time.Month) (in uint64) {
	if m.times.Month&(1<<uint(month)) == 0 {
		return 0
	}
	end := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC)
	first := int(end.Weekday()) - (end.Day()-1)%7 + 7 // the weekday of the first
	for day := 1; day <= end.Day(); day++ {
		in |= m.times.Dow >> uint((first+day-1)%7) & 1 << uint(day)
	}
	all := uint64(1)<<uint(end.Day()+1) - 2
	if m.times.Dom&star != 0 || m.times.Dow&star != 0 {
		return in & m.times.Dom & all
	}
	return (in | m.times.Dom) & all
}

// lastMinute is the last minute of a day, up to one, at which m comes; below zero: none.
func (m moment) lastMinute(upto int) int {
	hour := highest(m.times.Hour, upto/60)
	if hour == upto/60 {
		if minute := highest(m.times.Minute, upto%60); minute >= 0 {
			return hour*60 + minute
		}
		hour = highest(m.times.Hour, hour-1)
	}
	if hour < 0 {
		return -1
	}
	return hour*60 + highest(m.times.Minute, 59)
}

// firstMinute is the first minute of a day, from one on, at which m comes; below zero: none.
func (m moment) firstMinute(from int) int {
	hour := lowest(m.times.Hour, from/60)
	if hour == from/60 {
		if minute := lowest(m.times.Minute, from%60); minute >= 0 {
			return hour*60 + minute
		}
		hour = lowest(m.times.Hour, hour+1)
	}
	if hour < 0 {
		return -1
	}
	return hour*60 + lowest(m.times.Minute, 0)
}

// highest is the highest bit of field that is not above upto; below zero: there is none.
func highest(field uint64, upto int) int {
	return bits.Len64(field&^star&(1<<uint(upto+1)-1)) - 1
}

// lowest is the lowest bit of field that is not below from; below zero: there is none.
func lowest(field uint64, from int) int {
	if in := field &^ star >> uint(from) << uint(from); in != 0 {
		return bits.TrailingZeros64(in)
	}
	return -1
}
