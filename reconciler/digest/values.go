// What keys are made of is nearly all plain: maps of texts, digests and numbers. It is written in order at once; encoding/json
// would write it in an order of its own first. Whatever else a value is, or holds, encoding/json writes.

package digest

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
)

// deepest is how far values that hold values are followed; encoding/json finds those that hold themselves.
const deepest = 100

// append appends v to out as canonical JSON. It has what json.Marshal has, put in order.
func (r *room) append(out []byte, v any, depth int) ([]byte, error) {
	if depth > deepest {
		return r.marshalled(out, v)
	}
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case string:
		return r.text(out, v)
	case Digest:
		return r.text(out, string(v))
	case float64:
		return r.number(out, v)
	case []string:
		return list(out, v, v == nil, r.text)
	case []any:
		return list(out, v, v == nil, func(out []byte, v any) ([]byte, error) { return r.append(out, v, depth+1) })
	case map[string]any:
		return pairs(r, out, v, func(out []byte, v any) ([]byte, error) { return r.append(out, v, depth+1) })
	case map[string]Digest:
		return pairs(r, out, v, func(out []byte, d Digest) ([]byte, error) { return r.text(out, string(d)) })
	case map[string]float64:
		return pairs(r, out, v, r.number)
	case Members:
		return r.members(out, v, depth+1)
	case iter.Seq[Members]:
		return r.rows(out, v, depth+1)
	default:
		return r.marshalled(out, v)
	}
}

func (r *room) members(out []byte, members Members, depth int) ([]byte, error) {
	out = append(out, '{')
	for i, m := range members {
		if !isText(m.Name) || i > 0 && members[i-1].Name >= m.Name {
			return nil, fmt.Errorf("%q is not plain, or not in its place", m.Name)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), m.Name...), `":`...)
		var err error
		if out, err = r.append(out, m.Value, depth); err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.Name, err)
		}
	}
	return append(out, '}'), nil
}

func (r *room) rows(out []byte, rows iter.Seq[Members], depth int) (_ []byte, err error) {
	out = append(out, '[')
	begin := len(out)
	for members := range rows {
		if len(out) > begin {
			out = append(out, ',')
		}
		if out, err = r.members(out, members, depth); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

// marshalled appends v by encoding/json.
func (r *room) marshalled(out []byte, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	c := canonical{raw: raw, out: slices.Grow(out, len(raw)), was: r.was}
	err = c.value()
	r.was = c.was
	return c.out, err
}

// text appends s. What is no plain text is for encoding/json: escapes, and what is not UTF-8.
func (r *room) text(out []byte, s string) ([]byte, error) {
	if !isText(s) {
		return r.marshalled(out, s)
	}
	return append(append(append(out, '"'), s...), '"'), nil
}

// isText tells whether s stands in JSON as it is, and is ordered by its bytes as it is by UTF-16.
func isText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// number appends f, in the one spelling of ECMAScript: without an exponent in this range.
func (r *room) number(out []byte, f float64) ([]byte, error) {
	if size := math.Abs(f); size < 1e-6 || !(size < 1e21) {
		return r.marshalled(out, f) // 0 is one of them, as -0 is
	}
	return strconv.AppendFloat(out, f, 'f', -1, 64), nil
}

func list[V any](out []byte, all []V, none bool, write func([]byte, V) ([]byte, error)) ([]byte, error) {
	if none {
		return append(out, "null"...), nil
	}
	var err error
	out = append(out, '[')
	for i, v := range all {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = write(out, v); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func pairs[V any](r *room, out []byte, m map[string]V, write func([]byte, V) ([]byte, error)) ([]byte, error) {
	if m == nil {
		return append(out, "null"...), nil
	}
	begin := len(r.names) // those of what holds m stand before them
	defer func() { r.names = r.names[:begin] }()
	for name := range m {
		if !isText(name) {
			return r.marshalled(out, m)
		}
		r.names = append(r.names, name)
	}
	names := r.names[begin:]
	slices.Sort(names)
	var err error
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), `":`...)
		if out, err = write(out, m[name]); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}
