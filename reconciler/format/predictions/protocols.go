// The bodies of protocols: tensors of the Open Inference Protocol, instances and columns of
// TensorFlow Serving, as columns of their own names.

package predictions

import (
	"encoding/json"
	"strconv"
)

// tensors tells whether raw is a list of tensors as the Open Inference Protocol has them.
func tensors(raw json.RawMessage) bool {
	list, ok := elements(raw)
	if !ok || len(list) == 0 {
		return false
	}
	var t tensor
	return kindOf(list[0]) == '{' && json.Unmarshal(list[0], &t) == nil && t.Shape != nil && t.Data != nil
}

type tensor struct {
	Name  string          `json:"name"`
	Shape []int64         `json:"shape"`
	Data  json.RawMessage `json:"data"`
}

// decodeTensors reads inputs or outputs: the first dimension counts the instances, the others
// are columns, named by their number where there are several.
func decodeTensors(raw json.RawMessage) *frame {
	var list []tensor
	if json.Unmarshal(raw, &list) != nil || len(list) > 4*mostColumns {
		return nil
	}
	f := &frame{}
	for _, t := range list {
		values, err := flat(t.Data, mostInstances*16)
		n, width, ok := measure(t.Shape)
		if err != nil || !ok || n*width != int64(len(values)) || int64(len(f.columns))+width > 4*mostColumns {
			return nil
		}
		f.spread(t.Name, values, int(n), int(width))
	}
	return f
}

// measure is how many instances a shape has, and values an instance.
func measure(shape []int64) (n, width int64, ok bool) {
	n, width = 1, 1
	for i, s := range shape {
		if s < 0 || s > 1<<24 {
			return 0, 0, false
		}
		if i == 0 {
			n = s
		} else if width *= s; width > 4*mostColumns {
			return 0, 0, false
		}
	}
	return n, width, true
}

// spread adds a column for each value that an instance has of name.
func (f *frame) spread(name string, values []Value, n, width int) {
	for k := range width {
		c := series{name: name, values: make([]Value, n), place: k, width: width}
		if width > 1 || name == "" {
			c.name = join(name, strconv.Itoa(k))
			f.unnamed = true
		}
		for i := range n {
			c.values[i] = values[i*width+k]
		}
		f.columns = append(f.columns, c)
	}
}

func join(name, part string) string {
	if name == "" {
		return part
	}
	return name + "." + part
}

// instances reads a list with one element an instance: an object, a list or a value.
func instances(raw json.RawMessage) *frame {
	list, ok := elements(raw)
	if !ok || len(list) == 0 || len(list) > mostInstances {
		return nil
	}
	f := &frame{}
	at := map[string]int{}
	set := func(i int, name string, v Value) bool {
		k, known := at[name]
		if !known {
			if len(f.columns) >= 4*mostColumns || len(list)*len(f.columns) > mostInstances*64 {
				return false
			}
			k = len(f.columns)
			at[name] = k
			f.columns = append(f.columns, series{name: name, values: make([]Value, len(list))})
		}
		f.columns[k].values[i] = v
		return true
	}
	for i, e := range list {
		if kind := kindOf(e); kind != '{' && kind != '[' { // a value by itself
			f.unnamed = true
			if !set(i, "0", valueOf(e)) {
				return nil
			}
			continue
		}
		if !f.instance(e, "", 0, func(name string, v Value) bool { return set(i, name, v) }) {
			return nil
		}
	}
	if f.unnamed && kindOf(list[0]) == '[' {
		for k := range f.columns {
			f.columns[k].place, f.columns[k].width = k, len(f.columns)
		}
	}
	return f
}

// deepest is how far objects and lists within an instance are followed.
const deepest = 8

// instance walks one instance and sets its values by their dotted names.
func (f *frame) instance(raw json.RawMessage, name string, depth int, set func(string, Value) bool) bool {
	switch kindOf(raw) {
	case '{':
		if depth == deepest {
			return set(name, wholeOf(raw))
		}
		of, err := members(raw)
		if err != nil {
			return false
		}
		if len(of) == 1 && of[0].key == "b64" { // as TensorFlow Serving writes bytes
			return set(name, valueOf(of[0].value))
		}
		for _, m := range of {
			if !f.instance(m.value, join(name, m.key), depth+1, set) {
				return false
			}
		}
		return true
	case '[':
		list, ok := elements(raw)
		if !ok || depth == deepest || len(list) > 4*mostColumns {
			return set(name, wholeOf(raw))
		}
		f.unnamed = true
		for i, e := range list {
			if !f.instance(e, join(name, strconv.Itoa(i)), depth+1, set) {
				return false
			}
		}
		return true
	case 0:
		return false
	}
	return set(name, valueOf(raw))
}

// columnar reads TensorFlow Serving's other form: a list of values for each name, or one list.
func columnar(raw json.RawMessage) *frame {
	if kindOf(raw) == '[' {
		return instances(raw)
	}
	of, err := members(raw)
	if err != nil || len(of) == 0 {
		return nil
	}
	f := &frame{}
	for _, m := range of {
		part := instances(m.value)
		if part == nil {
			return nil
		}
		before := f.unnamed
		for _, c := range part.columns {
			if len(part.columns) > 1 {
				c.name = join(m.key, c.name)
			} else {
				c.name = m.key
			}
			f.columns = append(f.columns, c)
		}
		f.unnamed = before || part.unnamed && len(part.columns) > 1
		if len(f.columns) > 4*mostColumns {
			return nil
		}
	}
	return f
}
