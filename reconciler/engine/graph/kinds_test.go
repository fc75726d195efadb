// Each kind of which something is made has a recipe.

package graph

import (
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

func TestEveryKindHasARecipe(t *testing.T) {
	for _, k := range schemas.Kinds() {
		if (recipes[k.Kind] != nil) != (k.Action != "") {
			t.Errorf("%s: a recipe: %v, action %q", k.Kind, recipes[k.Kind] != nil, k.Action)
		}
	}
}
