// Schedules of declarations: when a branch is passed though nothing was pushed.

package controller

import (
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	maxSchedules  = 256 // of a branch
	maxExpression = 200 // bytes
)

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// parseSchedule reads a cron expression in UTC. A time zone in it is refused: when
// something runs would depend on the machine's time zone data.
func parseSchedule(expr string) (cron.Schedule, error) {
	if strings.Contains(expr, "TZ=") {
		return nil, fault.WithHint(fault.New(fault.Invalid, "schedule %s: names a time zone", quoted(expr)), "write it in UTC, without CRON_TZ=")
	}
	if len(expr) > maxExpression {
		return nil, fault.WithHint(fault.New(fault.Invalid, "schedule %s: is too long", quoted(expr)), "write five fields, such as 0 6 * * 1")
	}
	s, err := cronParser.Parse(expr)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "schedule %s: %w", quoted(expr), err), "write five fields, such as 0 6 * * 1, or @hourly, @daily, @weekly or @monthly")
	}
	if every, is := s.(cron.ConstantDelaySchedule); is && every.Delay < time.Minute {
		return nil, fault.WithHint(fault.New(fault.Invalid, "schedule %s: is more often than once a minute", quoted(expr)), "give at least @every 1m")
	}
	return s, nil
}

// Due tells whether the time of a cron expression has come between since and now; one
// that never came before is due. One that cannot be read never is.
func Due(expr string, since, now time.Time) bool {
	if since.IsZero() {
		return true
	}
	s, err := parseSchedule(expr)
	if err != nil {
		return false
	}
	return !s.Next(since.UTC()).After(now)
}

// mostTicks bounds the times of a schedule that are gone through.
const mostTicks = 100_000

// Tick is the newest time of a cron expression that has come since a time; false where none has.
func Tick(expr string, since, now time.Time) (tick time.Time, came bool) {
	s, err := parseSchedule(expr)
	if err != nil {
		return time.Time{}, false
	}
	at := since.UTC()
	for range mostTicks {
		if at = s.Next(at); at.IsZero() || at.After(now) {
			break
		}
		tick, came = at, true
	}
	return tick, came
}

// times are the schedules of one branch.
type times struct {
	Expressions []string  `json:"schedules"`
	Since       time.Time `json:"since"` // what was due until then is done: what was missed later is made good, once
	// Once is when the branch is passed besides, as something of it waits for a time; zero: nothing does.
	Once   time.Time `json:"once,omitzero"`
	parsed []cron.Schedule
}

// scheduler holds the schedules of a repository by branch.
type scheduler map[string]*times

// set takes over the expressions of a branch. Those that cannot be read are left
// out, and told.
func (c scheduler) set(branch string, exprs []string, now time.Time) (problems []error) {
	if len(exprs) > maxSchedules {
		exprs = exprs[:maxSchedules]
	}
	if t := c[branch]; t != nil && slices.Equal(t.Expressions, exprs) {
		return nil
	}
	t := &times{Expressions: slices.Clone(exprs), Since: now}
	if was := c[branch]; was != nil {
		t.Once = was.Once
	}
	delete(c, branch)
	if len(exprs) == 0 && t.Once.IsZero() {
		return nil
	}
	for _, e := range exprs {
		s, err := parseSchedule(e)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		t.parsed = append(t.parsed, s)
	}
	c[branch] = t
	return problems
}

// wake has the branch passed at a time, whatever its schedules say; zero: at none.
func (c scheduler) wake(branch string, at, now time.Time) {
	t := c[branch]
	switch {
	case t == nil && at.IsZero():
		return
	case t == nil:
		t = &times{Since: now}
		c[branch] = t
	}
	if t.Once = at; at.IsZero() && len(t.Expressions) == 0 {
		delete(c, branch)
	}
}

// next is when the branch is due; zero: never.
func (t *times) next(now time.Time) (first time.Time) {
	first = t.Once
	since := t.Since
	if now.Before(since) { // the clock was set back
		since = now
	}
	for _, s := range t.parsed {
		if at := s.Next(since.UTC()); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// due lists the branches whose time has come, and tells when the next one comes.
func (c scheduler) due(now time.Time) (branches []string, first time.Time) {
	for b, t := range c {
		at := t.next(now)
		if !at.IsZero() && !at.After(now) {
			branches = append(branches, b)
			t.Since = now
			if !t.Once.After(now) {
				t.Once = time.Time{}
			}
			at = t.next(now)
		}
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	slices.Sort(branches)
	return branches, first
}
