// Package terms turns the documents that rules see into what OPA evaluates, and holds them against their schema: field by field, as
// most of them are the same for many documents and are then turned and held against the schema once.
package terms

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
)

// Spec is the field that may hold anything, and is known by its pointer.
const Spec = "spec"

// Shape is what documents of one type are.
type Shape struct {
	schema *jsonschema.Schema
	fields []field // but for the spec
	spec   int     // where the spec is in the struct
	most   int     // bytes of JSON of a document
}

// field is one of a document's.
type field struct {
	at    int // in the struct
	name  string
	key   *ast.Term
	brief bool // it is left out where it is empty
	own   bool // it is another for each document
}

// New is the shape of the struct doc, whose JSON of at most most bytes schema accepts; own are the fields that are others for each
// document. A document each of whose fields schema accepts is one that it accepts: it knows them all, and none that it asks for is
// left out. That it says no more of them together is for its author to see.
func New(schema *jsonschema.Schema, doc reflect.Type, most int, own ...string) (*Shape, error) {
	s := &Shape{schema: schema, most: most}
	there := map[string]bool{Spec: true}
	for i, f := range reflect.VisibleFields(doc) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == Spec {
			s.spec = i
			continue
		}
		if schema.Properties[name] == nil {
			return nil, fmt.Errorf("it does not know %s", name)
		}
		brief := options == "omitempty"
		there[name] = !brief
		s.fields = append(s.fields, field{at: i, name: name, key: ast.InternedTerm(name), brief: brief, own: slices.Contains(own, name)})
	}
	for _, name := range schema.Required {
		if !there[name] {
			return nil, fmt.Errorf("it asks for %s, which may be left out", name)
		}
	}
	return s, nil
}

// Shared are the terms that documents have in common: a training with a thousand candidates is a thousand steps, each of which
// shows the rules the same spec. The zero value is none; it is safe for many goroutines.
type Shared struct {
	specs sync.Map // a pointer -> func() (turned, error)
	mu    sync.RWMutex
	parts map[part]*ast.Term // of fields that are the same for many documents, and were valid
}

// part is what a field holds.
type part struct {
	field *field
	raw   string // its JSON
}

// Value turns doc, a pointer to a struct of the shape, into what OPA evaluates, once the schema accepts it.
func (s *Shape) Value(doc any, shared *Shared) (ast.Value, error) {
	of := reflect.ValueOf(doc).Elem()
	spec, size, err := s.specOf(of.Field(s.spec).Interface(), shared)
	if err != nil {
		return nil, err
	}
	pairs := make([][2]*ast.Term, 1, len(s.fields)+1)
	pairs[0] = [2]*ast.Term{ast.InternedTerm(Spec), spec}
	for i := range s.fields {
		f, v := &s.fields[i], of.Field(s.fields[i].at)
		if f.brief && v.Len() == 0 {
			continue
		}
		t, n, err := s.term(f, v, s.most-size, shared)
		if err != nil {
			return nil, err
		}
		size += n
		pairs = append(pairs, [2]*ast.Term{f.key, t})
	}
	return ast.NewObject(pairs...), nil
}

// What most fields of most documents are.
var null, none = []byte("null"), []byte("[]")

// bare is the JSON of a field that holds nothing; nil: it holds something.
func bare(v reflect.Value) []byte {
	switch kind := v.Kind(); {
	case (kind == reflect.Pointer || kind == reflect.Slice) && v.IsNil():
		return null
	case kind == reflect.Slice && v.Len() == 0:
		return none
	}
	return nil
}

// encode is the JSON of a field.
func encode(v reflect.Value) ([]byte, error) {
	if raw := bare(v); raw != nil {
		return raw, nil
	}
	return json.Marshal(v.Interface())
}

func (s *Shape) large() error { return fmt.Errorf("it is larger than %d MiB", s.most>>20) }

// term is the field f, which is v, as OPA has it, and the size of its JSON, at most most.
func (s *Shape) term(f *field, v reflect.Value, most int, shared *Shared) (*ast.Term, int, error) {
	own := f.own && bare(v) == nil // what holds nothing is the same for all
	if own {
		if p := (plainly{}); p.value(v) {
			if p.size > most {
				return nil, 0, s.large()
			}
			t, err := s.held(f.name, p.out)
			return t, p.size, err
		}
	}
	raw, err := encode(v)
	if err != nil {
		return nil, 0, fmt.Errorf("encode: %w", err)
	}
	if len(raw) > most {
		return nil, 0, s.large()
	}
	if own {
		t, err := s.decode(f.name, raw)
		return t, len(raw), err
	}
	shared.mu.RLock()
	t := shared.parts[part{f, string(raw)}]
	shared.mu.RUnlock()
	if t != nil {
		return t, len(raw), nil
	}
	if t, err = s.decode(f.name, raw); err != nil {
		return nil, 0, err
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.parts == nil {
		shared.parts = map[part]*ast.Term{}
	}
	shared.parts[part{f, string(raw)}] = t
	return t, len(raw), nil
}

// decode turns raw, the JSON of the field name, once the schema accepts it.
func (s *Shape) decode(name string, raw []byte) (*ast.Term, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return s.held(name, v)
}

// held is v, which the field name is, once the schema accepts it.
func (s *Shape) held(name string, v any) (*ast.Term, error) {
	if err := s.schema.Properties[name].Validate(v); err != nil {
		return nil, fmt.Errorf("validate: %s", place(name, err))
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

func (s *Shape) specOf(spec any, shared *Shared) (*ast.Term, int, error) {
	if spec == nil {
		return ast.NullTerm(), len("null"), nil
	}
	once, _ := shared.specs.LoadOrStore(spec, sync.OnceValues(func() (turned, error) {
		if p := (plainly{terms: true}); p.value(reflect.ValueOf(spec)) {
			return s.turn(p.out, p.size)
		}
		raw, err := json.Marshal(spec)
		if err != nil {
			return turned{}, fmt.Errorf("encode: %w", err)
		}
		if len(raw) > s.most {
			return turned{}, s.large()
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return turned{}, fmt.Errorf("decode: %w", err)
		}
		return s.turn(v, len(raw))
	}))
	t, err := once.(func() (turned, error))()
	return t.term, t.size, err
}

// turn is v, whose JSON is of a size, as OPA has it.
func (s *Shape) turn(v any, size int) (turned, error) {
	if size > s.most {
		return turned{}, s.large()
	}
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		return turned{}, fmt.Errorf("decode: %w", err)
	}
	return turned{ast.NewTerm(value), size}, nil
}

// place is where and why the validation of a field failed, without the values.
func place(field string, err error) string {
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return "not valid"
	}
	for len(ve.Causes) > 0 {
		ve = ve.Causes[0]
	}
	return fmt.Sprintf("/%s breaks rule %s", strings.Join(append([]string{field}, ve.InstanceLocation...), "/"), strings.Join(ve.ErrorKind.KeywordPath(), "/"))
}
