// What of an answer a protocol explains, and what stands beside it: both are compared, each in its way.

package predictions

import (
	"maps"
	"math"
	"strings"
	"unicode/utf8"
)

// givers are members that say who answered, and not what: of the Open Inference Protocol, of Vertex AI and of Seldon.
var givers = []string{"id", "model_name", "model_version", "deployedModelId", "model", "modelDisplayName", "modelVersionId"}

// explained is an answer as a protocol has it.
type explained struct {
	frame  *frame         // nil: its values do not all stand in columns as they are
	beside map[string]any // what the protocol says nothing of
	all    map[string]any // all but who gave it
}

// explain reads an answer that x is the JSON of; nil where no protocol explains it. It leaves x as it is.
func explain(raw []byte, x any) *explained {
	m, is := x.(map[string]any)
	if !is || !spelled(m, "predictions", "outputs", "data") {
		return nil
	}
	f := decodeResponse(raw)
	if f == nil {
		return nil
	}
	all := maps.Clone(m)
	for _, name := range givers {
		delete(all, name)
	}
	out := &explained{frame: f, beside: maps.Clone(all), all: all}
	exact := !f.vague()
	switch {
	case m["predictions"] != nil:
		delete(out.beside, "predictions")
	case m["outputs"] != nil:
		delete(out.beside, "outputs")
		exact = besideTensors(out.beside, m["outputs"]) && exact
	default:
		exact = besideSplit(out.beside, m["data"], len(f.columns)) && exact
	}
	if !exact {
		out.frame = nil
	}
	return out
}

// spelled tells whether the members of these names are called just so. A reader that takes another case for the same reads something else.
func spelled(m map[string]any, names ...string) bool {
	for k := range m {
		for _, name := range names {
			if k != name && strings.EqualFold(k, name) {
				return false
			}
		}
	}
	return true
}

// besideTensors puts into out what outputs have beside their values, by their names.
func besideTensors(out map[string]any, outputs any) (exact bool) {
	list, _ := outputs.([]any)
	rest := map[string]any{}
	for _, o := range list {
		t, is := o.(map[string]any)
		if !is || t["shape"] == nil || t["data"] == nil {
			return true // rows or columns: all of them stands in the frame
		}
		if !spelled(t, "name", "shape", "datatype", "data") {
			return false
		}
		name, _ := t["name"].(string)
		more := maps.Clone(t)
		for _, known := range []string{"name", "shape", "datatype", "data"} {
			delete(more, known)
		}
		if len(more) > 0 {
			of, _ := rest[name].([]any)
			rest[name] = append(of, any(more))
		}
	}
	if len(rest) > 0 {
		out["outputs"] = rest
	}
	return true
}

// besideSplit puts into out what data has beside its values, and drops what Seldon calls each answer by.
func besideSplit(out map[string]any, data any, columns int) (exact bool) {
	d, is := data.(map[string]any)
	if !is || !spelled(d, "columns", "data", "names", "ndarray", "tensor") {
		return false
	}
	rest := maps.Clone(d)
	delete(rest, "data")
	delete(rest, "ndarray")
	for _, names := range []string{"columns", "names"} {
		if list, _ := d[names].([]any); len(list) == columns { // else the frame does not have them
			delete(rest, names)
		}
	}
	if t, is := d["tensor"].(map[string]any); is {
		if !spelled(t, "shape", "values") {
			return false
		}
		t = maps.Clone(t)
		delete(t, "shape")
		delete(t, "values")
		rest["tensor"] = t
	}
	out["data"] = rest
	if meta, is := out["meta"].(map[string]any); is {
		meta = maps.Clone(meta)
		delete(meta, "puid")
		delete(meta, "requestPath")
		out["meta"] = meta
	}
	return true
}

// vague tells whether two frames may be alike though what they are of is not: a text was cut, a list or an object is kept as text, or a whole
// number is beyond those that are told apart.
func (f *frame) vague() bool {
	for _, c := range f.columns {
		for _, v := range c.values {
			if v.whole || len(v.text) > longestText-utf8.UTFMax {
				return true
			}
			if x, _ := v.Number(); v.Kind == Float && math.Abs(x) >= math.MaxInt64 {
				return true
			}
		}
	}
	return false
}
