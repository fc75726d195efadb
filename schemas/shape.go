// The structure of a document is checked by its kind's JSON Schema.

package schemas

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// shape reports what the kind's schema finds and takes those values out of body,
// so that the rest of the document can be decoded and checked as well.
func (d *document) shape(body map[string]any) {
	schema := compiled[d.decl.Kind]()
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(body); err == nil || !errors.As(err, &invalid) {
		return
	}
	known := map[string]bool{} // what the tree has already reported
	for _, p := range d.problems {
		known[p.Field] = true
	}
	found := leaves(invalid, nil)
	found = append(found, misnamed(schema, body, nil)...)
	inOrder(found)
	looked := 0
	for _, e := range found { // a field that was misspelt is not missing as well
		if k, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
			slices.Sort(k.Properties)
			for _, p := range k.Properties {
				if looked++; looked > maxProblems { // no more than that are told
					break
				}
				if meant := Nearest(p, d.free(walk(schema, e.InstanceLocation), e.InstanceLocation)); meant != "" {
					known[join(e.InstanceLocation, meant)] = true
				}
			}
		}
	}
	for _, e := range found {
		if d.full() {
			break
		}
		at := walk(schema, e.InstanceLocation)
		for field, message := range d.explainErrors(e, at) {
			if !known[field] {
				known[field] = true
				d.problem(field, "%s", message)
			}
		}
	}
	for _, e := range found {
		remove(body, e)
	}
}

// inOrder sorts what was found by where it is, so that the same is told each time.
func inOrder(found []*jsonschema.ValidationError) {
	slices.SortStableFunc(found, func(a, b *jsonschema.ValidationError) int {
		return slices.Compare(a.InstanceLocation, b.InstanceLocation)
	})
}

func join(location []string, field string) string {
	return strings.Join(append(slices.Clone(location), field), ".")
}

// free names the fields of s that the value at location does not have yet.
func (d *document) free(s *jsonschema.Schema, location []string) []string {
	var names []string
	for n := range s.Properties {
		if !d.has(join(location, n)) {
			names = append(names, n)
		}
	}
	return names
}

func leaves(e *jsonschema.ValidationError, out []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if _, name := e.ErrorKind.(*kind.PropertyNames); name {
		return out // see misnamed
	}
	if len(e.Causes) == 0 {
		return append(out, e)
	}
	for _, c := range e.Causes {
		out = leaves(c, out)
	}
	return out
}

// misnamed finds the keys of v that cannot be names. The validator finds them too,
// but v6.0.3 hands out their location in a slice that it goes on writing to.
func misnamed(s *jsonschema.Schema, v any, at []string) []*jsonschema.ValidationError {
	var out []*jsonschema.ValidationError
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			if s.PropertyNames != nil && !s.PropertyNames.Pattern.MatchString(key) {
				out = append(out, &jsonschema.ValidationError{InstanceLocation: slices.Clone(at), ErrorKind: &kind.PropertyNames{Property: key}})
			}
			if next := step(s, key); next != nil {
				out = append(out, misnamed(next, below, append(at, key))...)
			}
		}
	case []any:
		if s.Items2020 == nil {
			return nil
		}
		for i, below := range v {
			out = append(out, misnamed(s.Items2020, below, append(at, strconv.Itoa(i)))...)
		}
	}
	return out
}

// step is the schema of a field, or nil where anything goes.
func step(s *jsonschema.Schema, field string) *jsonschema.Schema {
	if p := s.Properties[field]; p != nil {
		return p
	}
	if s.Items2020 != nil {
		return s.Items2020
	}
	values, _ := s.AdditionalProperties.(*jsonschema.Schema)
	return values
}

// walk finds the schema of the value at location; the schemas have no references.
func walk(s *jsonschema.Schema, location []string) *jsonschema.Schema {
	for _, field := range location {
		next := step(s, field)
		if next == nil {
			return s
		}
		s = next
	}
	return s
}

// remove takes what e is about out of body; list items become null, as their
// neighbours keep their number.
func remove(body map[string]any, e *jsonschema.ValidationError) {
	at := e.InstanceLocation
	var names []string
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		names = k.Properties
	case *kind.PropertyNames:
		names = []string{k.Property}
	case *kind.Required, *kind.MinProperties, *kind.MinItems, *kind.MinLength:
		return
	default:
		if len(at) == 0 {
			return
		}
		names, at = at[len(at)-1:], at[:len(at)-1]
	}
	var v any = body
	for _, step := range at {
		v = into(v, step)
	}
	for _, name := range names {
		switch v := v.(type) {
		case map[string]any:
			delete(v, name)
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i < len(v) {
				v[i] = nil
			}
		}
	}
}

func into(v any, step string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[step]
	case []any:
		if i, err := strconv.Atoi(step); err == nil && i < len(v) {
			return v[i]
		}
	}
	return nil
}
