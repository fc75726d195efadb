// Package access tells who can read what, by the policies that Terraform's state holds: which
// identities of AWS may read the objects that datasets and models are kept as. It
// evaluates policies as AWS does for one account, as far as a text shows it; where more
// would have to be known, it says so, and takes an identity for one that can read rather
// than for one that cannot.
package access

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Object is data or a model, and where it is kept: as bucket/key, or bucket/prefix* for all
// below it.
type Object struct {
	Ref    schemas.Ref   `json:"ref"`
	Digest digest.Digest `json:"digest,omitempty"`
	At     []string      `json:"at"`
}

// Part is how much of an object may be read.
type Part string

const (
	All  Part = "all"
	Some Part = "some" // a part of it, or under a condition that could not be judged
	none Part = ""
)

// Reader is an identity that can read an object.
type Reader struct {
	Identity   string   `json:"identity"`             // its ARN; "*" is everybody
	Address    string   `json:"address,omitempty"`    // of Terraform; none: only a bucket's policy names it
	Part       Part     `json:"reads"`                // all or some
	By         []string `json:"by"`                   // addresses of the policies that allow it
	Conditions []string `json:"conditions,omitempty"` // the keys of conditions that they set
}

// Readable is an object with who can read it.
type Readable struct {
	Object
	Readers []Reader `json:"readers"`
}

// Report is who can read what. Unknown is what was not judged, by address.
type Report struct {
	Objects []Readable `json:"objects"`
	Unknown []string   `json:"unknown,omitempty"`
}

// Report tells who can read each of the objects.
func (w *World) Report(objects []Object) Report {
	w.attach()
	out := Report{Objects: []Readable{}}
	for _, o := range objects {
		one := Readable{Object: o, Readers: []Reader{}}
		for _, i := range w.identities {
			if r, can := w.reads(i, o.At); can {
				one.Readers = append(one.Readers, r)
			}
		}
		one.Readers = append(one.Readers, w.others(o.At)...)
		slices.SortFunc(one.Readers, func(a, b Reader) int {
			return cmp.Or(cmp.Compare(a.Identity, b.Identity), cmp.Compare(a.Address, b.Address))
		})
		out.Objects = append(out.Objects, one)
	}
	slices.SortFunc(out.Objects, func(a, b Readable) int { return a.Ref.Compare(b.Ref) })
	out.Unknown = slices.Clone(w.unknown)
	slices.Sort(out.Unknown)
	out.Unknown = slices.Compact(out.Unknown)
	return out
}

// reads is what an identity can read of what lies at these places.
func (w *World) reads(i *identity, places []string) (Reader, bool) {
	found := Reader{Identity: i.label(), Address: i.address}
	parts := make([]Part, len(places))
	by, conditions := map[string]bool{}, map[string]bool{}
	for n, place := range places {
		bucket, _, _ := strings.Cut(place, "/")
		own, shared := verdict{}, verdict{}
		for _, p := range i.policies {
			own.add(p, place, nil)
		}
		for _, p := range w.buckets[bucket] {
			shared.add(p, place, i)
		}
		may := own.allow
		if i.boundary != nil {
			most := verdict{}
			most.add(*i.boundary, place, nil)
			may = less(may, most.part())
		}
		may = more(may, shared.allow) // a bucket may let in an identity of its account by itself
		may = verdict{allow: may, deny: more(own.deny, shared.deny)}.part()
		if parts[n] = may; may != none {
			for _, v := range []verdict{own, shared} {
				for _, address := range v.by {
					by[address] = true
				}
				for _, key := range v.conditions {
					conditions[key] = true
				}
			}
		}
	}
	found.Part = whole(parts)
	found.By, found.Conditions = slices.Sorted(maps.Keys(by)), slices.Sorted(maps.Keys(conditions))
	return found, found.Part != none
}

// whole is what of an object may be read, whose places may be read so far.
func whole(parts []Part) Part {
	all := len(parts) > 0
	some := false
	for _, p := range parts {
		all = all && p == All
		some = some || p != none
	}
	switch {
	case all:
		return All
	case some:
		return Some
	default:
		return none
	}
}

// others are those whom policies of buckets let in and no state has. Whom one keeps its bucket for is noted: what else
// lets them in is in no state.
func (w *World) others(places []string) (out []Reader) {
	names := map[string]bool{}
	for _, place := range places {
		bucket, _, _ := strings.Cut(place, "/")
		for _, p := range w.buckets[bucket] {
			for _, s := range p.rules {
				switch {
				case s.allow && s.notPrincipals:
					names["*"] = true
				case s.notPrincipals && s.part(place) != none && s.reads():
					w.spared(p.address, s.principals)
					fallthrough
				case s.allow:
					for _, name := range s.principals {
						names[name] = true
					}
				}
			}
		}
	}
	for _, i := range w.identities {
		delete(names, i.arn)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if r, can := w.reads(&identity{arn: name}, places); can {
			out = append(out, r)
		}
	}
	return out
}

func (w *World) spared(address string, names []string) {
	for _, name := range names {
		if !slices.ContainsFunc(w.identities, func(i *identity) bool { return i.arn == name }) {
			w.note(address, "does not deny "+name+", whose own policies are in no state")
		}
	}
}
