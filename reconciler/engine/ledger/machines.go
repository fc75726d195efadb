// Several machines write one ledger, and each has a store and a serving host of its own.
// Facts are the same for all of them; what a machine goes by is chosen from them.

package ledger

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// mostOthers is how many entries are kept beside the first under a key; mostMachines, on how
// many machines the newest release of a ref is known. Of more, the newest count.
const (
	mostOthers   = 16
	mostMachines = 64
)

// Under lists the entries that made what is under key: the first, and after it those that
// made other bytes, in the ledger's order.
func (f *Facts) Under(key digest.Digest) []*Entry {
	first := f.ByKey[key]
	if first == nil {
		return nil
	}
	return append([]*Entry{first}, f.Others[key]...)
}

// Made is every entry that made something under a key, in no order.
func (f *Facts) Made() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for e := range maps.Values(f.ByKey) {
			if !yield(e) {
				return
			}
		}
		for others := range maps.Values(f.Others) {
			for _, e := range others {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// Packages is every entry that packed ref, in no order.
func (f *Facts) Packages(ref schemas.Ref) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for e := range f.Made() {
			if e.Ref == ref && e.Package != nil && e.Action == Pack && !yield(e) {
				return
			}
		}
		if e := f.Latest[ref]; e != nil && e.Package != nil && f.ByKey[e.Key] != e {
			yield(e)
		}
	}
}

// PackageOf is the newest package of ref that has the model of that digest; nil: there is none.
func (f *Facts) PackageOf(ref schemas.Ref, model digest.Digest) (newest *Entry) {
	for e := range f.Packages(ref) {
		if e.Model != nil && e.Model.Artifact.Digest == model && (newest == nil || e.Seq > newest.Seq) {
			newest = e
		}
	}
	return newest
}

// Choose is f with e, one of those under its key, in the place of the first.
func (f *Facts) Choose(e *Entry) {
	all := f.Under(e.Key)
	f.ByKey[e.Key] = e
	f.Others[e.Key] = slices.DeleteFunc(all, func(other *Entry) bool { return other == e })
}

// other keeps e, a duplicate, where it made other bytes than those before it.
func (f *Facts) other(e *Entry) {
	if slices.ContainsFunc(f.Under(e.Key), func(was *Entry) bool { return was.sameBytes(e) }) {
		return
	}
	was := f.Others[e.Key]
	if len(was) >= mostOthers {
		was = was[len(was)-mostOthers+1:]
	}
	f.Others[e.Key] = append(slices.Clone(was), e)
}

// sameBytes tells whether e and other made the very same.
func (e *Entry) sameBytes(other *Entry) bool {
	same := func(a, b Output) bool { return a.As == b.As && a.Digest == b.Digest }
	if !slices.EqualFunc(e.Outputs, other.Outputs, same) || (e.Model == nil) != (other.Model == nil) {
		return false
	}
	if p, q := e.Package, other.Package; (p == nil) != (q == nil) || p != nil && p.Digest != q.Digest {
		return false
	}
	a, b := e.Model, other.Model
	return a == nil || a.Artifact.Digest == b.Artifact.Digest && a.Signature == b.Signature && a.Provenance == b.Provenance
}

// On is the newest deploy or retire of ref on a machine; where it has done neither, or the
// newest of all does not say where it was, that one.
func (f *Facts) On(machine string, ref schemas.Ref) *Entry {
	last := f.Latest[ref]
	if last == nil || last.Machine == "" {
		return last
	}
	if own := f.Machines[machine+" "+ref.String()]; own != nil {
		return own
	}
	return last
}

// Standing is the deploy of ref under key that stands on a machine: the newest of all, which
// every machine is to come to, or else that machine's own; nil: there is none.
func (f *Facts) Standing(machine string, ref schemas.Ref, key digest.Digest) *Entry {
	for _, e := range []*Entry{f.Latest[ref], f.On(machine, ref)} {
		if e != nil && e.Action == Deploy && e.Key == key {
			return e
		}
	}
	return nil
}

// Stand lets e be what is deployed under its ref, on every machine.
func (f *Facts) Stand(e *Entry) {
	f.Latest[e.Ref] = e
	maps.DeleteFunc(f.Machines, func(_ string, was *Entry) bool { return was.Ref == e.Ref })
}

// onMachine notes where e was done.
func (f *Facts) onMachine(e *Entry) {
	if e.Machine == "" {
		return
	}
	name := e.Machine + " " + e.Ref.String()
	f.Machines[name] = e
	var oldest *Entry
	n := 0
	for at, was := range f.Machines {
		if !strings.HasSuffix(at, " "+e.Ref.String()) {
			continue
		}
		if n++; oldest == nil || was.Seq < oldest.Seq {
			oldest = was
		}
	}
	if n > mostMachines {
		delete(f.Machines, oldest.Machine+" "+oldest.Ref.String())
	}
}
