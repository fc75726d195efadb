// Package access tells who can read what, by the policies that Terraform's state holds: which
// identities of AWS may read the objects that datasets and models are kept as. It
// evaluates policies as AWS does for one account, as far as a text shows it; where more
// would have to be known, it says so, and takes an identity for one that can read rather
// than for one that cannot.
package access

import (
	"cmp"
	"encoding/json"
	"errors"
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

// source is a policy and where it stands.
type source struct {
	address string
	rules   []statement
}

// identity is a role or a user.
type identity struct {
	arn, name, address string
	policies           []source
	boundary           *source
	bounded            bool // by a boundary, of which boundary is the text where it is known
}

// World is all that states hold of identities and buckets.
type World struct {
	identities []*identity
	documents  map[string]source   // managed policies, by ARN
	buckets    map[string][]source // policies of buckets
	attached   []attachment
	unknown    []string
}

// attachment is a policy that is given to an identity by name.
type attachment struct{ address, identity, policy string }

type resource struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	Values  map[string]any `json:"values"`
}

type module struct {
	Resources []resource `json:"resources"`
	Children  []module   `json:"child_modules"`
}

// Add reads the state that a plan was made against, as `terraform show -json` prints it.
func (w *World) Add(plan []byte) error {
	var doc struct {
		Prior struct {
			Values struct {
				Root module `json:"root_module"`
			} `json:"values"`
		} `json:"prior_state"`
	}
	if json.Unmarshal(plan, &doc) != nil {
		return errors.New("the state cannot be read") // the decoder's message may quote a value
	}
	if w.documents == nil {
		w.documents, w.buckets = map[string]source{}, map[string][]source{}
	}
	w.module(doc.Prior.Values.Root)
	return nil
}

func (w *World) module(m module) {
	for _, r := range m.Resources {
		if r.Mode != "data" {
			w.resource(r)
		}
	}
	for _, child := range m.Children {
		w.module(child)
	}
}

func (w *World) resource(r resource) {
	text := func(name string) string { s, _ := r.Values[name].(string); return s }
	switch r.Type {
	case "aws_iam_role", "aws_iam_user":
		i := &identity{arn: text("arn"), name: text("name"), address: r.Address}
		i.bounded = text("permissions_boundary") != ""
		if i.bounded {
			i.boundary = &source{address: text("permissions_boundary")}
		}
		inline, _ := r.Values["inline_policy"].([]any)
		for _, one := range inline {
			if block, is := one.(map[string]any); is {
				own, _ := block["policy"].(string)
				i.policies = append(i.policies, w.readPolicy(r.Address, own))
			}
		}
		managed, _ := r.Values["managed_policy_arns"].([]any)
		for _, arn := range managed {
			if arn, is := arn.(string); is {
				w.attached = append(w.attached, attachment{r.Address, i.name, arn})
			}
		}
		w.identities = append(w.identities, i)
	case "aws_iam_policy":
		w.documents[text("arn")] = w.readPolicy(r.Address, text("policy"))
	case "aws_iam_role_policy", "aws_iam_user_policy":
		w.documents[r.Address] = w.readPolicy(r.Address, text("policy"))
		w.attached = append(w.attached, attachment{r.Address, cmp.Or(text("role"), text("user")), r.Address})
	case "aws_iam_role_policy_attachment", "aws_iam_user_policy_attachment":
		w.attached = append(w.attached, attachment{r.Address, cmp.Or(text("role"), text("user")), text("policy_arn")})
	case "aws_s3_bucket_policy":
		w.buckets[text("bucket")] = append(w.buckets[text("bucket")], w.readPolicy(r.Address, text("policy")))
	case "aws_iam_group_policy", "aws_iam_group_policy_attachment", "aws_iam_policy_attachment", "aws_s3_bucket_acl", "aws_s3_access_point", "aws_ssoadmin_managed_policy_attachment",
		"aws_ssoadmin_permission_set_inline_policy", "aws_ssoadmin_customer_managed_policy_attachment":
		w.unknown = append(w.unknown, r.Address+": not read by this report")
	}
}

// readPolicy reads a policy. One that cannot be read is noted.
func (w *World) readPolicy(address, text string) source {
	rules, err := parse(text)
	if err != nil {
		w.unknown = append(w.unknown, address+": its policy cannot be read")
	}
	return source{address, rules}
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

// attach gives identities the policies that they have by name.
func (w *World) attach() {
	for _, a := range w.attached {
		document, known := w.documents[a.policy]
		if !known {
			w.unknown = append(w.unknown, a.address+": attaches "+a.policy+", whose text is in no state")
			continue
		}
		for _, i := range w.identities {
			if i.name == a.identity {
				i.policies = append(i.policies, document)
			}
		}
	}
	w.attached = nil
	for _, i := range w.identities {
		if i.bounded && i.boundary != nil && i.boundary.rules == nil {
			document, known := w.documents[i.boundary.address]
			if !known {
				w.unknown = append(w.unknown, i.address+": its boundary "+i.boundary.address+" is in no state, and was taken to allow all")
				i.boundary = nil
				continue
			}
			i.boundary = &document
		}
	}
}

// reads is what an identity can read of what lies at these places.
func (w *World) reads(i *identity, places []string) (Reader, bool) {
	found := Reader{Identity: cmp.Or(i.arn, i.address), Address: i.address}
	parts := make([]Part, len(places))
	by, conditions := map[string]bool{}, map[string]bool{}
	for n, place := range places {
		bucket, _, _ := strings.Cut(place, "/")
		own, shared := verdict{}, verdict{}
		for _, p := range i.policies {
			own.add(p, place, "")
		}
		for _, p := range w.buckets[bucket] {
			shared.add(p, place, cmp.Or(i.arn, i.address))
		}
		may := own.allow
		if i.boundary != nil {
			most := verdict{}
			most.add(*i.boundary, place, "")
			may = less(may, most.part())
		}
		may = more(may, shared.allow) // a bucket may let in an identity of its account by itself
		denied := more(own.deny, shared.deny)
		if denied == All && !own.unsure && !shared.unsure {
			may = none
		} else if denied != none {
			may = less(may, Some)
		}
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

// others are those whom policies of buckets let in and no state has.
func (w *World) others(places []string) (out []Reader) {
	names := map[string]bool{}
	for _, place := range places {
		bucket, _, _ := strings.Cut(place, "/")
		for _, p := range w.buckets[bucket] {
			for _, s := range p.rules {
				for _, name := range s.principals {
					names[name] = s.allow || names[name]
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
