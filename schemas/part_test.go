package schemas

import (
	"reflect"
	"slices"
	"testing"
)

// TestEachFieldSaysWhatItIsToKeys: a field that says nothing would come into keys by
// chance, or stay out of them.
func TestEachFieldSaysWhatItIsToKeys(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		if of == nil || seen[of] {
			return
		}
		seen[of] = true
		Lines(of, func(name string, f reflect.StructField) {
			if !slices.Contains([]Part{Key, InRecipe, Placement, Text}, PartOf(f)) {
				t.Errorf("%s.%s (%s) has part:%q; tag it key, recipe, placement or text", of.Name(), f.Name, name, f.Tag.Get("part"))
			}
			look(Inner(f.Type))
		})
	}
	for _, k := range Kinds() {
		look(Inner(reflect.TypeOf(k.New())))
	}
	if len(seen) < 20 {
		t.Errorf("only %d structs were looked at", len(seen))
	}
}
