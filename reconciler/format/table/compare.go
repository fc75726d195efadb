// What changed between two profiles, for the text of a pull request.

package table

import (
	"fmt"
	"math"
	"slices"
)

// Change is one difference; Column is empty where it is the table's.
type Change struct {
	Column string `json:"column,omitempty"`
	What   string `json:"what"`
	Old    string `json:"old,omitempty"`
	New    string `json:"new,omitempty"`
}

// Compare lists what changed, columns in the order of the new profile.
func Compare(old, now Profile) []Change {
	var out []Change
	if old.Rows != now.Rows {
		out = append(out, Change{"", "rows", fmt.Sprint(old.Rows), fmt.Sprint(now.Rows)})
	}
	find := func(p Profile, name string) int {
		return slices.IndexFunc(p.Columns, func(c ColumnProfile) bool { return c.Name == name })
	}
	for _, c := range now.Columns {
		i := find(old, c.Name)
		if i < 0 {
			out = append(out, Change{Column: c.Name, What: "added", New: c.Type})
			continue
		}
		out = append(out, compared(old, now, old.Columns[i], c)...)
	}
	for _, c := range old.Columns {
		if find(now, c.Name) < 0 {
			out = append(out, Change{Column: c.Name, What: "removed", Old: c.Type})
		}
	}
	return out
}

func compared(old, now Profile, a, b ColumnProfile) (out []Change) {
	if a.Type != b.Type {
		out = append(out, Change{b.Name, "type", a.Type, b.Type})
	}
	x, y := float64(a.Nulls)/float64(max(1, old.Rows)), float64(b.Nulls)/float64(max(1, now.Rows))
	if math.Abs(x-y) >= 0.01 {
		out = append(out, Change{b.Name, "null share", fmt.Sprintf("%.1f %%", 100*x), fmt.Sprintf("%.1f %%", 100*y)})
	}
	if a.Personal || b.Personal {
		return out
	}
	if m, n := a.Numbers, b.Numbers; m != nil && n != nil {
		// A tenth of a deviation is more than sampling does to a mean of some size.
		if d := math.Abs(m.Mean - n.Mean); d > 0 && d >= m.Deviation/10 {
			out = append(out, Change{b.Name, "mean", fmt.Sprintf("%.6g", m.Mean), fmt.Sprintf("%.6g", n.Mean)})
		}
		if n.Min < m.Min || n.Max > m.Max {
			out = append(out, Change{b.Name, "range", fmt.Sprintf("%.6g to %.6g", m.Min, m.Max), fmt.Sprintf("%.6g to %.6g", n.Min, n.Max)})
		}
	}
	// Only where the old top values are all there were is another one new.
	if a.Type == "string" && a.TopError == 0 && a.Distinct == uint64(len(a.Top)) {
		for _, t := range b.Top {
			if !slices.ContainsFunc(a.Top, func(c Count) bool { return c.Value == t.Value }) {
				out = append(out, Change{Column: b.Name, What: "new value", New: t.Value})
			}
		}
	}
	return out
}
