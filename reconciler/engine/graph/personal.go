// Which columns tell of people, of all that a model comes from: what is served asks for them.

package graph

import (
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/schemas"
)

// personalTag marks a column that tells of people.
const personalTag = "personal"

// personal lists the columns that a deployment's log treats as personal: those that it names,
// and those that are tagged in any dataset that its model comes from.
func (b *builder) personal(spec *schemas.Deployment) []string {
	found := map[string]bool{}
	for _, name := range spec.Log.Columns {
		found[name] = true
	}
	seen := map[schemas.Ref]bool{}
	var visit func(ref schemas.Ref)
	visit = func(ref schemas.Ref) {
		if ref = ref.Whole(); seen[ref] {
			return
		}
		seen[ref] = true
		of := b.specs()[ref]
		if d, ok := of.(schemas.Data); ok {
			for name, c := range d.Data().Columns {
				if slices.Contains(c.Tags, personalTag) {
					found[name] = true
				}
			}
		}
		if s, ok := of.(schemas.Selects); ok {
			visit(s.Selects().From)
		}
		if r, ok := of.(schemas.Runnable); ok {
			for _, from := range r.Reads() {
				visit(from)
			}
		}
	}
	visit(spec.Model)
	return slices.Sorted(maps.Keys(found))
}
