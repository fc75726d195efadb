// What a tracked branch declares that comes by the clock: sources, monitors, calendars.

package app

import (
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// declared notes the schedules of a branch.
func (s *ManagedRepository) declared(branch string, in *pass.Intent) {
	s.deploys(branch, in)
	seen := map[string]bool{}
	for _, d := range in.Decls {
		if spec, ok := d.Spec.(schemas.Scheduled); ok {
			seen[spec.Times()] = true
		}
	}
	sources := refreshing(in)
	for _, of := range sources {
		seen[of.schedule] = true
	}
	delete(seen, "")
	monitors, provides := watching(in), map[schemas.Ref]bool{}
	for _, d := range in.Decls {
		if d.Ref().Kind.Traits().Provisioned {
			provides[d.Ref()] = true
		}
	}
	s.mu.Lock()
	s.provides[branch] = provides
	_, before := s.monitors[branch]
	gone := s.undeclared(branch, monitors)
	// Before a first look nobody knows what was declared: what a stopped controller missed is made good.
	s.ending[branch] = s.ending[branch] || !before || len(monitors) < len(s.monitors[branch]) || len(gone) > 0
	s.sources[branch], s.monitors[branch], s.calendars[branch] = sources, monitors, len(byCalendar(in)) > 0
	s.schedules[branch] = slices.Sorted(maps.Keys(seen))
	s.mu.Unlock()
	if len(gone) > 0 && s.o.Unwatched != nil {
		s.o.Unwatched(gone)
	}
}

// wakes is when a branch is passed again by itself after the pass that r reports: at once where that freed
// something. What the pass before freed too, and did not go on, flaps: it has a minute.
func wakes(r templates.Report, before []schemas.Ref, now time.Time) time.Time {
	if r.Plan == nil {
		return time.Time{}
	}
	at := r.Plan.Wakes()
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, ref := range r.Freed {
		if slices.Contains(before, ref) {
			sooner(now.Add(time.Minute))
		} else {
			sooner(now)
		}
	}
	return at
}

// Wakes is when the first of a branch's steps may go on that wait for a time.
func (s *ManagedRepository) Wakes(branch string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wakes[branch]
}

// Schedules lists the cron expressions of a branch.
func (s *ManagedRepository) Schedules(branch string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.schedules[branch]
}
