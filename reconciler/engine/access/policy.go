// Policies as AWS writes them, and what one says of reading an object.

package access

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

const (
	getObject = "s3:getobject"
	objects   = "arn:aws:s3:::"
)

// statement is one, with its single values as lists.
type statement struct {
	allow                   bool
	actions, notActions     []string
	resources, notResources []string
	principals              []string // of a bucket's policy; "*" is everybody
	notPrincipals           bool
	conditions              []string // the keys
}

// parse reads a policy.
func parse(text string) ([]statement, error) {
	var doc struct {
		Statement many[map[string]json.RawMessage]
	}
	if json.Unmarshal([]byte(text), &doc) != nil {
		return nil, errors.New("it is not a policy")
	}
	out := []statement{}
	for _, raw := range doc.Statement {
		var s statement
		var effect string
		for name, into := range map[string]any{
			"Effect": &effect, "Action": (*many[string])(&s.actions), "NotAction": (*many[string])(&s.notActions),
			"Resource": (*many[string])(&s.resources), "NotResource": (*many[string])(&s.notResources),
		} {
			if value, given := raw[name]; given && json.Unmarshal(value, into) != nil {
				return nil, errors.New("it is not a policy")
			}
		}
		s.allow = strings.EqualFold(effect, "allow")
		if !s.allow && !strings.EqualFold(effect, "deny") {
			return nil, errors.New("it is not a policy")
		}
		var named bool
		_, s.notPrincipals = raw["NotPrincipal"]
		if s.principals, named = principals(cmp.Or(string(raw["Principal"]), string(raw["NotPrincipal"]))); !named {
			return nil, errors.New("it is not a policy")
		}
		var conditions map[string]map[string]json.RawMessage
		if value, given := raw["Condition"]; given && json.Unmarshal(value, &conditions) != nil {
			s.conditions = []string{"a condition that cannot be read"}
		}
		for _, keys := range conditions {
			s.conditions = slices.AppendSeq(s.conditions, maps.Keys(keys))
		}
		slices.Sort(s.conditions)
		out = append(out, s)
	}
	return out, nil
}

// many is a list that may be written as its single value.
type many[T any] []T

func (m *many[T]) UnmarshalJSON(raw []byte) error {
	var all []T
	if json.Unmarshal(raw, &all) == nil {
		*m = all
		return nil
	}
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*m = []T{one}
	return nil
}

// principals are the names of who is let in, of whichever kind, and whether they could be read.
func principals(raw string) (out []string, read bool) {
	var everybody string
	var kinds map[string]many[string]
	switch {
	case raw == "":
		return nil, true
	case json.Unmarshal([]byte(raw), &everybody) == nil:
		return []string{everybody}, everybody != ""
	case json.Unmarshal([]byte(raw), &kinds) != nil:
		return nil, false
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, kinds[kind]...)
	}
	return out, true
}

// verdict is what policies say of reading one place. What they deny under a condition, they deny some of.
type verdict struct {
	allow, deny Part
	by          []string
	conditions  []string
}

// part is what is allowed and not denied.
func (v verdict) part() Part {
	switch v.deny {
	case All:
		return none
	case Some:
		return less(v.allow, Some)
	default:
		return v.allow
	}
}

// add hears a policy; who is asked for where it is a bucket's.
func (v *verdict) add(p source, place string, who *identity) {
	for _, s := range p.rules {
		part := s.part(place)
		if who != nil {
			part = less(part, s.of(who))
		}
		if part == none || !s.reads() {
			continue
		}
		if len(s.conditions) > 0 || p.unsure {
			part = Some
		}
		if !s.allow {
			v.deny = more(v.deny, part)
			continue
		}
		v.allow = more(v.allow, part)
		v.conditions = append(v.conditions, s.conditions...)
		if !slices.Contains(v.by, p.address) {
			v.by = append(v.by, p.address)
		}
	}
}

func (s statement) reads() bool {
	says := func(actions []string) bool {
		return slices.ContainsFunc(actions, func(a string) bool { return glob(strings.ToLower(a), getObject) })
	}
	if s.notActions != nil {
		return !says(s.notActions)
	}
	return says(s.actions)
}

// of is how far a bucket's statement is about an identity: by its name, as one of its account, or as everybody. Some: it
// cannot be told, or it is about some of its sessions.
func (s statement) of(who *identity) (out Part) {
	for _, p := range s.principals {
		switch {
		case p == "*" || p == who.arn:
			out = All
		case inAccount(p, who):
			if out = more(out, Some); !s.notPrincipals { // who spares an account may spare its root alone
				out = All
			}
		case maybe(p, who):
			out = more(out, Some)
		}
	}
	if !s.notPrincipals {
		return out
	}
	return map[Part]Part{All: none, Some: Some, none: All}[out]
}

// wholeAccount is the account that a principal is all of; "" where it is not a whole account.
func wholeAccount(p string) string {
	if len(p) == 12 && strings.Trim(p, "0123456789") == "" {
		return p
	}
	if strings.HasSuffix(p, ":root") {
		return account(p)
	}
	return ""
}

func inAccount(p string, who *identity) bool {
	of := wholeAccount(p)
	return of != "" && (of == account(who.arn) || of == who.arn)
}

// maybe tells whether a principal may be an identity: a session of it, or one of an account that is not known.
func maybe(p string, who *identity) bool {
	if who.arn == "" {
		return wholeAccount(p) != "" || strings.HasSuffix(p, "/"+who.name)
	}
	_, session, is := strings.Cut(p, ":assumed-role/")
	name := who.arn[strings.LastIndex(who.arn, "/")+1:]
	return is && account(p) == account(who.arn) && strings.Contains(who.arn, ":role/") && strings.HasPrefix(session, name+"/")
}

// part is how much of a place a statement is about.
func (s statement) part(place string) Part {
	cover := func(patterns []string) (out Part) {
		for _, p := range patterns {
			out = more(out, covers(p, objects+place))
		}
		return out
	}
	if s.notResources == nil {
		return cover(s.resources)
	}
	switch cover(s.notResources) {
	case All:
		return none
	case Some:
		return Some
	default:
		return All
	}
}

// covers is how much of a place a pattern takes in. A place that ends in * is all below it.
func covers(pattern, place string) Part {
	filled, variable := withoutVariables(anyPartition(pattern))
	prefix, below := strings.CutSuffix(place, "*")
	switch {
	case below && !begins(filled, prefix), !below && !glob(filled, place):
		return none
	case variable, below && !all(filled, prefix):
		return Some
	default:
		return All
	}
}

// anyPartition is a pattern as it would be in the partition aws: those of China and of the US Government are written in
// the same way, and nobody reads across them.
func anyPartition(pattern string) string {
	rest, is := strings.CutPrefix(pattern, "arn:aws-")
	if !is {
		return pattern
	}
	partition, rest, _ := strings.Cut(rest, ":")
	if strings.Contains(partition, "*") {
		return "arn:aws*:" + rest
	}
	return "arn:aws:" + rest
}

// withoutVariables puts a star for each of a pattern's variables, such as ${aws:username}.
func withoutVariables(pattern string) (filled string, any bool) {
	for {
		before, rest, found := strings.Cut(pattern, "${")
		if !found {
			return filled + pattern, any
		}
		_, after, closed := strings.Cut(rest, "}")
		if !closed {
			return filled + pattern, any
		}
		filled, pattern, any = filled+before+"*", after, true
	}
}

// glob tells whether a text is one of a pattern's, where * is any text and ? any character.
func glob(pattern, text string) bool {
	return slices.Contains(ahead(pattern, text), len(pattern))
}

// begins tells whether a text of a pattern's begins so.
func begins(pattern, text string) bool { return len(ahead(pattern, text)) > 0 }

// all tells whether a pattern takes in whatever begins so.
func all(pattern, prefix string) bool {
	return slices.ContainsFunc(ahead(pattern, prefix), func(at int) bool {
		return at < len(pattern) && strings.Trim(pattern[at:], "*") == ""
	})
}

// ahead are the places in a pattern that a text can have led to.
func ahead(pattern, text string) []int {
	at := closure(pattern, []int{0})
	for i := range len(text) {
		var next []int
		for _, p := range at {
			switch {
			case p == len(pattern):
			case pattern[p] == '*':
				next = append(next, p)
			case pattern[p] == '?' || pattern[p] == text[i]:
				next = append(next, p+1)
			}
		}
		if at = closure(pattern, next); len(at) == 0 {
			return nil
		}
	}
	return at
}

// closure adds the places behind stars, which may be of no text.
func closure(pattern string, at []int) []int {
	for i := 0; i < len(at); i++ {
		if p := at[i]; p < len(pattern) && pattern[p] == '*' {
			at = append(at, p+1)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

func rank(p Part) int { return map[Part]int{none: 0, Some: 1, All: 2}[p] }

func more(a, b Part) Part {
	if rank(a) > rank(b) {
		return a
	}
	return b
}

func less(a, b Part) Part {
	if rank(a) < rank(b) {
		return a
	}
	return b
}
