// Encode and Decode keep folded facts in a file, so that a ledger need not be
// replayed each time. The form is private to one layout of Entry: its header
// names the layout, and what another program version wrote is not read but folded anew.

package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

const magic = "vishwa facts 11\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// layout names how values are laid out in a file: it follows from the types.
var layout = func() uint64 {
	h := fnv.New64a()
	describe(h, reflect.TypeFor[Entry]())
	return h.Sum64()
}()

// Encode writes f. Equal facts have equal bytes.
func (f *Facts) Encode() ([]byte, error) {
	w := &encoder{seen: map[string]uint64{}, maps: map[writtenMap]uint64{}}
	index, list := map[*Entry]uint64{}, f.entries()
	w.int(f.Count)
	w.string(string(f.Head))
	w.string(f.Started)
	w.string(f.Tracked)
	w.int(f.Time.UnixMilli())
	for _, name := range f.heads {
		w.out = append(w.out, name[:]...)
	}
	w.uint(uint64(len(list)))
	for i, e := range list {
		index[e] = uint64(i)
		if err := w.value(reflect.ValueOf(e).Elem()); err != nil {
			return nil, fmt.Errorf("encode entry %d: %w", e.Seq, err)
		}
	}
	byKey := func(a, b digest.Digest) int { return cmp.Compare(index[f.ByKey[a]], index[f.ByKey[b]]) }
	w.uint(uint64(len(f.ByKey)))
	for _, k := range slices.SortedFunc(maps.Keys(f.ByKey), byKey) {
		w.string(string(k))
		w.uint(index[f.ByKey[k]])
	}
	for _, m := range []map[schemas.Ref]*Entry{f.Latest, f.Denied, f.Observed, f.Released, f.Suspended, f.Rollouts, f.WentBack} {
		w.uint(uint64(len(m)))
		for _, r := range slices.SortedFunc(maps.Keys(m), schemas.Ref.Compare) {
			w.string(refText(r))
			w.uint(index[m[r]])
		}
	}
	for _, m := range []map[string]*Entry{f.Places, f.Left, f.Machines} {
		w.uint(uint64(len(m)))
		for _, name := range slices.Sorted(maps.Keys(m)) {
			w.string(name)
			w.uint(index[m[name]])
		}
	}
	w.uint(uint64(len(f.Others)))
	for _, k := range slices.Sorted(maps.Keys(f.Others)) {
		w.string(string(k))
		w.uint(uint64(len(f.Others[k])))
		for _, e := range f.Others[k] {
			w.uint(index[e])
		}
	}
	w.uint(uint64(len(f.Failed)))
	for _, k := range slices.Sorted(maps.Keys(f.Failed)) {
		w.string(string(k))
		w.int(int64(f.Failed[k].N))
		w.uint(index[f.Failed[k].Last])
	}
	for _, list := range [][]*Entry{f.Approvals, f.Stuck} {
		w.uint(uint64(len(list)))
		for _, e := range list {
			w.uint(index[e])
		}
	}
	return w.bytes(), nil
}

// entries are all that f refers to, each once, in their order.
func (f *Facts) entries() (list []*Entry) {
	known := map[*Entry]bool{}
	note := func(e *Entry) {
		if !known[e] {
			known[e] = true
			list = append(list, e)
		}
	}
	for _, e := range f.ByKey {
		note(e)
	}
	for _, e := range f.Latest {
		note(e)
	}
	for _, t := range f.Failed {
		note(t.Last)
	}
	for _, m := range []map[schemas.Ref]*Entry{f.Denied, f.Observed, f.Released, f.Suspended, f.Rollouts, f.WentBack} {
		for _, e := range m {
			note(e)
		}
	}
	for _, m := range []map[string]*Entry{f.Places, f.Left, f.Machines} {
		for _, e := range m {
			note(e)
		}
	}
	for _, list := range f.Others {
		for _, e := range list {
			note(e)
		}
	}
	for _, e := range slices.Concat(f.Approvals, f.Stuck) {
		note(e)
	}
	slices.SortFunc(list, func(a, b *Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}

// Decode reads what Encode wrote. Bytes of another layout, and damaged ones, are
// Corrupt: fold the ledger anew.
func Decode(b []byte) (*Facts, error) {
	r, err := open(b)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read facts: %w", err)
	}
	f := &Facts{}
	f.ready()
	f.Count = r.int()
	f.Head = digest.Digest(r.string())
	f.Started, f.Tracked = r.string(), r.string()
	if at := r.int(); f.Count > 0 {
		f.Time = time.UnixMilli(at).UTC()
	}
	f.heads = r.names(f.Count)
	list := make([]Entry, r.length())
	for i := range list {
		r.value(reflect.ValueOf(&list[i]).Elem())
	}
	entry := func() *Entry {
		i := r.uint()
		if i >= uint64(len(list)) {
			r.fail("entry %d of %d", i, len(list))
			return nil
		}
		return &list[i]
	}
	for range r.length() {
		k := digest.Digest(r.string())
		f.ByKey[k] = entry()
	}
	for _, m := range []map[schemas.Ref]*Entry{f.Latest, f.Denied, f.Observed, f.Released, f.Suspended, f.Rollouts, f.WentBack} {
		for range r.length() {
			ref := r.ref()
			m[ref] = entry()
		}
	}
	for _, m := range []map[string]*Entry{f.Places, f.Left, f.Machines} {
		for range r.length() {
			name := r.string()
			m[name] = entry()
		}
	}
	for range r.length() {
		k := digest.Digest(r.string())
		for range r.length() {
			f.Others[k] = append(f.Others[k], entry())
		}
	}
	for range r.length() {
		k := digest.Digest(r.string())
		n := int(r.int())
		f.Failed[k] = Tries{N: n, Last: entry()}
	}
	for _, list := range []*[]*Entry{&f.Approvals, &f.Stuck} {
		for range r.length() {
			*list = append(*list, entry())
		}
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes too many", len(r.rest))
	}
	if r.err != nil {
		return nil, fault.New(fault.Corrupt, "read facts: %w", r.err)
	}
	return f, nil
}

// names are n digests, as they are.
func (r *decoder) names(n int64) [][32]byte {
	if n <= 0 || n > int64(len(r.rest)/32) {
		if n != 0 {
			r.fail("%s are more than they hold", plural.Of(n, "entry"))
		}
		return nil
	}
	out := make([][32]byte, n)
	for i := range out {
		r.rest = r.rest[copy(out[i][:], r.rest):]
	}
	return out
}

// bytes puts header, what values name, and values together.
func (w *encoder) bytes() []byte {
	body := append(w.tables(), w.out...)
	out := append([]byte(magic), make([]byte, 12)...)
	binary.BigEndian.PutUint64(out[len(magic):], layout)
	binary.BigEndian.PutUint32(out[len(magic)+8:], crc32.Checksum(body, castagnoli))
	return append(out, body...)
}

// open checks the header and reads what values name.
func open(b []byte) (*decoder, error) {
	if len(b) < len(magic)+12 || !bytes.HasPrefix(b, []byte(magic)) {
		return nil, fmt.Errorf("they are not facts")
	}
	if binary.BigEndian.Uint64(b[len(magic):]) != layout {
		return nil, fmt.Errorf("another version wrote them")
	}
	body := b[len(magic)+12:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(magic)+8:]) {
		return nil, fmt.Errorf("their checksum is wrong")
	}
	r := &decoder{keptFacts: &keptFacts{}, rest: body}
	r.keep()
	return r, r.err
}
