// What changed from one window to the next.

package watch

import "github.com/vishwaops/vishwa/reconciler/engine/drift"

// Change is what became of a column.
type Change struct {
	Column    string        `json:"column"`
	Was       drift.Verdict `json:"was,omitempty"`
	Verdict   drift.Verdict `json:"verdict,omitempty"`
	WasScore  *drift.Number `json:"wasScore,omitempty"`
	Score     *drift.Number `json:"score,omitempty"`
	WasEffect float64       `json:"wasEffect"`
	Effect    float64       `json:"effect"`
}

// Compare lists the columns that are not as they were, in the order of now; those that are gone
// come last.
func Compare(was, now Evidence) (out []Change) {
	before := map[string]drift.Column{}
	for _, c := range was.Columns {
		before[c.Name] = c
	}
	for _, c := range now.Columns {
		b := before[c.Name]
		delete(before, c.Name)
		if b.Verdict != c.Verdict || !same(b.Score, c.Score) {
			out = append(out, Change{c.Name, b.Verdict, c.Verdict, b.Score, c.Score, b.Effect, c.Effect})
		}
	}
	for _, c := range was.Columns {
		if b, gone := before[c.Name]; gone {
			out = append(out, Change{Column: c.Name, Was: b.Verdict, WasScore: b.Score, WasEffect: b.Effect})
		}
	}
	return out
}

func same(a, b *drift.Number) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}
