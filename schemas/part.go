// What a field has to do with keys: each field of a kind says so in its tag.

package schemas

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Part is what a field of a kind is to the key of what is made of it.
type Part string

const (
	Key       Part = "key"       // another value makes another thing
	InRecipe  Part = "recipe"    // so too, and the recipe holds what it comes to: the command, digests of files, merged parameters
	Placement Part = "placement" // where, when and by what means; what is made is the same
	Text      Part = "text"      // words for people
)

// PartOf is the part of a field that f declares; "" where it declares none.
func PartOf(f reflect.StructField) Part { return Part(f.Tag.Get("part")) }

// line is a field of a struct by its name in YAML.
type line struct {
	name  string
	field reflect.StructField
}

var allLines sync.Map // reflect.Type -> []line: a field that is asked for of reflect is made anew each time

// Lines calls visit for each field of the struct t by its name in YAML, those of
// embedded structs among them.
func Lines(t reflect.Type, visit func(name string, f reflect.StructField)) {
	all, ok := allLines.Load(t)
	if !ok {
		all, _ = allLines.LoadOrStore(t, linesOf(t))
	}
	for _, l := range all.([]line) {
		visit(l.name, l.field)
	}
}

func linesOf(t reflect.Type) (all []line) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			all = append(all, linesOf(f.Type)...)
		case name != "-":
			all = append(all, line{name, f})
		}
	}
	return all
}

// Inner is the struct with fields of its own that t holds: itself, behind a pointer, or
// in a list or mapping; nil where it holds none.
func Inner(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return Inner(t.Elem())
	case reflect.Struct:
		if !t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			return t
		}
	}
	return nil
}

// Guards tells whether f guards what is made, or what is let to it, though it may be of a key: another value is for people to decide.
func Guards(f reflect.StructField) bool { return f.Tag.Get("guards") == "true" }

// Unkeyed are the fields of a spec that are set and that what is made of it does not come from, and those that guard it, by their path
// below spec.
func Unkeyed(spec any) map[string]any {
	out := map[string]any{}
	unkeyed("spec", reflect.ValueOf(spec), out)
	return out
}

func unkeyed(path string, v reflect.Value, out map[string]any) {
	if !v.IsValid() || Inner(v.Type()) == nil {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		unkeyed(path, v.Elem(), out)
	case reflect.Slice:
		for i := range v.Len() {
			unkeyed(fmt.Sprintf("%s[%d]", path, i), v.Index(i), out)
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			unkeyed(fmt.Sprintf("%s.%v", path, each.Key()), each.Value(), out)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			part := PartOf(f)
			switch {
			case f.Anonymous && name == "":
				unkeyed(path, v.Field(i), out)
			case name == "-" || !f.IsExported():
			case part == Key && !Guards(f), part == InRecipe && !Guards(f):
				unkeyed(path+"."+name, v.Field(i), out)
			case !v.Field(i).IsZero():
				out[path+"."+name] = v.Field(i).Interface()
			}
		}
	}
}
