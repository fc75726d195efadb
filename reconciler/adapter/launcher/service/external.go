// What work is told that was not written for Vishwa.

package service

import (
	"maps"
	"slices"
	"strings"
)

// told is a value with ${NAME} replaced in each of its texts, for the names that vars has. Keys
// stay as they are, and what is put in is not looked at again.
func told(v any, vars map[string]string) any {
	pairs := make([]string, 0, 2*len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		pairs = append(pairs, "${"+name+"}", vars[name])
	}
	return replaced(v, strings.NewReplacer(pairs...))
}

func replaced(v any, by *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		return by.Replace(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = replaced(x, by)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = replaced(x, by)
		}
		return out
	}
	return v
}
