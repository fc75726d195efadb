package predictions

import (
	"bytes"
	"compress/gzip"
	"math"
	"testing"
)

// TestTwoAnswersAgreeByWhatTheySay: not by which model says it, nor by how it is written.
func TestTwoAnswersAgreeByWhatTheySay(t *testing.T) {
	for name, c := range map[string]struct {
		one, other string
		tolerance  float64
		agree      bool
		numbers    int
		farthest   float64
	}{
		"v2": {`{"model_name":"a","model_version":"1","id":"x","outputs":[{"name":"y","shape":[2],"datatype":"FP64","data":[1,2.5]}]}`,
			`{"model_name":"a","model_version":"2","id":"y","outputs":[{"name":"y","shape":[2,1],"datatype":"FP64","data":[1.0,2.5]}]}`, 0, true, 2, 0},
		"within":         {`{"predictions":[1,2]}`, `{"predictions":[1.125,2]}`, 0.125, true, 2, 0.125},
		"beyond":         {`{"predictions":[1,2]}`, `{"predictions":[1.25,2]}`, 0.125, false, 2, 0.25},
		"all are seen":   {`{"predictions":[9,1]}`, `{"predictions":[1,1.5]}`, 0, false, 2, 8},
		"text":           {`{"predictions":["cat"]}`, `{"predictions":["dog"]}`, 5, false, 0, 0},
		"fewer":          {`{"predictions":[1,2]}`, `{"predictions":[1]}`, 5, false, 0, 0},
		"of a kind":      {`{"label":"cat","p":0.5,"id":"1"}`, `{"p":0.75,"label":"cat","id":"2"}`, 0.5, true, 1, 0.25},
		"another member": {`{"label":"cat"}`, `{"labels":"cat"}`, 0, false, 0, 0},
		"nested":         {`[{"a":[1,{"b":2}]}]`, `[{"a":[1,{"b":3}]}]`, 0, false, 2, 1},
		"no number":      {`[1]`, `["1"]`, 0, false, 0, 0},
		"called alike":   {`{"outputs":[{"name":"y","shape":[1],"data":[1]},{"name":"y","shape":[1],"data":[2]}]}`, `{"outputs":[{"name":"y","shape":[1],"data":[1]},{"name":"y","shape":[1],"data":[2]}]}`, 0, true, 2, 0},
		"bytes":          {"plain", "plain", 0, true, 0, 0},
		"other bytes":    {"plain", "plain ", 0, false, 0, 0},
		"JSON twice":     {`{} {}`, `{} {} `, 0, false, 0, 0},
		"far":            {`[1e308]`, `[-1e308]`, 0, false, 1, math.MaxFloat64},
		"no float":       {`[1e999]`, `[1e999]`, 0, true, 0, 0},
	} {
		d, ok := Compare(Body{Bytes: []byte(c.one)}, Body{Bytes: []byte(c.other)}, c.tolerance)
		if !ok || d.Agree != c.agree || d.Numbers != c.numbers || d.Farthest != c.farthest {
			t.Errorf("%s: %+v, %v", name, d, ok)
		}
	}
	if _, ok := Compare(Body{Bytes: []byte("{"), Cut: true}, Body{Bytes: []byte("{")}, 0); ok {
		t.Error("it compares half an answer")
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(`{"predictions":[1]}`))
	_ = w.Close()
	if d, ok := Compare(Body{Bytes: packed.Bytes(), Encoding: "gzip"}, Body{Bytes: []byte(`{"predictions":[1]}`)}, 0); !ok || !d.Agree {
		t.Errorf("one is compressed: %+v, %v", d, ok)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte(`{"predictions":[1]}`), []byte(`{"outputs":[{"name":"y","shape":[1],"data":[1]}]}`))
	f.Add([]byte(`{"data":{"ndarray":[[1,2]]}}`), []byte(`[[[`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		d, ok := Compare(Body{Bytes: a}, Body{Bytes: b}, 0)
		e, too := Compare(Body{Bytes: b}, Body{Bytes: a}, 0)
		if d.Agree != e.Agree || ok != too {
			t.Errorf("%q and %q agree one way: %+v, %+v", a, b, d, e)
		}
		if same, _ := Compare(Body{Bytes: a}, Body{Bytes: a}, 0); !same.Agree {
			t.Errorf("%q does not agree with itself", a)
		}
	})
}
