// What a digest names: anything that the ledger ever recorded, also what was replaced,
// renamed or retired since.

package lineage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Digest explains what is named by a digest, or by its first digits: a model, a bundle, an
// output, a file of one, a key, a plan, an entry.
func Digest(f *ledger.Facts, name string) (Node, error) { return Record{Facts: f}.Digest(name) }

// Digest explains what is named by a digest, or by its first digits: a model, a bundle, an
// output, a file of one, a key, a plan, an entry.
func (r Record) Digest(name string) (Node, error) {
	name = strings.TrimPrefix(name, "sha256:")
	if len(name) < 6 || strings.Trim(name, "0123456789abcdef") != "" {
		return Node{}, fault.WithHint(fault.New(fault.Invalid, "explain %q: neither a ref nor a digest", name), "give kind/name, or at least six hex digits of a digest")
	}
	x := index(r)
	found := map[digest.Digest]bool{}
	for _, names := range []func(func(digest.Digest)){x.names, x.weakNames} {
		names(func(d digest.Digest) {
			if strings.HasPrefix(d.Hex(), name) {
				found[d] = true
			}
		})
		if len(found) > 0 {
			break
		}
	}
	switch len(found) {
	case 0:
		return Node{}, fault.WithHint(fault.New(fault.Missing, "explain %s: the ledger names nothing so", name), "vishwa log --format json lists every digest")
	case 1:
		for d := range found {
			return x.what(d), nil
		}
	}
	var all []string
	for d := range found {
		all = append(all, d.Short())
	}
	slices.Sort(all)
	return Node{}, fault.WithHint(fault.New(fault.Invalid, "explain %s: %d digests begin so: %s", name, len(all), strings.Join(all, ", ")), "give more digits")
}

// names are the digests of what was made, and weakNames those of what it was made with:
// they are asked for only where nothing was made under the name.
func (x indexed) names(yield func(digest.Digest)) {
	for d := range x.named {
		yield(d)
	}
}

func (x indexed) weakNames(yield func(digest.Digest)) {
	for d := range x.files {
		yield(d)
	}
	for d := range x.plans {
		yield(d)
	}
	for seq := range x.Facts.Count {
		if d, ok := x.Facts.At(seq); ok {
			yield(d)
		}
	}
}

// what is the node of the thing that d names.
func (x indexed) what(d digest.Digest) Node {
	if e := x.named[d]; e != nil {
		return x.whole(e)
	}
	if e := x.files[d]; e != nil {
		n := x.whole(e)
		n.Facts = append([]Fact{{"asked for", "its file " + fileOf(e, d)}}, n.Facts...)
		return n
	}
	if done := x.plans[d]; len(done) > 0 {
		n := Node{What: "plan", Digest: d}
		n.addFact("recorded", fmt.Sprintf("entries %d to %d", done[0].Seq, done[len(done)-1].Seq))
		for _, e := range done {
			n.From = append(n.From, x.entry(e))
		}
		return n
	}
	for _, e := range x.all {
		if bundle, ok := x.Facts.At(e.Seq); ok && bundle == d {
			return x.whole(e)
		}
	}
	return Node{What: "entry", Digest: d}
}

func (x indexed) whole(e *ledger.Entry) Node {
	n := x.entry(e)
	x.fate(&n, e.Ref, e)
	return n
}

func fileOf(e *ledger.Entry, d digest.Digest) string {
	for _, a := range e.Outputs {
		for _, f := range a.Files {
			if f.Digest == d {
				return f.Path
			}
		}
	}
	return ""
}

type indexed struct {
	Record
	all   []*ledger.Entry                   // oldest first; without the entries of the record, those that the facts hold
	named map[digest.Digest]*ledger.Entry   // what each digest was made by: the newest where several did, but never a duplicate
	made  map[digest.Digest][]*ledger.Entry // all that made each output, oldest first
	files map[digest.Digest]*ledger.Entry   // of what was made; the newest
	plans map[digest.Digest][]*ledger.Entry // what each plan did
	shown map[int64]bool                    // entries that are in the tree already, whole
}

func index(r Record) indexed {
	x := indexed{r, r.Entries, map[digest.Digest]*ledger.Entry{}, map[digest.Digest][]*ledger.Entry{}, map[digest.Digest]*ledger.Entry{},
		map[digest.Digest][]*ledger.Entry{}, map[int64]bool{}}
	if x.all == nil {
		x.all = held(r.Facts)
	}
	for _, e := range x.all {
		x.add(e)
	}
	for key, e := range r.Facts.ByKey { // of several that made one thing the facts say which counts
		x.named[key] = e
	}
	return x
}

// held are the entries that facts hold, oldest first.
func held(f *ledger.Facts) []*ledger.Entry {
	bySeq := map[int64]*ledger.Entry{}
	keep := func(e *ledger.Entry) { bySeq[e.Seq] = e }
	for e := range f.Made() {
		keep(e)
	}
	for _, m := range []map[schemas.Ref]*ledger.Entry{f.Latest, f.Denied, f.Released} {
		for _, e := range m {
			keep(e)
		}
	}
	for _, t := range f.Failed {
		keep(t.Last)
	}
	out := make([]*ledger.Entry, 0, len(bySeq))
	for _, seq := range slices.Sorted(maps.Keys(bySeq)) {
		out = append(out, bySeq[seq])
	}
	return out
}

// add notes what e names.
func (x indexed) add(e *ledger.Entry) {
	if e.Plan != "" && e.Action != ledger.Approve {
		x.plans[e.Plan] = append(x.plans[e.Plan], e)
	}
	made := e.Action != ledger.Fail && e.Action != ledger.Deny && e.Action != ledger.Cancel && e.Action != ledger.Observe && e.Action != ledger.Retry
	if e.Key != "" && (x.named[e.Key] == nil || made && e.Action != ledger.Retire) {
		x.named[e.Key] = e // of a key that nothing was made under, what was tried
	}
	if !made || e.Action == ledger.Deploy || e.Action == ledger.Pack || e.Action == ledger.Retire {
		if made && e.Package != nil {
			for _, d := range e.Package.Manifests() {
				if !e.Duplicate || x.named[d] == nil {
					x.named[d] = e
				}
			}
		}
		return // a deployment does not make the model that it serves, nor does a package
	}
	for _, a := range e.Outputs {
		x.made[a.Digest] = append(x.made[a.Digest], e)
		if stronger(e, x.named[a.Digest]) {
			x.named[a.Digest] = e
		}
		for _, f := range a.Files {
			if stronger(e, x.files[f.Digest]) {
				x.files[f.Digest] = e
			}
		}
	}
	if e.Model != nil {
		for _, d := range []digest.Digest{e.Model.Signature, e.Model.Provenance} {
			if stronger(e, x.named[d]) {
				x.named[d] = e
			}
		}
	}
}

// stronger tells whether e, the newer one, tells better than was where the same bytes come
// from: a model's release does, before its training, and work done twice counts once.
func stronger(e, was *ledger.Entry) bool {
	if was == nil {
		return true
	}
	if releases := e.Action == ledger.Select; releases != (was.Action == ledger.Select) {
		return releases
	}
	return !e.Duplicate
}

// source is the entry that made d, which run read as its input name: one that was there
// before the run, and of several the one that is called so. Nil: the record has none.
func (x indexed) source(run *ledger.Entry, name string, d digest.Digest) (from *ledger.Entry) {
	called := func(e *ledger.Entry) bool { return e.Ref.Name == name }
	for _, e := range x.made[d] {
		if e.Seq >= run.Seq {
			break
		}
		if from == nil || called(e) && !called(from) || called(e) == called(from) && stronger(e, from) {
			from = e
		}
	}
	return cmp.Or(from, x.named[d])
}

// isLatest tells whether e is the newest fact of its ref.
func (x indexed) isLatest(e *ledger.Entry) bool {
	last := x.Facts.Latest[e.Ref]
	return last != nil && last.Seq == e.Seq
}
