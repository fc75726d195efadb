// How what rules are asked about becomes terms of Rego, and is held against its schema.

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/schemas"
)

// value turns d into what OPA evaluates, once the schema accepts it: field by field, as most of them are the same for many steps
// and are then turned and held against the schema once. The spec may be anything.
func (d *document) value(schema *jsonschema.Schema, terms *terms) (ast.Value, error) {
	spec, size, err := terms.spec(d.Spec)
	if err != nil {
		return nil, err
	}
	of, all := reflect.ValueOf(d).Elem(), fields()
	pairs := make([][2]*ast.Term, 1, len(all)+1)
	pairs[0] = [2]*ast.Term{ast.InternedTerm("spec"), spec}
	for i := range all {
		f, v := &all[i], of.Field(all[i].at)
		if f.brief && v.Len() == 0 {
			continue
		}
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		if size += len(raw); size > maxInput {
			return nil, fmt.Errorf("it is larger than %d MiB", maxInput>>20)
		}
		t, err := terms.field(f, raw, schema)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]*ast.Term{f.key, t})
	}
	return ast.NewObject(pairs...), nil
}

// field is one of a document's, but for the spec.
type field struct {
	at    int // in the struct
	name  string
	key   *ast.Term
	brief bool // it is left out where it is empty
	own   bool // it is another for each step
}

// fields are those of a document.
var fields = sync.OnceValue(func() (out []field) {
	for i, f := range reflect.VisibleFields(reflect.TypeFor[document]()) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "spec" {
			continue
		}
		own := slices.Contains([]string{"step", "metadata", "dataset", "inputs", "model", "terraform"}, name)
		out = append(out, field{at: i, name: name, key: ast.InternedTerm(name), brief: options == "omitempty", own: own})
	}
	return out
})

// terms are what the steps of a plan have in common, as OPA has it: a training with a thousand
// candidates is a thousand steps, each of which shows the rules the same spec.
type terms struct {
	specs sync.Map // a pointer -> func() (turned, error)
	mu    sync.RWMutex
	parts map[part]*ast.Term // of fields that are the same for many steps, and were valid
}

// part is what a field holds.
type part struct {
	field *field
	raw   string // its JSON
}

// field is raw, the JSON of f, as OPA has it.
func (s *terms) field(f *field, raw []byte, schema *jsonschema.Schema) (*ast.Term, error) {
	if f.own {
		return decode(f.name, raw, schema)
	}
	s.mu.RLock()
	t := s.parts[part{f, string(raw)}]
	s.mu.RUnlock()
	if t != nil {
		return t, nil
	}
	t, err := decode(f.name, raw, schema)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts = map[part]*ast.Term{}
	}
	s.parts[part{f, string(raw)}] = t
	return t, nil
}

// decode turns raw, the JSON of the field name, once the schema accepts it.
func decode(name string, raw []byte, schema *jsonschema.Schema) (*ast.Term, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if err := schema.Properties[name].Validate(v); err != nil {
		return nil, fmt.Errorf("validate: %s", firstLine(name, err))
	}
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return ast.NewTerm(value), nil
}

type turned struct {
	term *ast.Term
	size int // of its JSON
}

func (s *terms) spec(spec any) (*ast.Term, int, error) {
	if spec == nil {
		return ast.NullTerm(), len("null"), nil
	}
	once, _ := s.specs.LoadOrStore(spec, sync.OnceValues(func() (turned, error) {
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

// firstLine is where and why the validation of a field failed, without the values.
func firstLine(field string, err error) string {
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return "not valid"
	}
	for len(ve.Causes) > 0 {
		ve = ve.Causes[0]
	}
	return fmt.Sprintf("/%s breaks rule %s", strings.Join(append([]string{field}, ve.InstanceLocation...), "/"), strings.Join(ve.ErrorKind.KeywordPath(), "/"))
}

// compileSchema reads input.schema.json for the validator and, as the type of
// `input`, for the compiler.
func compileSchema() (*jsonschema.Schema, *ast.SchemaSet, error) {
	schema, err := schemas.Compile("input", inputSchema)
	if err != nil {
		return nil, nil, fmt.Errorf("compile input schema: %w", err)
	}
	if err := covers(schema); err != nil {
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

// covers tells that a document each of whose fields schema accepts is one that it accepts: it knows them all, and none that it asks for
// is left out. That it says no more of them together, a test keeps.
func covers(schema *jsonschema.Schema) error {
	there := map[string]bool{"spec": true}
	for _, f := range fields() {
		if schema.Properties[f.name] == nil {
			return fmt.Errorf("it does not know %s", f.name)
		}
		there[f.name] = !f.brief
	}
	for _, name := range schema.Required {
		if !there[name] {
			return fmt.Errorf("it asks for %s, which may be left out", name)
		}
	}
	return nil
}
