package terms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/vishwaops/vishwa/schemas"
)

type named string

type upper struct{ text string }

func (u upper) MarshalText() ([]byte, error) { return []byte("<" + u.text + ">"), nil }

type inner struct {
	Name  named    `json:"name"`
	Brief []string `json:"brief,omitempty"`
	None  *inner   `json:"none,omitempty"`
	Count int      `json:"count,omitempty"`
}

type outer struct {
	Text   string            `json:"text"`
	Flag   bool              `json:"flag"`
	Count  int64             `json:"count"`
	Inner  inner             `json:"inner"`
	At     *inner            `json:"at"`
	List   []inner           `json:"list"`
	Nil    []string          `json:"nil"`
	Labels map[string]string `json:"labels"`
	Ref    upper             `json:"ref"`
	Refs   []upper           `json:"refs"`
}

// What is turned without JSON is what JSON would have made of it, and as large; all else is left to JSON.
func TestPlainlyIsAsJSON(t *testing.T) {
	type float struct {
		N float64 `json:"n"`
	}
	type raw struct {
		N json.RawMessage `json:"n"`
	}
	type unnamed struct{ N string }
	type embedded struct {
		inner
		M string `json:"m"`
	}
	type shadowed struct {
		inner
		Name string `json:"name"`
	}
	for name, c := range map[string]struct {
		value any
		can   bool
	}{
		"zero":            {outer{}, true},
		"whole":           {outer{"a", true, -7, inner{"n", []string{"x", ""}, &inner{Name: "deep"}, 3}, &inner{}, []inner{{}, {Name: "y"}}, []string{}, map[string]string{"a": "b", "c<": "d\""}, upper{"r"}, []upper{{"s"}}}, true},
		"escapes":         {outer{Text: "\"\\ <a> & \u2028\u2029 \n\r\t\b\f \x00\x1f \x7f é → 🙂"}, true},
		"empty map":       {outer{Labels: map[string]string{}}, true},
		"invalid text":    {outer{Text: "a\xffb"}, false},
		"invalid label":   {outer{Labels: map[string]string{"a": "\xff"}}, false},
		"a float":         {float{1.5}, true},
		"floats":          {[]float{{0}, {math.Copysign(0, -1)}, {-3}, {1e15}, {-1e15}, {1e21}, {1e-7}, {999999999999999}, {0.1}, {math.MaxFloat64}, {math.SmallestNonzeroFloat64}}, true},
		"not a number":    {float{math.NaN()}, false},
		"JSON of its own": {raw{json.RawMessage(`{"a": 1}`)}, false},
		"no name":         {unnamed{"a"}, false},
		"embedded":        {embedded{inner{"n", nil, nil, 1}, "m"}, true},
		"shadowed":        {shadowed{inner{"n", nil, nil, 1}, "m"}, true},
		"zero ones": {struct {
			I inner `json:"i,omitzero"`
			J inner `json:"j,omitzero"`
		}{J: inner{Count: 1}}, true},
		"zero by its own word": {struct {
			T time.Time `json:"t,omitzero"`
		}{}, false},
		"in a pointer":    {struct{ *inner }{&inner{}}, false},
		"values":          {map[string]any{"a": nil, "b": []any{1.0, "x", true}, "c": map[string]any{"d<": -0.5}}, true},
		"lists":           {map[named][]string{"a": {"b", ""}, "c": nil, "d": {}}, true},
		"keys of texts":   {map[upper]string{{"a"}: "b"}, false},
		"a number's text": {map[string]any{"a": json.Number("1")}, false},
		"bytes": {struct {
			B []byte `json:"b"`
		}{[]byte("x")}, false},
		"any": {struct {
			B any `json:"b"`
		}{"x"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var p plainly
			if got := p.value(reflect.ValueOf(c.value)); got != c.can {
				t.Fatalf("it can: %v, want %v", got, c.can)
			}
			if !c.can {
				return
			}
			raw, err := json.Marshal(c.value)
			if err != nil {
				t.Fatal(err)
			}
			want, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(p.out, want) || p.size != len(raw) {
				t.Errorf("it is %#v of %d bytes, want %#v of %d", p.out, p.size, want, len(raw))
			}
			at := plainly{terms: true}
			if !at.value(reflect.ValueOf(c.value)) {
				t.Fatal("it cannot be turned at once")
			}
			once, err := ast.InterfaceToValue(at.out)
			if err != nil {
				t.Fatal(err)
			}
			if twice := ast.MustInterfaceToValue(want); ast.Compare(once, twice) != 0 || once.Hash() != twice.Hash() || at.size != len(raw) {
				t.Errorf("at once it is %v of %d bytes, want %v of %d", once, at.size, twice, len(raw))
			}
		})
	}
}

// fill puts something into all that v is made of.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), n+i)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n%3, n%3))
		for i := range v.Len() {
			fill(v.Index(i), n+i)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range n % 3 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n+i)
			fill(value, n+i)
			v.SetMapIndex(key, value)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(map[string]any{"n": float64(n) / 4, "list": []any{nil, n%2 == 0, "x"}}))
	case reflect.String:
		v.SetString(fmt.Sprint("text-", n))
	case reflect.Bool:
		v.SetBool(n%2 == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Float64:
		v.SetFloat(float64(n) / 8)
	}
}

func TestSpecsOfAllKindsArePlain(t *testing.T) {
	for _, kind := range schemas.Kinds() {
		for n := range 6 {
			spec := reflect.ValueOf(kind.New())
			if n > 0 {
				fill(spec.Elem(), n)
			}
			raw, err := json.Marshal(spec.Interface())
			if err != nil {
				continue // of a type that only a valid value can be written of
			}
			var p plainly
			if !p.value(spec) {
				t.Errorf("%s is left to JSON", kind.Name)
				break
			}
			if want, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw)); err != nil || !reflect.DeepEqual(p.out, want) || p.size != len(raw) {
				t.Errorf("%s is %#v of %d bytes, want %s of %d, %v", kind.Name, p.out, p.size, raw, len(raw), err)
			}
		}
	}
}
