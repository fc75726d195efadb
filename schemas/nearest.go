// Typos are met with the name that was probably meant.

package schemas

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest is the name among names that a person who typed name probably meant, or
// "". It is nearest in edits (insert, delete, replace, swap of neighbours: optimal
// string alignment, letter case aside), of which a third of the letters may be wrong.
// Of several at one distance, the first in byte order is taken.
func Nearest(name string, among []string) string {
	if len(name) == 0 || len(name) > 256 {
		return ""
	}
	bound := max(1, (len(name)+1)/3)
	best, found := bound+1, ""
	low := strings.ToLower(name)
	var rows [3][]int // of distance, for all of them
	for _, other := range among {
		if other == name || other == "" || len(other) > len(name)+bound || len(other) < len(name)-bound {
			continue
		}
		d := distance(low, strings.ToLower(other), &rows)
		if d < best || d == best && d <= bound && other < found {
			best, found = d, other
		}
	}
	return found
}

// distance is the optimal string alignment distance of a and b, in bytes.
func distance(a, b string, rows *[3][]int) int {
	for i := range rows {
		rows[i] = slices.Grow(rows[i][:0], len(b)+1)[:len(b)+1]
	}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean ends a message with the nearest name, where there is one.
func didYouMean(name string, among []string) string {
	if n := Nearest(name, among); n != "" {
		return meant(n)
	}
	return ""
}

func meant(name string) string { return fmt.Sprintf("; did you mean %s?", name) }

// misspelt tells whether a field below the one given was reported as one that is not known, and perhaps meant as name.
func (d *document) misspelt(field, name string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool {
		return strings.HasPrefix(p.Field, field+".") && strings.HasSuffix(p.Message, meant(name))
	})
}

// meantOr ends a message with the nearest name, or else with the names to choose from.
func meantOr(name string, among []string, otherwise string) string {
	if s := didYouMean(name, among); s != "" {
		return s
	}
	names := slices.Sorted(slices.Values(among))
	if len(names) == 0 {
		return "; " + otherwise
	}
	if len(names) > 12 {
		names = append(names[:12:12], "...")
	}
	return "; choose one of " + strings.Join(names, ", ")
}
