// How what rules are asked about becomes terms of Rego, and is held against its schema.

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/schemas"
)

// value turns d into what OPA evaluates, once the schema accepts it. The spec may be
// anything, and is that of all the steps of a declaration: it is turned once.
func (d *document) value(schema *jsonschema.Schema, specs *specs) (ast.Value, error) {
	spec, size, err := specs.term(d.Spec)
	if err != nil {
		return nil, err
	}
	rest := *d
	rest.Spec = nil
	raw, err := json.Marshal(rest)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(raw)+size > maxInput {
		return nil, fmt.Errorf("it is larger than %d MiB", maxInput>>20)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if err := schema.Validate(v); err != nil {
		return nil, fmt.Errorf("validate: %s", firstLine(err))
	}
	out, err := ast.InterfaceToValue(v)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	out.(ast.Object).Insert(ast.StringTerm("spec"), spec)
	return out, nil
}

// specs are the declared specs of a plan as OPA has them: a training with a thousand
// candidates is a thousand steps, each of which shows the rules the same spec.
type specs struct{ known sync.Map } // spec, a pointer -> func() (turned, error)

type turned struct {
	term *ast.Term
	size int // of its JSON
}

func (s *specs) term(spec any) (*ast.Term, int, error) {
	if spec == nil {
		return ast.NullTerm(), len("null"), nil
	}
	once, _ := s.known.LoadOrStore(spec, sync.OnceValues(func() (turned, error) {
		raw, err := json.Marshal(spec)
		if err != nil {
			return turned{}, fmt.Errorf("encode: %w", err)
		}
		if len(raw) > maxInput {
			return turned{}, fmt.Errorf("it is larger than %d MiB", maxInput>>20)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return turned{}, fmt.Errorf("decode: %w", err)
		}
		value, err := ast.InterfaceToValue(v)
		if err != nil {
			return turned{}, fmt.Errorf("decode: %w", err)
		}
		return turned{ast.NewTerm(value), len(raw)}, nil
	}))
	t, err := once.(func() (turned, error))()
	return t.term, t.size, err
}

// firstLine is where and why a validation failed, without the values.
func firstLine(err error) string {
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return "not valid"
	}
	for len(ve.Causes) > 0 {
		ve = ve.Causes[0]
	}
	return fmt.Sprintf("/%s breaks rule %s", strings.Join(ve.InstanceLocation, "/"), strings.Join(ve.ErrorKind.KeywordPath(), "/"))
}

// compileSchema reads input.schema.json for the validator and, as the type of
// `input`, for the compiler.
func compileSchema() (*jsonschema.Schema, *ast.SchemaSet, error) {
	schema, err := schemas.Compile("input", inputSchema)
	if err != nil {
		return nil, nil, fmt.Errorf("compile input schema: %w", err)
	}
	var plain any
	if err := json.Unmarshal(inputSchema, &plain); err != nil {
		return nil, nil, fmt.Errorf("read input schema: %w", err)
	}
	types := ast.NewSchemaSet()
	types.Put(ast.SchemaRootRef, plain)
	return schema, types, nil
}
