// The schemas serve editors as well as Load: they are good JSON Schema, and say
// the same of a file with several kinds.

package schemas

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// compile checks a schema against the metaschema that it names, which must be 2020-12's.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(`"$schema": "https://json-schema.org/draft/2020-12/schema"`)) {
		t.Errorf("%s does not name its dialect", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema:"+name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema:" + name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func TestSchemasAreGoodJSONSchema(t *testing.T) {
	for _, k := range Kinds() {
		kind := k.Name
		if s := compile(t, strings.ToUpper(kind)); s.Properties["spec"].Description == "" {
			t.Errorf("%s has no description", kind)
		}
	}
}

// TestOneSchemaServesMixedFiles: what an editor says of a file with the line
// "# yaml-language-server: $schema=..." is right for each of its documents.
func TestOneSchemaServesMixedFiles(t *testing.T) {
	schema := compile(t, Any)
	accepts := func(text string) (good, bad int) {
		dec := yaml.NewDecoder(strings.NewReader(text))
		for {
			var v any
			err := dec.Decode(&v)
			if errors.Is(err, io.EOF) {
				return good, bad
			}
			if err != nil {
				t.Fatal(err)
			}
			if v == nil {
				continue
			}
			if schema.Validate(v) == nil {
				good++
			} else {
				bad++
			}
		}
	}
	text := "# yaml-language-server: $schema=vishwa.schema.json\n" + project("{}") + "---\n" + good
	if n, bad := accepts(text); n != 5 || bad != 0 {
		t.Errorf("%d accepted, %d refused of 5 good ones", n, bad)
	}
	for _, slip := range [][2]string{{"kind: Dataset", "kind: Datset"}, {"source:", "sorce:"}, {"{name: students}", "{name: Students}"}, {"outputs:", "inputs2:"}, {"from:", "form:"}, {"v1alpha1", "v2"}} {
		if _, bad := accepts(strings.ReplaceAll(text, slip[0], slip[1])); bad == 0 {
			t.Errorf("%s is accepted", slip[1])
		}
	}
}

func TestSchemaOffersTheNearestKind(t *testing.T) {
	_, err := Schema("datset")
	if fault.Of(err) != fault.Missing || err.Error() != `there is no schema "datset"; did you mean dataset?` {
		t.Error(err)
	}
	if got, want := fault.HintOf(err), "name one of controller, dataset, deployment, infrastructure, model, monitor, package, project, training, transform, trust, vishwa"; got != want {
		t.Error(got)
	}
	for _, name := range []string{"", "../types", ".", "Model.schema.json"} {
		if _, err := Schema(name); err == nil {
			t.Errorf("%q is a schema", name)
		}
	}
}
