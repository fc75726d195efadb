package calendar

import (
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	out, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Windows go by the clocks of their zone, also where these are set forward or back.
func TestWindowsGoByTheClocksOfTheirZone(t *testing.T) {
	const berlin, york = "Europe/Berlin", "America/New_York"
	for name, c := range map[string]struct {
		from, to, zone string
		now            string
		until          string // "" is not held
	}{
		"a weekend":                             {"0 18 * * FRI", "0 8 * * MON", berlin, "2026-11-28T12:00:00Z", "2026-11-30T07:00:00Z"},
		"before a weekend":                      {"0 18 * * FRI", "0 8 * * MON", berlin, "2026-11-27T16:59:59Z", ""},
		"its first second":                      {"0 18 * * FRI", "0 8 * * MON", berlin, "2026-11-27T17:00:00Z", "2026-11-30T07:00:00Z"},
		"its end is outside":                    {"0 18 * * FRI", "0 8 * * MON", berlin, "2026-11-30T07:00:00Z", ""},
		"a weekend that loses an hour":          {"0 18 * * FRI", "0 8 * * MON", berlin, "2026-03-29T12:00:00Z", "2026-03-30T06:00:00Z"},
		"a weekend that gains an hour":          {"0 18 * * FRI", "0 8 * * MON", berlin, "2026-10-25T12:00:00Z", "2026-10-26T07:00:00Z"},
		"a beginning that is skipped":           {"30 2 * * *", "0 5 * * *", berlin, "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"},
		"just before the skipped beginning":     {"30 2 * * *", "0 5 * * *", berlin, "2026-03-29T00:59:59Z", ""},
		"an end that is skipped":                {"0 1 * * *", "30 2 * * *", berlin, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		"a beginning that comes twice":          {"30 2 * * *", "0 5 * * *", berlin, "2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z"},
		"between the two beginnings":            {"30 2 * * *", "0 5 * * *", berlin, "2026-10-25T01:10:00Z", "2026-10-25T04:00:00Z"},
		"an end that comes twice":               {"0 1 * * *", "30 2 * * *", berlin, "2026-10-25T01:29:59Z", "2026-10-25T01:30:00Z"},
		"between the two ends":                  {"0 1 * * *", "30 2 * * *", york, "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"},
		"several beginnings before one end":     {"0 18 * * *", "0 8 * * MON", "", "2026-11-25T12:00:00Z", "2026-11-30T08:00:00Z"},
		"the end of the month, or a Monday":     {"0 0 31 * MON", "0 1 * * *", "", "2026-12-31T00:30:00Z", "2026-12-31T01:00:00Z"},
		"a leap day":                            {"0 0 29 2 *", "0 0 1 3 *", "", "2028-02-29T10:00:00Z", "2028-03-01T00:00:00Z"},
		"two dates":                             {"2026-12-20", "2027-01-03", berlin, "2027-01-03T22:59:00Z", "2027-01-03T23:00:00Z"},
		"after the last date":                   {"2026-12-20", "2027-01-03", berlin, "2027-01-03T23:00:00Z", ""},
		"before the first date, by the zone":    {"2026-12-20", "2027-01-03", berlin, "2026-12-19T22:59:59Z", ""},
		"two times of day":                      {"2026-12-20T18:00", "2026-12-21T06:00", york, "2026-12-20T23:00:00Z", "2026-12-21T11:00:00Z"},
		"a date whose midnight the clocks skip": {"2026-09-06", "2026-09-06", "America/Santiago", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			w, of, err := Parse(c.from, c.to, c.zone)
			if err != nil {
				t.Fatal(of, err)
			}
			until, holds := w.Holds(at(t, c.now))
			if holds != (c.until != "") || holds && !until.Equal(at(t, c.until)) {
				t.Fatalf("at %s it holds %v until %s, and not until %q", c.now, holds, until, c.until)
			}
		})
	}
}

// What cannot be meant is refused, and it is said which field.
func TestWhatIsNoWindowIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		from, to, zone string
		of             Field
		says           string
	}{
		"no time":                {"soon", "2026-12-20", "", FieldFrom, "neither a date nor a cron expression"},
		"a day that is not":      {"2026-02-30", "2026-12-20", "", FieldFrom, "neither"},
		"mixed":                  {"2026-12-20", "0 8 * * MON", "", FieldTo, "two dates, or two cron expressions"},
		"the wrong way":          {"2026-12-20", "2026-12-19", "", FieldTo, "swap them"},
		"nothing between":        {"0 8 * * MON", "0 8 * * 1", "", FieldTo, "when it ends"},
		"a day that never comes": {"0 8 30 2 *", "0 8 * * 1", "", FieldFrom, "never comes"},
		"every":                  {"@every 1h", "0 8 * * 1", "", FieldFrom, "not a time of the clock"},
		"a zone in it":           {"CRON_TZ=Europe/Berlin 0 8 * * *", "0 9 * * 1", "", FieldFrom, "give it as zone"},
		"a zone that is none":    {"2026-12-20", "2026-12-21", "Europe/Berlyn", FieldZone, "not a time zone"},
		"the machine's own zone": {"2026-12-20", "2026-12-21", "Local", FieldZone, "not a time zone"},
		"a path":                 {"2026-12-20", "2026-12-21", "../../etc/localtime", FieldZone, "not a time zone"},
	} {
		t.Run(name, func(t *testing.T) {
			_, of, err := Parse(c.from, c.to, c.zone)
			if err == nil || of != c.of || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%s: %v, and not %q of %s", of, err, c.says, c.of)
			}
		})
	}
}

// Windows that follow each other without a gap are told as one.
func TestWindowsThatMeetAreOne(t *testing.T) {
	var ws []Window
	for _, c := range [][2]string{{"2026-12-24", "2026-12-26"}, {"2026-12-27", "2026-12-31"}, {"2027-02-01", "2027-02-02"}} {
		w, _, err := Parse(c[0], c[1], "UTC")
		if err != nil {
			t.Fatal(err)
		}
		ws = append(ws, w)
	}
	which, until, held := Held(ws, at(t, "2026-12-25T00:00:00Z"))
	if !held || which != 0 || !until.Equal(at(t, "2027-01-01T00:00:00Z")) {
		t.Fatal(which, until, held)
	}
	if _, _, held = Held(ws, until); held {
		t.Fatal("it holds at its end")
	}
}

// At whatever time one asks, a window that holds ends later, and does not hold at its end; and what
// it says is what minute by minute cron says.
func TestAWindowEndsWhereItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"}).Draw(t, "zone")
		from := rapid.SampledFrom([]string{"0 18 * * FRI", "30 2 * * *", "15 1 * * SUN", "0 0 1 * *"}).Draw(t, "from")
		to := rapid.SampledFrom([]string{"0 8 * * MON", "45 2 * * *", "0 3 * * *", "30 1 15 * *"}).Draw(t, "to")
		w, _, err := Parse(from, to, zone)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 1, 1, 0, rapid.IntRange(0, 366*24*60).Draw(t, "minute"), 0, 0, time.UTC)
		until, holds := w.Holds(now)
		if !holds {
			return
		}
		if !until.After(now) {
			t.Fatalf("at %s it ends at %s", now, until)
		}
		if again, holds := w.Holds(until.Add(-time.Second)); !holds || !again.Equal(until) {
			t.Fatalf("just before %s it ends at %s", until, again)
		}
		if _, holds := w.Holds(until); holds && !w.instant(wall(until, w.zone), false).Equal(until) && !begins(w, until) {
			t.Fatalf("it holds at %s, its end", until)
		}
	})
}

// begins tells whether another window of w begins just then.
func begins(w Window, t time.Time) bool {
	shown, found := w.from.before(w.shownBy(t))
	return found && w.instant(shown, false).Equal(t)
}

// What a window says is what one finds who looks at every minute that clocks show: it begins with the
// newest beginning that has come, and ends with the first end after it.
func TestAWindowIsWhatEveryMinuteSays(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"} {
		for _, c := range [][2]string{
			{"*/2 * * * *", "1-59/2 * * * *"}, {"1-59/7 1-3 * * *", "*/5 * * * *"}, {"30 2 * * *", "45 2 * * *"},
			{"0 1 * * *", "30 2 * * *"}, {"59 1 * * *", "0 3 * * *"}, {"15 0,2 * * *", "*/20 2-3 * * *"},
		} {
			w, _, err := Parse(c[0], c[1], zone)
			if err != nil {
				t.Fatal(err)
			}
			for _, night := range []string{"2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z", "2026-03-08T06:00:00Z", "2026-11-01T05:00:00Z",
				"2026-04-04T14:00:00Z", "2026-10-03T14:00:00Z", "2026-09-06T03:00:00Z", "2026-04-05T02:00:00Z"} {
				for step := range 26 {
					now := at(t, night).Add(time.Duration(step) * 7 * time.Minute)
					until, holds := w.Holds(now)
					wanted, held := everyMinute(w, now)
					if holds != held || holds && !until.Equal(wanted) {
						t.Fatalf("%q to %q, %s: at %s it holds %v until %s; every minute says %v until %s", c[0], c[1], zone, now, holds, until, held, wanted)
					}
				}
			}
		}
	}
}

// everyMinute is Holds by looking at each minute in turn, over two days.
func everyMinute(w Window, now time.Time) (until time.Time, holds bool) {
	const slack, span = 3 * time.Hour, 2 * 24 * 60
	named := func(s *cron.SpecSchedule, shown time.Time) bool {
		return s.Next(shown.Add(-time.Second)).Equal(shown)
	}
	shown := wall(now, w.zone).Add(slack)
	for range span {
		if named(w.from.times, shown) && !w.instant(shown, false).After(now) {
			break
		}
		shown = shown.Add(-time.Minute)
	}
	begin := w.instant(shown, false)
	shown = wall(begin, w.zone).Add(-slack)
	for range span {
		if named(w.to.times, shown) && w.instant(shown, true).After(begin) {
			break
		}
		shown = shown.Add(time.Minute)
	}
	end := w.instant(shown, true)
	return end, now.Before(end)
}

// However dense, rare or many the expressions are, what it takes to answer has a bound: a pull request
// declares them.
func TestAnAnswerTakesFewSteps(t *testing.T) {
	parsed := func(from, to string) Window {
		w, _, err := Parse(from, to, "Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	now := at(t, "2026-11-29T12:00:30Z")
	odd, even := parsed("*/2 * * * *", "1-59/2 * * * *"), parsed("1-59/2 * * * *", "*/2 * * * *")
	var always []Window
	for range 10 {
		always = append(always, odd, even)
	}
	asked := 0
	which, until, held := follow(always, now, func(w Window, now time.Time) (time.Time, bool) {
		asked++
		return w.Holds(now)
	})
	if !held || which != 0 || !until.IsZero() {
		t.Errorf("always frozen: %v by %d until %s", held, which, until)
	}
	if limit := (most + 1) * len(always); asked > limit {
		t.Errorf("%d windows are asked %d times, and not at most %d", len(always), asked, limit)
	}
	if n := testing.AllocsPerRun(10, func() { Held(always, now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	for name, c := range map[string]struct {
		w      Window
		from   time.Time
		months int
	}{
		"dense":             {odd, wall(now, time.UTC), 1},
		"the month before":  {parsed("0 0 31 10 *", "* * * * *"), wall(now, time.UTC), 2},
		"once a year":       {parsed("0 0 1 12 *", "* * * * *"), wall(now, time.UTC), 12},
		"a leap day":        {parsed("0 0 29 2 *", "* * * * *"), at(t, "2104-02-28T00:00:00Z"), months},
		"a leap day, dense": {parsed("* * 29 2 *", "0 0 1 1 *"), at(t, "2104-02-28T23:59:00Z"), months},
	} {
		if shown, looked := c.w.from.newest(c.from); looked > c.months || shown.IsZero() {
			t.Errorf("%s: %d months are looked at for %s, and not at most %d", name, looked, shown, c.months)
		}
	}
	leap := parsed("0 0 29 2 *", "* * * * *").from
	if shown, looked := leap.oldest(at(t, "2096-03-01T00:00:00Z")); looked > months || !shown.Equal(at(t, "2104-02-29T00:00:00Z")) {
		t.Errorf("%d months for %s", looked, shown)
	}
	if shown, looked := (moment{times: &cron.SpecSchedule{Minute: 1, Hour: 1, Dom: 1 << 30, Month: 1 << 2, Dow: star}}).oldest(now); !shown.IsZero() || looked > months {
		t.Errorf("what never comes: %d months for %s", looked, shown)
	}
}

// Windows by day and by night that leave no gap for weeks, and then end, are told to their end.
func TestAChainOfWindowsIsFollowedToItsEnd(t *testing.T) {
	var ws []Window
	for _, c := range [][2]string{{"0 20 * 12 *", "0 8 * * *"}, {"0 8 * 12 *", "0 20 * * *"}} {
		w, _, err := Parse(c[0], c[1], "Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		ws = append(ws, w)
	}
	if _, until, held := Held(ws, at(t, "2026-12-03T12:00:00Z")); !held || !until.Equal(at(t, "2027-01-01T07:00:00Z")) {
		t.Fatal(until, held)
	}
}

func BenchmarkHeld(b *testing.B) {
	w, _, _ := Parse("*/2 * * * *", "1-59/2 * * * *", "Europe/Berlin")
	v, _, _ := Parse("1-59/2 * * * *", "*/2 * * * *", "Europe/Berlin")
	for b.Loop() {
		Held([]Window{w, v}, time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))
	}
}
