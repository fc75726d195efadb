// Check passes over values and makes none of them: facts of which one recipe cannot be read are Corrupt at once, rather than when
// that recipe is asked for, where nothing folds the ledger anew any more.

package ledger

import "reflect"

// check fails where value would for a value of type t.
func (r *decoder) check(t reflect.Type) {
	if r.err != nil {
		return
	}
	switch t.Kind() {
	case reflect.String:
		r.string()
	case reflect.Int, reflect.Int64:
		r.int()
	case reflect.Float64, reflect.Bool:
		r.uint()
	case reflect.Pointer:
		if r.uint() == 1 {
			r.check(t.Elem())
		}
	case reflect.Struct:
		if t == timeType {
			r.value(reflect.New(t).Elem())
			return
		}
		for i := range t.NumField() {
			r.check(t.Field(i).Type)
		}
	case reflect.Slice:
		r.checkSlice(t)
	case reflect.Map:
		r.checkPairs(t)
	default: // what a parameter is
		r.value(reflect.New(t).Elem())
	}
}

func (r *decoder) checkSlice(t reflect.Type) {
	n := r.uint()
	switch {
	case n == 0:
	case t.Elem().Kind() == reflect.Uint8:
		r.string()
	case n-1 > uint64(len(r.rest)):
		r.fail("a list is longer than they are")
	default:
		for range n - 1 {
			r.check(t.Elem())
		}
	}
}

// checkPairs passes over a map once for all that have it.
func (r *decoder) checkPairs(t reflect.Type) {
	i, ok := r.which()
	if !ok || r.checked[i] == t {
		return
	}
	body := r.body(i)
	body.checked = r.checked
	for range body.length() {
		body.string()
		body.check(t.Elem())
	}
	if r.ends(&body) {
		r.checked[i] = t
	}
}
