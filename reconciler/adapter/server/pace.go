// How long the host waits for what. Every duration can be shortened, so that a
// test of patience need not be patient.

package server

import (
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Timeouts holds the host's durations; a zero field has its default.
type Timeouts struct {
	Probation time.Duration `json:"probation,omitempty"` // a new release's first time with traffic, before the old one goes: 500ms
	Drain     time.Duration `json:"drain,omitempty"`     // what is under way may take to finish: 30s
	Grace     time.Duration `json:"grace,omitempty"`     // between SIGTERM and SIGKILL: 10s
	Hold      time.Duration `json:"hold,omitempty"`      // a request waits for a process that is coming back: 5s
	Still     time.Duration `json:"still,omitempty"`     // who asks may send and take nothing, where it is theirs to: 1m
	Again     time.Duration `json:"again,omitempty"`     // the first wait before a restart, doubled each time: 100ms
	AgainMost time.Duration `json:"againMost,omitempty"` // the longest of them: 30s
	Steady    time.Duration `json:"steady,omitempty"`    // after which earlier crashes are forgotten: 1m
}

// filled is p with defaults in place of zeros.
func (p Timeouts) filled() Timeouts {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&p.Probation, port.MinReady)
	or(&p.Drain, 30*time.Second)
	or(&p.Grace, 10*time.Second)
	or(&p.Hold, 5*time.Second)
	or(&p.Still, time.Minute)
	or(&p.Again, 100*time.Millisecond)
	or(&p.AgainMost, 30*time.Second)
	or(&p.Steady, time.Minute)
	return p
}

// backoff is the wait before the restart that follows n failures in a row.
func (p Timeouts) backoff(n int) time.Duration {
	d := p.Again
	for ; n > 1 && d < p.AgainMost; n-- {
		d *= 2
	}
	return min(d, p.AgainMost)
}
