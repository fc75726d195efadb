// What of a spec is part of a key: the fields that say so, but for what the recipe holds
// elsewhere.

package graph

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// remainder is spec as canonical JSON with the fields alone that a key takes from there.
func remainder(spec any, by *digest.Namer) (json.RawMessage, error) {
	raw, err := json.Marshal(keyed(spec))
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	prune(fields, schemas.Inner(reflect.TypeOf(spec)))
	return by.Canonical(fields)
}

// keyed is a copy of spec without its fields that are no part of a key, which would be written to be taken out again.
func keyed(spec any) any {
	is := reflect.ValueOf(spec)
	if is.Kind() != reflect.Pointer || is.Elem().Kind() != reflect.Struct {
		return spec
	}
	out := reflect.New(is.Type().Elem())
	out.Elem().Set(is.Elem())
	empty(out.Elem())
	return out.Interface()
}

// empty takes out of a struct the fields that are no part of a key.
func empty(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			empty(v.Field(i))
		case f.IsExported() && name != "-" && schemas.PartOf(f) != schemas.Key:
			v.Field(i).SetZero()
		}
	}
}

// prune leaves in fields, a struct t, what is part of a key. It tells whether t has
// fields that are not.
func prune(fields map[string]any, t reflect.Type) (pruned bool) {
	schemas.Lines(t, func(name string, f reflect.StructField) {
		if schemas.PartOf(f) != schemas.Key {
			delete(fields, name)
			pruned = true
			return
		}
		inner := schemas.Inner(f.Type)
		if inner == nil {
			return
		}
		switch value := fields[name].(type) {
		case []any:
			for _, v := range value {
				if m, ok := v.(map[string]any); ok {
					prune(m, inner)
				}
			}
		case map[string]any:
			if f.Type.Kind() == reflect.Map {
				for _, v := range value {
					if m, ok := v.(map[string]any); ok {
						prune(m, inner)
					}
				}
			} else if prune(value, inner) && len(value) == 0 && f.Type.Kind() == reflect.Struct {
				delete(fields, name) // all of it is elsewhere; that a pointer is there says something
			}
		}
	})
	return pruned
}
