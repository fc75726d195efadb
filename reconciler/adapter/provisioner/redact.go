// Keeping values out of messages: whatever was declared, passed or planned is
// replaced where a summary repeats it.

package provisioner

import (
	"cmp"
	"slices"
	"strings"
)

// redactor knows the values of a stack.
type redactor struct{ values []string }

// shortest is the length from which a value is replaced: "1" or "eu" would turn
// messages to noise and protect nothing.
const shortest = 4

func (r *redactor) addStrings(all []string) {
	for _, s := range all {
		// A message shows a value of several lines one line at a time.
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= shortest {
				r.values = append(r.values, line)
			}
		}
	}
}

// addValue takes every string in a JSON-like value.
func (r *redactor) addValue(v any) {
	switch v := v.(type) {
	case string:
		r.addStrings([]string{v})
	case map[string]any:
		for _, e := range v {
			r.addValue(e)
		}
	case []any:
		for _, e := range v {
			r.addValue(e)
		}
	}
}

// addJSON takes every value of a plan.
func (r *redactor) addJSON(plan []byte) {
	all, err := redactable(plan)
	if err != nil {
		return // no plan that this adapter made
	}
	for _, v := range all {
		r.addValue(v)
	}
}

// clean replaces values in s, the longest first so that no part of one stays.
func (r *redactor) clean(s string) string {
	values := slices.Clone(r.values)
	slices.SortFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, v := range slices.Compact(values) {
		s = strings.ReplaceAll(s, v, "(value)")
	}
	return s
}
