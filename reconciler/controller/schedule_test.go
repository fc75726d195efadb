// Schedules are in UTC, are never more often than a poll can carry, and what was
// missed while the controller was down is made good once.

package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestSchedulesThatMeanTrouble(t *testing.T) {
	for expr, good := range map[string]bool{
		"0 6 * * 1": true, "@daily": true, "@every 90s": true, "*/5 * * * MON-FRI": true,
		"CRON_TZ=UTC 0 6 * * *": false, "TZ=Europe/Berlin 0 6 * * *": false, "TZ=": false,
		"@every 1s": false, "@every -1h": false, "@never": false, "* * * * * *": false, "61 * * * *": false, "": false, "0 6 * *": false,
	} {
		_, err := parseSchedule(expr)
		if (err == nil) != good || err != nil && (fault.Of(err) != fault.Invalid || fault.HintOf(err) == "") {
			t.Errorf("%q: %v", expr, err)
		}
	}
}

func TestTheCalendarTellsWhatIsDue(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	now := time.Date(2026, 3, 2, 5, 30, 0, 0, berlin) // 04:30 UTC, a Monday
	c := scheduler{}
	if problems := c.set("main", []string{"0 6 * * *", "0 5 * * *", "no"}, now); len(problems) != 1 {
		t.Errorf("problems: %v", problems)
	}
	c.set("never", []string{"0 0 30 2 *"}, now)
	steps := []struct {
		at   time.Duration
		want []string
		next string
	}{
		{0, nil, "05:00"}, {29 * time.Minute, nil, "05:00"}, {30 * time.Minute, []string{"main"}, "06:00"},
		{31 * time.Minute, nil, "06:00"},
		{50 * time.Hour, []string{"main"}, "05:00"}, // four times missed, made good once
		{50 * time.Hour, nil, "05:00"},
		{-10 * time.Hour, nil, "05:00"}, // the clock was set back
	}
	for _, s := range steps {
		at := now.Add(s.at)
		c.set("main", []string{"0 6 * * *", "0 5 * * *", "no"}, at) // declared as before: nothing begins anew
		due, next := c.due(at)
		if !slices.Equal(due, s.want) || next.Format("15:04") != s.next || next.Before(at) {
			t.Errorf("after %s: %v due, next at %s; want %v, %s", s.at, due, next, s.want, s.next)
		}
	}
	c.set("main", nil, now)
	if due, next := c.due(now.Add(100 * time.Hour)); due != nil || !next.IsZero() {
		t.Errorf("what is no longer declared is due: %v, %s", due, next)
	}
}

// TestASchedulePassesItsBranch: though nothing changed, and after a restart that passed nothing.
func TestASchedulePassesItsBranch(t *testing.T) {
	config := fast()
	config.State = t.TempDir()
	clock := time.Now()
	f := newFake("example.org/a")
	f.crons = []string{"@hourly"}
	r := start(t, Options{Config: config, Sites: []Repository{f}, Now: func() time.Time { return clock }})
	until(t, "the first pass", f.is("branch main", "1"))
	r.end(t)

	again := newFake("example.org/a")
	begin := time.Now()
	start(t, Options{Config: config, Sites: []Repository{again}, Now: func() time.Time { return clock.Add(time.Hour + time.Since(begin)) }})
	until(t, "the pass that was missed", func() bool { return again.count("branch main") == 1 })
	looks := again.looked()
	until(t, "looks", func() bool { return again.looked() > looks+5 })
	if n := again.count("branch main"); n != 1 {
		t.Errorf("%d passes", n)
	}
}

// The newest time that has come counts, whatever was missed.
func TestTheNewestTimeOfACalendarCounts(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct{ expr, since, now, want string }{
		"not yet":             {"@monthly", "2026-07-03T10:00:00Z", "2026-07-31T23:59:59Z", ""},
		"a month":             {"@monthly", "2026-07-03T10:00:00Z", "2026-08-01T00:00:00Z", "2026-08-01T00:00:00Z"},
		"several were missed": {"@monthly", "2026-07-03T10:00:00Z", "2026-11-29T00:00:00Z", "2026-11-01T00:00:00Z"},
		"the clock is behind": {"@monthly", "2026-07-03T10:00:00Z", "2026-06-01T00:00:00Z", ""},
		"nothing that is one": {"soon", "2026-07-03T10:00:00Z", "2026-08-01T00:00:00Z", ""},
	} {
		tick, came := Tick(c.expr, at(c.since), at(c.now))
		if got := map[bool]string{true: tick.Format(time.RFC3339)}[came]; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestWhatWaitsForATimeIsPassedThen: besides the schedules, once, and after a restart too.
func TestWhatWaitsForATimeIsPassedThen(t *testing.T) {
	config := fast()
	config.State = t.TempDir()
	clock := time.Now()
	f := &waiting{newFake("example.org/a"), clock.Add(time.Hour)}
	r := start(t, Options{Config: config, Sites: []Repository{f}, Now: func() time.Time { return clock }})
	until(t, "the first pass", f.is("branch main", "1"))
	r.end(t)

	again := &waiting{fake: newFake("example.org/a")}
	begin := time.Now()
	start(t, Options{Config: config, Sites: []Repository{again}, Now: func() time.Time { return clock.Add(time.Hour + time.Since(begin)) }})
	until(t, "the pass at that time", func() bool { return again.count("branch main") == 1 })
	looks := again.looked()
	until(t, "looks", func() bool { return again.looked() > looks+5 })
	if n := again.count("branch main"); n != 1 {
		t.Errorf("%d passes", n)
	}
}

// waiting is a fake of whose branches something waits for a time.
type waiting struct {
	*fake
	wakes time.Time
}

func (w *waiting) Wakes(string) time.Time { return w.wakes }
