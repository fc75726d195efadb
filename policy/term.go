// The schema of what rules are asked about: of the documents, and as the type of `input` for the compiler.

package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/policy/terms"
	"github.com/vishwaops/vishwa/schemas"
)

// inputType is what rules see, for the documents and for their compiler.
type inputType struct {
	shape *terms.Shape
	types *ast.SchemaSet
}

// inputOnce is compileSchema, once: parts of the rules share it.
var inputOnce = sync.OnceValues(func() (inputType, error) {
	shape, types, err := compileSchema()
	return inputType{shape, types}, err
})

// compileSchema reads input.schema.json.
func compileSchema() (*terms.Shape, *ast.SchemaSet, error) {
	schema, err := schemas.Compile("input", inputSchema)
	if err != nil {
		return nil, nil, fmt.Errorf("compile input schema: %w", err)
	}
	shape, err := terms.New(schema, reflect.TypeFor[document](), maxInput, "step", "metadata", "dataset", "inputs", "model", "terraform")
	if err != nil {
		return nil, nil, fmt.Errorf("compile input schema: %w", err)
	}
	var plain any
	if err := json.Unmarshal(inputSchema, &plain); err != nil {
		return nil, nil, fmt.Errorf("read input schema: %w", err)
	}
	types := ast.NewSchemaSet()
	types.Put(ast.SchemaRootRef, plain)
	return shape, types, nil
}
