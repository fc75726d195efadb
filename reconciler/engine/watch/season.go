// Seasons: what is asked at night is held against what was known of nights.

package watch

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

// Season is the hours of the day, or of the week, that a window has. They are those of UTC.
type Season struct {
	every string
	hours map[int]bool
}

// SeasonOf is the hours from from until to.
func SeasonOf(every string, from, to time.Time) *Season {
	s := &Season{every, map[int]bool{}}
	for at := from.UTC().Truncate(time.Hour); !at.After(to) && len(s.hours) < 7*24; at = at.Add(time.Hour) {
		s.hours[s.hour(at)] = true
		if every != schemas.EveryWeek && len(s.hours) == 24 {
			break
		}
	}
	return s
}

func (s *Season) hour(at time.Time) int {
	at = at.UTC()
	if s.every == schemas.EveryWeek {
		return int(at.Weekday())*24 + at.Hour()
	}
	return at.Hour()
}

// Has tells whether a row of that time is one of them.
func (s *Season) Has(at time.Time) bool { return s.hours[s.hour(at)] }

// Name is the hours as a text: another season has another one.
func (s *Season) Name() string {
	if s == nil {
		return ""
	}
	return fmt.Sprint(s.every, slices.Sorted(maps.Keys(s.hours)))
}
