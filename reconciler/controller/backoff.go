// When to try again: beside the exit code, the only reader of fault kinds.

package controller

import (
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// backoff is how soon a fault may have passed, and how rarely it is worth to ask.
type backoff struct{ first, most time.Duration }

// paces by kind. What a person must change is seen by a change of the refs: those
// are only tried again because what is denied or missing may be so elsewhere.
var paces = map[fault.Kind]backoff{
	fault.Conflict:  {500 * time.Millisecond, 5 * time.Minute}, // a lost race is won soon, or it was none
	fault.Transient: {2 * time.Second, 5 * time.Minute},
	fault.Cancelled: {2 * time.Second, 5 * time.Minute}, // it took too long
	fault.Internal:  {30 * time.Second, 30 * time.Minute},
	fault.Denied:    {2 * time.Minute, time.Hour},
	fault.Missing:   {2 * time.Minute, time.Hour},
	fault.Corrupt:   {2 * time.Minute, time.Hour},
	fault.Invalid:   {5 * time.Minute, time.Hour},
	fault.Newer:     {5 * time.Minute, time.Hour},
}

// Next tells how long to wait before what ended with err for the tries-th time in
// a row is tried again. Zero is settled: there was no error, or a person is waited
// for and only a change is worth another look.
func Next(err error, tries int) time.Duration {
	kind := fault.Of(err)
	if err == nil || kind == fault.Held || kind == fault.Refused {
		return 0
	}
	p, known := paces[kind]
	if !known {
		p = paces[fault.Internal]
	}
	wait := p.first
	for range max(tries, 1) - 1 {
		if wait *= 2; wait >= p.most {
			return p.most
		}
	}
	return wait
}
