// Layout walks the types of an entry to write and read their values: fields in
// their order, strings by their place in one table, since digests and names repeat,
// and maps by their place in another one. Recipes stand by themselves.

package ledger

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

var timeType = reflect.TypeFor[time.Time]()

// describe writes what tells one layout from another.
func describe(w io.Writer, t reflect.Type) {
	fmt.Fprintf(w, "%s %s;", t.Kind(), t)
	if t == keptType {
		return // that is where a recipe is, whose type another field has
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			fmt.Fprintf(w, "%s:", t.Field(i).Name)
			if t != timeType {
				describe(w, t.Field(i).Type)
			}
		}
	case reflect.Map:
		describe(w, t.Key())
		describe(w, t.Elem())
	case reflect.Pointer, reflect.Slice:
		describe(w, t.Elem())
	}
}

type encoder struct {
	out     []byte
	table   []string
	seen    map[string]uint64
	maps    map[writtenMap]uint64
	bodies  []string // of the maps
	recipes []byte
}

func (w *encoder) uint(n uint64) { w.out = binary.AppendUvarint(w.out, n) }
func (w *encoder) int(n int64)   { w.out = binary.AppendVarint(w.out, n) }

func (w *encoder) string(s string) {
	i, ok := w.seen[s]
	if !ok {
		i = uint64(len(w.table))
		w.table = append(w.table, s)
		w.seen[s] = i
	}
	w.uint(i)
}

func (w *encoder) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		w.string(v.String())
	case reflect.Int, reflect.Int64:
		w.int(v.Int())
	case reflect.Float64:
		w.uint(math.Float64bits(v.Float()))
	case reflect.Bool:
		w.uint(map[bool]uint64{true: 1}[v.Bool()])
	case reflect.Pointer:
		if v.IsNil() {
			w.uint(0)
			return nil
		}
		w.uint(1)
		return w.value(v.Elem())
	case reflect.Struct:
		return w.fields(v)
	case reflect.Slice:
		return w.slice(v)
	case reflect.Map:
		return w.pairs(v)
	case reflect.Interface:
		return w.any(v.Interface())
	default:
		return fmt.Errorf("no layout for %s", v.Type())
	}
	return nil
}

const (
	anyJSON = iota // lists, objects, null
	anyString
	anyNumber
)

// any writes a parameter: strings and numbers as they are, the rest as JSON.
func (w *encoder) any(v any) error {
	switch v := v.(type) {
	case string:
		w.uint(anyString)
		w.string(v)
	case float64:
		w.uint(anyNumber)
		w.uint(math.Float64bits(v))
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		w.uint(anyJSON)
		w.string(string(b))
	}
	return nil
}

func (w *encoder) fields(v reflect.Value) error {
	if v.Type() == timeType {
		w.string(v.Interface().(time.Time).Format(time.RFC3339Nano))
		return nil
	}
	own := v.Type() == entryType
	for i := range v.NumField() {
		if own && (i == madeBy || i == keptBy) {
			continue
		}
		if err := w.value(v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", v.Type().Field(i).Name, err)
		}
	}
	if own {
		return w.recipe(v.Addr().Interface().(*Entry).Recipe())
	}
	return nil
}

func (w *encoder) slice(v reflect.Value) error {
	if v.IsNil() {
		w.uint(0)
		return nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		w.uint(1)
		w.string(string(v.Bytes()))
		return nil
	}
	w.uint(uint64(v.Len()) + 1)
	for i := range v.Len() {
		if err := w.value(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// decoder reads; after the first error everything reads as zero.
type decoder struct {
	*keptFacts
	rest    []byte
	read    []reflect.Value // maps, where they were read; nil: none is shared
	checked []reflect.Type  // what map each is, where it was passed over
	below   int             // which of the maps may be asked for: one holds those alone that were written before it
	taken   uint32          // of the recipes
	err     error
}

func (r *decoder) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

func (r *decoder) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail("they are cut short")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *decoder) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail("they are cut short")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// length is a count of things of which each takes a byte or more.
func (r *decoder) length() int {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail("a list is longer than they are")
		return 0
	}
	return int(n)
}

func (r *decoder) string() string {
	i := r.uint()
	if i >= uint64(len(r.texts.ends)) {
		r.fail("string %d of %d", i, len(r.texts.ends))
		return ""
	}
	from, to := r.texts.at(int(i))
	return r.text[from:to]
}

func (r *decoder) ref() (ref schemas.Ref) {
	if err := ref.UnmarshalText([]byte(r.string())); err != nil {
		r.fail("%w", err)
	}
	return ref
}

func (r *decoder) value(v reflect.Value) {
	if r.err != nil {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(r.string())
	case reflect.Int, reflect.Int64:
		v.SetInt(r.int())
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(r.uint()))
	case reflect.Bool:
		v.SetBool(r.uint() == 1)
	case reflect.Pointer:
		if r.uint() == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			r.value(v.Elem())
		}
	case reflect.Struct:
		r.fields(v)
	case reflect.Slice:
		r.slice(v)
	case reflect.Map:
		r.pairs(v)
	case reflect.Interface:
		r.any(v)
	default:
		r.fail("no layout for %s", v.Type())
	}
}

func (r *decoder) any(v reflect.Value) {
	switch r.uint() {
	case anyString:
		v.Set(reflect.ValueOf(r.string()))
	case anyNumber:
		n := math.Float64frombits(r.uint())
		if math.IsNaN(n) || math.IsInf(n, 0) {
			r.fail("a number that JSON has not")
			return
		}
		v.Set(reflect.ValueOf(n))
	default:
		if err := json.Unmarshal([]byte(r.string()), v.Addr().Interface()); err != nil {
			r.fail("%w", err)
		}
	}
}

func (r *decoder) fields(v reflect.Value) {
	if v.Type() == timeType {
		t, err := time.Parse(time.RFC3339Nano, r.string())
		if err != nil {
			r.fail("%w", err)
		}
		v.Set(reflect.ValueOf(t))
		return
	}
	own := v.Type() == entryType
	for i := range v.NumField() {
		if !own || i != madeBy && i != keptBy {
			r.value(v.Field(i))
		}
	}
	if own {
		v.Addr().Interface().(*Entry).kept = r.recipe()
	}
}

func (r *decoder) slice(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if r.uint() != 0 {
			v.SetBytes([]byte(r.string()))
		}
		return
	}
	n := r.uint()
	if n == 0 {
		return
	}
	if n-1 > uint64(len(r.rest)) {
		r.fail("a list is longer than they are")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), int(n-1), int(n-1)))
	for i := range v.Len() {
		r.value(v.Index(i))
	}
}
