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

// Enclosed tells whether all that a run began is gone with it, and whether it could hand nothing that it had open to a process
// outside, but through a folder that its machine's owner lets runs share: by a socket of the machine's network it could, where
// Landlock does not keep it from sockets without a path.
func (i *Isolation) Enclosed() bool {
	const scopesSockets = 6 // version of Landlock
	return i.Rung() == "namespaces" && (i.Landlock >= scopesSockets || i.Network != "" && i.Network != "all" && i.Network != "not limited")
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
