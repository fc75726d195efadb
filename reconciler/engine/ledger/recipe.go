// Recipes are most of what the facts of a large ledger are, and a plan asks for few of them: of facts that were kept they are
// left as they were written, and read each time that one is asked for.

package ledger

import (
	"encoding/json"
	"reflect"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// keptRecipe is a recipe among facts that were kept; without them, none.
type keptRecipe struct {
	among    *keptFacts
	from, to uint32
}

var (
	entryType  = reflect.TypeFor[Entry]()
	keptType   = reflect.TypeFor[keptRecipe]()
	madeByType = reflect.TypeFor[port.Recipe]()
	madeBy     = fieldOf(reflect.PointerTo(madeByType))
	keptBy     = fieldOf(keptType)
)

// fieldOf is which of an entry's fields is the one of type t.
func fieldOf(t reflect.Type) int {
	for i := range entryType.NumField() {
		if entryType.Field(i).Type == t {
			return i
		}
	}
	panic("an entry has no field of type " + t.String())
}

// HasRecipe tells whether it is recorded what e was made by.
func (e *Entry) HasRecipe() bool { return e.MadeBy != nil || e.kept.among != nil }

// Recipe is what e was made by; nil where that was not recorded. Who asks for several things of it keeps it meanwhile.
func (e *Entry) Recipe() *port.Recipe {
	if e.MadeBy != nil || e.kept.among == nil {
		return e.MadeBy
	}
	r := e.kept.open()
	out := &port.Recipe{}
	r.value(reflect.ValueOf(out).Elem()) // Decode checked that it can be read
	return out
}

// open begins to read k. It may be read by several at once.
func (k keptRecipe) open() decoder {
	return decoder{keptFacts: k.among, rest: k.among.recipes[k.from:k.to], below: len(k.among.maps.ends)}
}

// entryJSON is an entry as its fields are.
type entryJSON Entry

// MarshalJSON writes e with what it was made by.
func (e Entry) MarshalJSON() ([]byte, error) {
	e.MadeBy = e.Recipe()
	return json.Marshal(entryJSON(e))
}

// recipe writes one, or that there is none.
func (w *encoder) recipe(p *port.Recipe) error {
	if p == nil {
		w.uint(0)
		return nil
	}
	begin := len(w.out)
	if err := w.value(reflect.ValueOf(p).Elem()); err != nil {
		return err
	}
	w.recipes = append(w.recipes, w.out[begin:]...)
	size := len(w.out) - begin
	w.out = w.out[:begin]
	w.uint(uint64(size) + 1)
	return nil
}

// recipe is the next one, where there is one.
func (r *decoder) recipe() keptRecipe {
	n := r.uint()
	if n == 0 {
		return keptRecipe{}
	}
	if n-1 > uint64(len(r.recipes))-uint64(r.taken) {
		r.fail("a recipe is longer than they are")
		return keptRecipe{}
	}
	from := r.taken
	r.taken += uint32(n - 1)
	k := keptRecipe{r.keptFacts, from, r.taken}
	in := k.open()
	in.checked = r.checked
	if in.check(madeByType); in.err == nil && len(in.rest) > 0 {
		in.fail("a recipe ends before its bytes do")
	}
	if in.err != nil {
		r.fail("%w", in.err)
		return keptRecipe{}
	}
	return k
}
