// What states hold of identities, buckets and their policies, and which policy is whose.

package access

import (
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
)

// source is a policy and where it stands. Rules is nil where its text cannot be read.
type source struct {
	address string
	rules   []statement
	unsure  bool // whose it is cannot be told for sure: what it denies may hold for another
}

// identity is a role or a user. Without an ARN it is in no state, and known by what is attached to it.
type identity struct {
	kind, name   string // kind is role or user
	arn, address string
	stack        string
	policies     []source
	boundedBy    string // the ARN of its boundary
	boundary     *source
}

// label is how a report names it.
func (i *identity) label() string {
	return cmp.Or(i.arn, i.address, i.kind+" "+i.name)
}

// account is the account of an ARN; "" where it names none.
func account(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 6 || len(parts[4]) != 12 {
		return ""
	}
	return parts[4]
}

// World is all that states hold of identities and buckets.
type World struct {
	identities []*identity
	documents  map[string][]source // managed policies, by ARN
	buckets    map[string][]source // policies of buckets
	older      map[string][]source // those that buckets show themselves, for where buckets has none
	attached   []attachment
	unknown    []string
}

// attachment is a policy that is given to an identity, mostly by name: a text of its own, or a managed one's ARN.
type attachment struct {
	address, stack string
	kind, name     string
	to             *identity // nil where it is by name
	own            *source
	managed        string
}

type resource struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	Values  map[string]any `json:"values"`

	stack string
}

// at is where it stands: its address, after its stack where there are several.
func (r resource) at() string { return strings.TrimSpace(r.stack + " " + r.Address) }

func (r resource) text(name string) string { s, _ := r.Values[name].(string); return s }

type module struct {
	Resources []resource `json:"resources"`
	Children  []module   `json:"child_modules"`
}

// Add reads the state that a plan was made against, as `terraform show -json` prints it. Stack is named with
// the addresses of its resources; it may be empty where there is no other.
func (w *World) Add(stack string, plan []byte) error {
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
		w.documents, w.buckets, w.older = map[string][]source{}, map[string][]source{}, map[string][]source{}
	}
	w.module(stack, doc.Prior.Values.Root)
	return nil
}

func (w *World) module(stack string, m module) {
	for _, r := range m.Resources {
		if r.stack = stack; r.Mode != "data" {
			w.resource(r)
		}
	}
	for _, child := range m.Children {
		w.module(stack, child)
	}
}

// notRead are kinds of resources that can let somebody read, and are not judged.
var notRead = []string{
	"aws_iam_group_policy", "aws_iam_group_policy_attachment", "aws_iam_policy_attachment", "aws_iam_group_membership", "aws_iam_user_group_membership",
	"aws_s3_bucket_acl", "aws_s3_object_acl", "aws_s3_access_point", "aws_s3control_access_point_policy", "aws_s3control_multi_region_access_point_policy",
	"aws_s3control_access_grant", "aws_ssoadmin_managed_policy_attachment", "aws_ssoadmin_permission_set_inline_policy", "aws_ssoadmin_customer_managed_policy_attachment",
}

func (w *World) resource(r resource) {
	give := func(kind string) {
		a := attachment{address: r.at(), stack: r.stack, kind: kind, name: r.text(kind), managed: r.text("policy_arn")}
		if a.managed == "" {
			own := w.readPolicy(r.at(), r.text("policy"))
			a.own = &own
		}
		w.attached = append(w.attached, a)
	}
	switch r.Type {
	case "aws_iam_role":
		w.identity(r, "role")
	case "aws_iam_user":
		w.identity(r, "user")
	case "aws_iam_policy":
		w.documents[r.text("arn")] = append(w.documents[r.text("arn")], w.readPolicy(r.at(), r.text("policy")))
	case "aws_iam_role_policy", "aws_iam_role_policy_attachment":
		give("role")
	case "aws_iam_user_policy", "aws_iam_user_policy_attachment":
		give("user")
	case "aws_s3_bucket_policy":
		w.buckets[r.text("bucket")] = append(w.buckets[r.text("bucket")], w.readPolicy(r.at(), r.text("policy")))
	case "aws_s3_bucket":
		if text := r.text("policy"); text != "" {
			w.older[r.text("bucket")] = append(w.older[r.text("bucket")], w.readPolicy(r.at(), text))
		}
		if acl := r.text("acl"); acl != "" && acl != "private" {
			w.note(r.at(), "its acl "+acl+" is not read by this report")
		}
	default:
		if slices.Contains(notRead, r.Type) {
			w.note(r.at(), "not read by this report")
		}
	}
}

func (w *World) identity(r resource, kind string) {
	i := &identity{kind: kind, name: r.text("name"), arn: r.text("arn"), address: r.at(), stack: r.stack, boundedBy: r.text("permissions_boundary")}
	inline, _ := r.Values["inline_policy"].([]any)
	for _, one := range inline {
		if block, is := one.(map[string]any); is {
			own, _ := block["policy"].(string)
			i.policies = append(i.policies, w.readPolicy(r.at(), own))
		}
	}
	managed, _ := r.Values["managed_policy_arns"].([]any)
	for _, arn := range managed {
		if arn, is := arn.(string); is {
			w.attached = append(w.attached, attachment{address: r.at(), to: i, managed: arn})
		}
	}
	w.identities = append(w.identities, i)
}

// readPolicy reads a policy. One that cannot be read is noted.
func (w *World) readPolicy(address, text string) source {
	rules, err := parse(text)
	if err != nil {
		w.note(address, "its policy cannot be read")
	}
	return source{address: address, rules: rules}
}

func (w *World) note(address, what string) { w.unknown = append(w.unknown, address+": "+what) }

// attach gives identities and buckets the policies that are theirs.
func (w *World) attach() {
	for _, a := range w.attached {
		w.attachTo(a)
	}
	w.attached = nil
	for _, i := range w.identities {
		if i.boundedBy != "" {
			i.boundary = w.bound(i)
		}
	}
	for bucket, shown := range w.older {
		if len(w.buckets[bucket]) == 0 {
			w.buckets[bucket] = shown
		}
	}
	for bucket, all := range w.buckets {
		var one bool
		if w.buckets[bucket], one = settled(all); !one {
			w.note("bucket "+bucket, "states hold several policies of it, and what they deny was not taken for certain")
		}
	}
}

// attachTo gives an attachment's policy to whom it is for.
func (w *World) attachTo(a attachment) {
	documents, one := w.documents[a.managed], true
	if a.own != nil {
		documents = []source{*a.own}
	}
	if len(documents) == 0 {
		w.note(a.address, "attaches "+a.managed+", whose text is in no state")
		return
	}
	if documents, one = settled(documents); !one {
		w.note(a.address, "attaches "+a.managed+", of which states hold several texts")
	}
	to, one := w.whose(a)
	if !one {
		documents = doubted(documents)
		w.note(a.address, "is for one of several of the name "+a.name+": it was taken to let each of them read, and what it denies was not taken for certain")
	}
	for _, i := range to {
		i.policies = append(i.policies, documents...)
	}
}

// whose are those whom an attachment is for, and whether that is one: of its stack, or else of another. One that is in
// no state is taken into the report by its name.
func (w *World) whose(a attachment) (out []*identity, one bool) {
	if a.to != nil {
		return []*identity{a.to}, true
	}
	var here, elsewhere []*identity
	for _, i := range w.identities {
		of := account(a.managed) // who has a managed policy is of its account
		switch {
		case i.kind != a.kind || i.name != a.name || of != "" && i.arn != "" && account(i.arn) != of:
		case i.stack == a.stack:
			here = append(here, i)
		case i.arn != "":
			elsewhere = append(elsewhere, i)
		}
	}
	if len(here) == 0 {
		here = elsewhere
	}
	if len(here) == 0 {
		i := &identity{kind: a.kind, name: a.name, stack: a.stack}
		w.identities = append(w.identities, i)
		w.note(i.label(), "is in no state, and was taken for one without a boundary and without policies but those of "+a.address)
		return []*identity{i}, true
	}
	for _, i := range elsewhere {
		if i.arn == here[0].arn && !slices.Contains(here, i) {
			here = append(here, i)
		}
	}
	return here, !slices.ContainsFunc(here, func(i *identity) bool { return i.arn != here[0].arn })
}

// bound is an identity's boundary; nil, which allows all, where its text is not known.
func (w *World) bound(i *identity) *source {
	documents, one := settled(w.documents[i.boundedBy])
	is := ""
	switch {
	case len(documents) == 0:
		is = "is in no state"
	case !one:
		is = "has several texts in states"
	case documents[0].rules == nil:
		is = "cannot be read"
	default:
		return &documents[0]
	}
	w.note(cmp.Or(i.address, i.label()), "its boundary "+i.boundedBy+" "+is+", and was taken to allow all")
	return nil
}

// settled are texts of one policy, as states hold them, each once: where there are several, each is doubted.
func settled(all []source) (out []source, one bool) {
	for _, s := range all {
		if !slices.ContainsFunc(out, func(o source) bool { return reflect.DeepEqual(o.rules, s.rules) }) {
			out = append(out, s)
		}
	}
	if len(out) > 1 {
		return doubted(out), false
	}
	return out, true
}

func doubted(all []source) (out []source) {
	for _, s := range all {
		s.unsure = true
		out = append(out, s)
	}
	return out
}
