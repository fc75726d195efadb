// Package bounded has the bounds of what is told of records: a server says some of it, and one record that cannot be written keeps no
// other from being shown.
package bounded

import (
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	Most      = 100  // drifts, and as many notes
	MostWords = 1000 // bytes of each
	// MostFailed is how many records may fail for reasons of their own before the rest is left.
	MostFailed = 10
	// Abandoned is how long a record that somebody else began to write is left to them.
	Abandoned = 15 * time.Minute
)

// Few are the first of s, as many as are told.
func Few(s []string) []string { return s[:min(len(s), Most)] }

// Stops tells whether no more is to be recorded: not where the last one failed for what it is, as one run
// would keep all others from being shown.
func Stops(failed []error) bool {
	if len(failed) == 0 {
		return false
	}
	switch fault.Of(failed[len(failed)-1]) {
	case fault.Invalid, fault.Corrupt, fault.Conflict, fault.Missing:
		return len(failed) >= MostFailed
	}
	return true
}

// Shortened is s of at most n bytes, and without what some databases do not take in a text.
func Shortened(s string, n int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// Theirs tells whether a record that somebody else began then, in milliseconds since the beginning of 1970, is left to them. A clock may be wrong
// by as much.
func Theirs(now time.Time, since int64) bool {
	age := now.UnixMilli() - since
	return age > -Abandoned.Milliseconds() && age < Abandoned.Milliseconds()
}
