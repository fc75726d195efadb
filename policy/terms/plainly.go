package terms

import (
	"bytes"
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// plainly turns values into what reading their JSON would make of them, without writing it, where that is simple: structs of text
// and numbers, lists and maps of such.
type plainly struct {
	terms bool // objects are OPA's at once, and not maps that a schema can look at
	out   any
	size  int // of the JSON
}

// members are those of an object that is put together.
type members struct {
	all   map[string]any
	pairs [][2]*ast.Term // where they are OPA's
	terms []ast.Term     // what pairs point to
}

func (p *plainly) members(n int) *members {
	if p.terms {
		return &members{pairs: make([][2]*ast.Term, 0, n), terms: make([]ast.Term, 0, n)}
	}
	return &members{all: make(map[string]any, n)}
}

// add adds a member; key is its name where that is known already.
func (m *members) add(name string, key *ast.Term, v any) bool {
	if m.all != nil {
		m.all[name] = v
		return true
	}
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		return false
	}
	if key == nil {
		key = ast.InternedTerm(name)
	}
	m.terms = append(m.terms, ast.Term{Value: value})
	m.pairs = append(m.pairs, [2]*ast.Term{key, &m.terms[len(m.terms)-1]})
	return true
}

func (m *members) object() any {
	if m.all != nil {
		return m.all
	}
	return ast.NewObject(m.pairs...)
}

func (m *members) count() int { return len(m.all) + len(m.pairs) }

var (
	marshals = reflect.TypeFor[json.Marshaler]()
	texts    = reflect.TypeFor[encoding.TextMarshaler]()
	zeroes   = reflect.TypeFor[interface{ IsZero() bool }]()
)

// value turns v, and tells whether it can.
func (p *plainly) value(v reflect.Value) bool {
	t := v.Type()
	if kind := t.Kind(); kind != reflect.Pointer && kind != reflect.Interface {
		switch {
		case t == reflect.TypeFor[json.RawMessage](): // of any size
			return false
		case t.Implements(marshals):
			return p.own(v)
		case reflect.PointerTo(t).Implements(marshals), !t.Implements(texts) && reflect.PointerTo(t).Implements(texts):
			return false
		case t.Implements(texts):
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
		return p.number(strconv.FormatInt(v.Int(), 10))
	case reflect.Float64:
		return p.float(v.Float())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return p.null()
		}
		return p.value(v.Elem())
	case reflect.Slice:
		return p.list(v)
	case reflect.Map:
		return p.mapping(v)
	case reflect.Struct:
		return p.object(v)
	}
	return false
}

// own is v by the JSON that it writes itself.
func (p *plainly) own(v reflect.Value) bool {
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		return false
	}
	p.size += len(raw)
	p.out, err = jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	return err == nil
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

func (p *plainly) number(text string) bool {
	p.out = json.Number(text)
	p.size += len(text)
	return true
}

// whole are numbers of which JSON writes every digit.
const whole = 1e15

func (p *plainly) float(f float64) bool {
	if f == math.Trunc(f) && math.Abs(f) < whole && (f != 0 || !math.Signbit(f)) {
		return p.number(strconv.FormatInt(int64(f), 10))
	}
	text, err := json.Marshal(f)
	return err == nil && p.number(string(text))
}

// mapping is a map whose keys are text.
func (p *plainly) mapping(v reflect.Value) bool {
	if v.IsNil() {
		return p.null()
	}
	if key := v.Type().Key(); key.Kind() != reflect.String || key.Implements(texts) {
		return false
	}
	out := p.members(v.Len())
	p.size += len("{}") + max(0, 2*v.Len()-1)
	for all := v.MapRange(); all.Next(); {
		key := all.Key().String()
		if !p.text(key) || !p.value(all.Value()) || !out.add(key, nil, p.out) {
			return false
		}
	}
	p.out = out.object()
	return true
}

// member is a field of a struct that JSON has, or of one that is embedded there.
type member struct {
	at   []int
	name string
	key  *ast.Term
	left func(reflect.Value) bool // that it is left out; nil: never
}

var known sync.Map // reflect.Type -> []member; nil: of a kind that is not simple

func membersOf(t reflect.Type) []member {
	if all, ok := known.Load(t); ok {
		return all.([]member)
	}
	out := simple(t)
	known.Store(t, out)
	return out
}

func simple(t reflect.Type) []member {
	out := []member{}
	named := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct && name == "":
			continue // its fields are ours
		case f.Anonymous, !f.IsExported(), name == "", name == "-", named[name]:
			return nil
		}
		named[name] = true
		m := member{at: f.Index, name: name, key: ast.InternedTerm(name)}
		switch options {
		case "":
		case "omitempty":
			m.left = empty
		case "omitzero":
			if m.left = reflect.Value.IsZero; f.Type.Implements(zeroes) || reflect.PointerTo(f.Type).Implements(zeroes) {
				return nil
			}
		default:
			return nil
		}
		out = append(out, m)
	}
	return out
}

func (p *plainly) object(v reflect.Value) bool {
	all := membersOf(v.Type())
	if all == nil {
		return false
	}
	out := p.members(len(all))
	for _, m := range all {
		f := v.FieldByIndex(m.at)
		if m.left != nil && m.left(f) {
			continue
		}
		if !p.value(f) || !out.add(m.name, m.key, p.out) {
			return false
		}
		p.size += len(m.name) + len(`"":`)
	}
	p.out = out.object()
	p.size += len("{}") + max(0, out.count()-1)
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
