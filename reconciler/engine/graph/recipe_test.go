// What of a spec is part of a key, whatever a kind has for fields.

package graph

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// full is v with something in each of its fields, so many structs deep.
func full(v reflect.Value, deep int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("a")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Interface:
		v.Set(reflect.ValueOf("any"))
	case reflect.Pointer:
		if deep > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			full(v.Elem(), deep)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		full(v.Index(0), deep)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		full(key, deep)
		full(value, deep)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				full(v.Field(i), deep-1)
			}
		}
	}
}

// Fields that are left out before a spec is written are those that are taken out of what was written.
func TestWhatAKeyHasNotIsNotWritten(t *testing.T) {
	for _, kind := range schemas.Kinds() {
		for deep := range 6 {
			spec := kind.New()
			full(reflect.ValueOf(spec).Elem(), deep)
			raw, err := json.Marshal(spec)
			if err != nil {
				t.Fatalf("%s: %v", kind.Kind, err)
			}
			var fields map[string]any
			if err := json.Unmarshal(raw, &fields); err != nil {
				t.Fatal(err)
			}
			prune(fields, schemas.Inner(reflect.TypeOf(spec)))
			want, err := digest.Canonical(fields)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := remainder(spec, new(digest.Namer)); err != nil || string(got) != string(want) {
				t.Errorf("%s, %d deep: %s, %v; want %s", kind.Kind, deep, got, err, want)
			}
			if now, err := json.Marshal(spec); err != nil || string(now) != string(raw) {
				t.Errorf("%s: the spec is another: %s", kind.Kind, now)
			}
		}
	}
}
