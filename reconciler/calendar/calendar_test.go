package calendar

import (
	"strings"
	"testing"
	"time"

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
	shown, found := w.from.before(wall(t, w.zone).Add(slack))
	for found && w.instant(shown, false).After(t) {
		shown, found = w.from.before(shown.Add(-time.Minute))
	}
	return found && w.instant(shown, false).Equal(t)
}
