// What values of facts name by its place: strings, of which digests and names repeat, and maps. Runs of the same code have the same
// recipe but for a few words, and a model has what its training measured: read again, entries share maps that are alike, which
// nobody changes.

package ledger

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
)

// keptFacts is what facts stay in that were kept.
type keptFacts struct {
	text    string // of all strings
	texts   places
	bodies  []byte // of all maps
	maps    places
	recipes []byte
}

// places are where things stand that follow each other.
type places struct{ ends []uint32 }

// at is where one begins and ends.
func (p places) at(i int) (from, to uint32) {
	if i > 0 {
		from = p.ends[i-1]
	}
	return from, p.ends[i]
}

// places are how many things follow, and how long each is; all of them follow.
func (r *decoder) places() (p places, all []byte) {
	p.ends = make([]uint32, r.length())
	var total uint64
	for i := range p.ends {
		n := r.uint()
		if total += n; n > math.MaxUint32 || total > math.MaxUint32 {
			r.fail("they are too long")
		}
		p.ends[i] = uint32(total)
	}
	if total > uint64(len(r.rest)) {
		r.fail("they are cut short")
	}
	if r.err != nil {
		return places{}, nil
	}
	all, r.rest = r.rest[:total], r.rest[total:]
	return p, all
}

// keep reads what values name. Of what was read from the file it keeps no more than that.
func (r *decoder) keep() {
	var texts, bodies []byte
	r.texts, texts = r.places()
	r.maps, bodies = r.places()
	n := r.length()
	if n > math.MaxUint32 {
		r.fail("they are too long")
		return
	}
	r.recipes = bytes.Clone(r.rest[:n])
	r.rest = r.rest[n:]
	r.text, r.bodies = string(texts), bytes.Clone(bodies)
	r.below, r.read = len(r.maps.ends), make([]reflect.Value, len(r.maps.ends))
	r.checked = make([]reflect.Type, len(r.maps.ends))
}

// tables are what values name, as keep reads it.
func (w *encoder) tables() (out []byte) {
	for _, all := range [][]string{w.table, w.bodies} {
		out = binary.AppendUvarint(out, uint64(len(all)))
		for _, s := range all {
			out = binary.AppendUvarint(out, uint64(len(s)))
		}
		for _, s := range all {
			out = append(out, s...)
		}
	}
	return append(binary.AppendUvarint(out, uint64(len(w.recipes))), w.recipes...)
}

// writtenMap is a map as it is written, with all that is in it.
type writtenMap struct {
	of   reflect.Type
	text string
}

// pairs writes which of the maps one is, or that there is none.
func (w *encoder) pairs(v reflect.Value) error {
	if v.IsNil() {
		w.uint(0)
		return nil
	}
	begin := len(w.out)
	w.uint(uint64(v.Len()))
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		w.string(k.String())
		if err := w.value(v.MapIndex(k)); err != nil {
			return err
		}
	}
	written := writtenMap{v.Type(), string(w.out[begin:])}
	w.out = w.out[:begin]
	i, ok := w.maps[written]
	if !ok {
		i = uint64(len(w.bodies))
		w.maps[written] = i
		w.bodies = append(w.bodies, written.text)
	}
	w.uint(i + 1)
	return nil
}

// pairs reads a map, where it was not yet.
func (r *decoder) pairs(v reflect.Value) {
	i, ok := r.which()
	if !ok {
		return
	}
	if r.read != nil && r.read[i].IsValid() {
		if r.read[i].Type() != v.Type() {
			r.fail("map %d is no %s", i, v.Type())
			return
		}
		v.Set(r.read[i])
		return
	}
	body := r.body(i)
	body.read = r.read
	m := body.pairsOf(v.Type())
	if !r.ends(&body) {
		return
	}
	if r.read != nil {
		r.read[i] = m
	}
	v.Set(m)
}

// which tells which of the maps comes next, where one does.
func (r *decoder) which() (i int, ok bool) {
	n := r.uint()
	if n == 0 {
		return 0, false
	}
	if n > uint64(r.below) {
		r.fail("map %d of %d", n-1, r.below)
		return 0, false
	}
	return int(n - 1), true
}

// body begins to read what is in a map.
func (r *decoder) body(i int) decoder {
	from, to := r.maps.at(i)
	return decoder{keptFacts: r.keptFacts, rest: r.bodies[from:to], below: i}
}

// ends tells whether a map was read to its end, and fails where it was not.
func (r *decoder) ends(body *decoder) bool {
	if body.err == nil && len(body.rest) > 0 {
		body.fail("a map ends before its bytes do")
	}
	if body.err != nil {
		r.fail("%w", body.err)
	}
	return body.err == nil
}

// pairsOf is a map of type t.
func (r *decoder) pairsOf(t reflect.Type) reflect.Value {
	n := r.length()
	m := reflect.MakeMapWithSize(t, n)
	k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	for range n {
		e.SetZero()
		k.SetString(r.string())
		r.value(e)
		m.SetMapIndex(k, e)
	}
	return m
}
