package terms

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// plainly turns values into what reading their JSON would make of them, without writing it, where that is simple: structs of text,
// numbers without a point, lists and maps of such.
type plainly struct {
	out  any
	size int // of the JSON
}

var (
	marshals = reflect.TypeFor[json.Marshaler]()
	texts    = reflect.TypeFor[encoding.TextMarshaler]()
)

// value turns v, and tells whether it can.
func (p *plainly) value(v reflect.Value) bool {
	t := v.Type()
	if kind := t.Kind(); kind != reflect.Pointer && kind != reflect.Interface {
		if t.Implements(marshals) || reflect.PointerTo(t).Implements(marshals) || !t.Implements(texts) && reflect.PointerTo(t).Implements(texts) {
			return false
		}
		if t.Implements(texts) {
			text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			return err == nil && p.text(string(text))
		}
	}
	switch v.Kind() {
	case reflect.String:
		return t != reflect.TypeFor[json.Number]() && p.text(v.String())
	case reflect.Bool:
		p.out = v.Bool()
		p.size += len(strconv.FormatBool(v.Bool()))
		return true
	case reflect.Int, reflect.Int64:
		n := strconv.FormatInt(v.Int(), 10)
		p.out = json.Number(n)
		p.size += len(n)
		return true
	case reflect.Pointer:
		if v.IsNil() {
			return p.null()
		}
		return p.value(v.Elem())
	case reflect.Slice:
		return p.list(v)
	case reflect.Map:
		return p.texts(v)
	case reflect.Struct:
		return p.object(v)
	}
	return false
}

func (p *plainly) null() bool {
	p.out = nil
	p.size += len("null")
	return true
}

// text is s, of which JSON keeps every character; bytes that are none it replaces.
func (p *plainly) text(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	p.out = s
	p.size += len(s) + 2
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte("\"\\\b\f\n\r\t", c) >= 0:
			p.size++
		case c < ' ', c == '<', c == '>', c == '&':
			p.size += 5
		case c == 0xe2 && i+2 < len(s) && s[i+1] == 0x80 && s[i+2]&^1 == 0xa8: // ends of lines and paragraphs
			p.size += 3
		}
	}
	return true
}

func (p *plainly) list(v reflect.Value) bool {
	if v.IsNil() {
		return p.null()
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return false
	}
	out := make([]any, v.Len())
	p.size += len("[]") + max(0, v.Len()-1)
	for i := range out {
		if !p.value(v.Index(i)) {
			return false
		}
		out[i] = p.out
	}
	p.out = out
	return true
}

// texts is a map of text.
func (p *plainly) texts(v reflect.Value) bool {
	all, ok := v.Interface().(map[string]string)
	if !ok {
		return false
	}
	if all == nil {
		return p.null()
	}
	out := make(map[string]any, len(all))
	p.size += len("{}") + max(0, 2*len(all)-1)
	for key, value := range all {
		if !p.text(key) || !p.text(value) {
			return false
		}
		out[key] = value
	}
	p.out = out
	return true
}

// member is a field of a struct that JSON has.
type member struct {
	at    int
	name  string
	brief bool
}

var members sync.Map // reflect.Type -> []member; nil: of a kind that is not simple

func membersOf(t reflect.Type) []member {
	if known, ok := members.Load(t); ok {
		return known.([]member)
	}
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" || options != "" && options != "omitempty" {
			out = nil
			break
		}
		out = append(out, member{i, name, options == "omitempty"})
	}
	members.Store(t, out)
	return out
}

func (p *plainly) object(v reflect.Value) bool {
	all := membersOf(v.Type())
	if all == nil {
		return false
	}
	out := make(map[string]any, len(all))
	for _, m := range all {
		f := v.Field(m.at)
		if m.brief && empty(f) {
			continue
		}
		if !p.value(f) {
			return false
		}
		out[m.name] = p.out
		p.size += len(m.name) + len(`"":`)
	}
	p.out = out
	p.size += len("{}") + max(0, len(out)-1)
	return true
}

// empty is what omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
