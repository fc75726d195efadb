// The shape of what rules see is good JSON Schema, which programs take for granted.

package policy

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/policy/terms"
	"github.com/vishwaops/vishwa/schemas"
)

func TestTheShapeOfWhatRulesSeeIsGoodJSONSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(inputSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema:input", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema:input")
	if err != nil {
		t.Fatal(err)
	}
	if s.DraftVersion != 2020 {
		t.Errorf("its draft is of %d, want 2020-12", s.DraftVersion)
	}
}

// A document is held against the schema field by field, which says of the whole no more than which fields there are.
func TestTheShapeSaysNothingOfSeveralFieldsTogether(t *testing.T) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(inputSchema, &top); err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(top)), []string{"$comment", "$schema", "additionalProperties", "properties", "required", "type"}; !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q: Value of a document looks at each field by itself", got, want)
	}
}

// Field by field is the same as the whole, whose JSON the schema accepts.
func TestADocumentIsWhatItsJSONIs(t *testing.T) {
	shape, _, err := compileSchema()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := schemas.Compile("input", inputSchema)
	if err != nil {
		t.Fatal(err)
	}
	p, ev := many(t, 8)
	shared := &terms.Shared{}
	for _, s := range p.Steps {
		doc, err := describe(s, &ev, ev.Of(s.Ref))
		if err != nil {
			t.Fatal(err)
		}
		got, err := shape.Value(doc, shared)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err == nil {
			err = schema.Validate(whole)
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := ast.InterfaceToValue(whole)
		if err != nil {
			t.Fatal(err)
		}
		if got.Compare(want) != 0 {
			t.Errorf("%s is\n%s, want\n%s", s.Ref, got, want)
		}
	}
}

// What the schema does not accept is told by its place in the document, also where an earlier step had the same.
func TestAFieldThatIsWrongIsNamed(t *testing.T) {
	shape, _, err := compileSchema()
	if err != nil {
		t.Fatal(err)
	}
	p, ev := many(t, 2)
	shared := &terms.Shared{}
	for range 2 {
		doc, err := describe(p.Steps[1], &ev, ev.Of(p.Steps[1].Ref))
		if err != nil {
			t.Fatal(err)
		}
		doc.Environment = &environmentDoc{Name: "staging", Approvals: -1, Roles: []string{"a"}, RevokedSigner: refuse, Bytes: "trusted"}
		if _, err := shape.Value(doc, shared); err == nil || !strings.Contains(err.Error(), "/environment breaks rule") {
			t.Errorf("the error is %v", err)
		}
	}
}
