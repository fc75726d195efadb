package port

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAKeyNamesTheRecipesJSON: each field alone, and all of them, whatever fields a recipe comes to have.
func TestAKeyNamesTheRecipesJSON(t *testing.T) {
	full := Recipe{Schema: "s", Kind: "k", Command: []string{"python", "<é>\n"}, Code: map[string]digest.Digest{"b.py": "2", "a.py": "1", "é": "3"}, Env: "e",
		Params: map[string]any{"rate": 0.1, "zero": 0.0, "n": 3.0, "on": true, "none": nil, "list": []any{1.0, "a", map[string]any{}}, "in": map[string]any{"b": 1e-9, "a": 1e30}},
		Inputs: map[string]digest.Digest{"data": "d"}, Image: "i", Nodes: 2, Personal: []string{"name"}, Stop: &schemas.EarlyStop{}, Spec: json.RawMessage(`{"b": 1, "a": [2]}`)}
	all := reflect.ValueOf(full)
	recipes := map[string]Recipe{"none": {}, "all": full, "empty": {Command: []string{}, Code: map[string]digest.Digest{}, Params: map[string]any{}, Spec: json.RawMessage{}}}
	for i := range all.NumField() {
		name := all.Type().Field(i).Name
		if all.Field(i).IsZero() {
			t.Errorf("%s is not tried", name)
		}
		var one Recipe
		reflect.ValueOf(&one).Elem().Field(i).Set(all.Field(i))
		recipes[name] = one
	}
	for name, r := range recipes {
		want, err := digest.JSON(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Key(); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
}
