package terms

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
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
		"a float":         {float{1.5}, false},
		"JSON of its own": {raw{json.RawMessage(`{"a": 1}`)}, false},
		"no name":         {unnamed{"a"}, false},
		"embedded":        {embedded{}, false},
		"bytes": {struct {
			B []byte `json:"b"`
		}{[]byte("x")}, false},
		"any": {struct {
			B any `json:"b"`
		}{"x"}, false},
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
		})
	}
}
