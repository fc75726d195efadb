// The shape of what rules see is good JSON Schema, which programs take for granted.

package policy

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
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
