// How levels of isolation compare: what policies, plans and servers ask for is a least
// level, and what is recorded is held against it.

package port

import "slices"

// levels of isolation, weakest first.
var levels = []string{"none", "landlock", "namespaces"}

// Reaches tells whether the level of i is least or stronger. What was recorded before
// levels were known has none. No least is reached by everything.
func (i *Isolation) Reaches(least string) bool {
	if least == "" {
		return true
	}
	return slices.Index(levels, i.Rung()) >= slices.Index(levels, least) && slices.Contains(levels, least)
}

// Rung is the level of i; none where it is not known.
func (i *Isolation) Rung() string {
	if i == nil || !slices.Contains(levels, i.Level) {
		return levels[0]
	}
	return i.Level
}

// Stricter is the stronger of two levels that are asked for.
func Stricter(a, b string) string {
	if slices.Index(levels, b) > slices.Index(levels, a) {
		return b
	}
	return a
}
