// Drift: what somebody did by hand to what serves. Each object is held against what the server would make of
// its declaration now (a dry run), and against what others have set in it besides.

package owned

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
)

// Settled remembers as what each object of a name was found to be as it is declared, so that the cluster is not asked again what it
// would make of it. What a cluster makes of an object depends on more than on that: on its defaults and its webhooks, of which nobody
// is told. So an answer counts for that version of the server alone, and for a day. Its zero value knows of none.
type Settled struct {
	mu    sync.Mutex
	at    map[string]settled // by the object's uid
	fresh bool               // more is known than was kept
}

// settled is an object that was as it is declared.
type settled struct {
	Form digest.Digest `json:"form"` // of what is declared of it, of what is there of that, and of which server says so
	At   int64         `json:"at"`   // when it was found so, in seconds
	// seen is what was declared, and the version that it had: the same need not be compared. It is not kept, as a cluster
	// that is restored counts again.
	seen string
}

// counts tells whether what was found is still believed. Not all objects of a cluster are asked about again at once.
func (s settled) counts(uid string, now time.Time) bool {
	var spread uint32
	for _, c := range []byte(uid) {
		spread = spread*31 + uint32(c)
	}
	age := now.Sub(time.Unix(s.At, 0))
	return age > -time.Hour && age < settledFor-time.Duration(spread%60)*settledFor/240
}

// settledFor is how long an object is believed to be as it was found, less up to a quarter.
const settledFor = 24 * time.Hour

// mostSettled is how many objects are remembered; a name has a few.
const mostSettled = 64

func (s *Settled) saw(uid, seen string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uid != "" && s.at[uid].seen == seen && s.at[uid].counts(uid, now)
}

// is tells whether an object of that form was found to be as it is declared.
func (s *Settled) is(uid string, as settled, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.at[uid]
	if uid == "" || !known || at.Form != as.Form || !at.counts(uid, now) {
		return false
	}
	as.At = at.At
	s.at[uid] = as
	return true
}

func (s *Settled) note(uid string, as settled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil || len(s.at) >= mostSettled {
		s.at = map[string]settled{}
	}
	s.at[uid], s.fresh = as, true
}

// Keep gives what is known for Recall, where that is more than it gave before; nil is nothing new.
func (s *Settled) Keep() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fresh {
		return nil
	}
	s.fresh = false
	raw, err := json.Marshal(s.at)
	if err != nil {
		return nil
	}
	return raw
}

// Recall is what Keep gave. What cannot be read is nothing.
func Recall(kept []byte) *Settled {
	s := &Settled{}
	if json.Unmarshal(kept, &s.at) != nil {
		s.at = nil
	}
	return s
}

// mostTold are the differences that are told.
const mostTold = 3

// Drift says what of the objects differs from what is declared; "" is nothing.
func (s *Settled) Drift(ctx context.Context, h Hand, all []Object) (string, error) {
	for _, o := range all {
		what := fmt.Sprintf("%s %s", Kinds[o.Resource.Name], o.Name)
		var live map[string]any
		err := h.Kube.Get(ctx, o.Resource, o.Name, &live)
		if fault.Of(err) == fault.Missing && err != nil {
			return "somebody deleted " + what, nil
		}
		if err != nil {
			return "", err
		}
		meta := metaAs(live)
		switch {
		case meta.Deleted != nil:
			return "somebody deleted " + what + ", and it is being removed", nil
		case meta.Labels[LabelOwner] != h.Owner:
			return what + " is not ours any more: its label " + LabelOwner + " was changed", nil
		case h.Given(meta):
			return what + " is " + given, nil
		}
		found, err := s.differs(ctx, h.Kube, o, live)
		if err != nil {
			return "", err
		}
		if n := len(found); n > 0 {
			text := strings.Join(found[:min(n, mostTold)], "; ")
			if n > mostTold {
				text += fmt.Sprintf("; and %d more", n-mostTold)
			}
			return "somebody changed " + what + ": " + text, nil
		}
	}
	return "", nil
}

// differs lists what of a live object is not as declared.
func (s *Settled) differs(ctx context.Context, c *kube.Client, o Object, live map[string]any) ([]string, error) {
	meta, _ := live["metadata"].(map[string]any)
	uid, _ := meta["uid"].(string)
	declared := sum(o.Body)
	now := c.Now()
	as := settled{seen: string(declared) + " " + version(live), At: now.Unix()}
	if s.saw(uid, as.seen, now) {
		return nil, nil
	}
	ours, found := owners(live)
	for _, field := range []string{"labels", "annotations"} {
		want, _ := metaOf(o.Body)[field].(map[string]any)
		has, _ := meta[field].(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if !reflect.DeepEqual(has[k], want[k]) {
				found = append(found, "metadata."+field+"."+k+" is another")
			}
		}
	}
	as.Form = sum([]any{declared, live["spec"], ours, c.ServerVersion(ctx)})
	if len(found) == 0 && s.is(uid, as, now) {
		return nil, nil
	}
	var would map[string]any
	if err := c.Apply(ctx, o.Resource, o.Name, o.Body, true, &would); err != nil {
		return nil, err
	}
	found = append(found, between("spec", live["spec"], would["spec"])...)
	if len(found) == 0 {
		s.note(uid, as)
	}
	return found, nil
}

// sum is the digest of a value of JSON.
func sum(v any) digest.Digest {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("owned: what a cluster said is no JSON: " + err.Error())
	}
	return digest.Of(raw)
}

func metaOf(o map[string]any) map[string]any {
	m, _ := o["metadata"].(map[string]any)
	return m
}

// between lists where two values of JSON differ. Numbers and truths are told, texts are not: they may be anything.
func between(at string, has, want any) (out []string) {
	if reflect.DeepEqual(has, want) {
		return nil
	}
	switch w := want.(type) {
	case map[string]any:
		h, ok := has.(map[string]any)
		if !ok {
			break
		}
		keys := map[string]bool{}
		for k := range w {
			keys[k] = true
		}
		for k := range h {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			out = append(out, between(at+"."+k, h[k], w[k])...)
		}
		return out
	case []any:
		h, ok := has.([]any)
		if !ok || len(h) != len(w) {
			break
		}
		for i := range w {
			out = append(out, between(at+"."+strconv.Itoa(i), h[i], w[i])...)
		}
		return out
	}
	at = harmless.Line(at)
	switch {
	case plainly(has) && plainly(want):
		return []string{fmt.Sprintf("%s is %v, and not %v", at, has, want)}
	case has == nil:
		return []string{at + " is missing"}
	case want == nil:
		return []string{at + " was added"}
	default:
		return []string{at + " is another"}
	}
}

func plainly(v any) bool {
	switch v.(type) {
	case float64, bool:
		return true
	}
	return false
}

// foreign lists what others than we have set in an object's spec.
func foreign(live map[string]any) []string {
	_, others := owners(live)
	return others
}

// owners list what we have set in an object's spec, and what others have. What scales, and what tells how it stands, sets that by
// ways of its own. What we set ourselves to the same value is ours as well.
func owners(live map[string]any) (ours, out []string) {
	fields, _ := metaOf(live)["managedFields"].([]any)
	others := map[string][]string{}
	// Seldon's controller scales a Server by an update of it. Where we say how many pods it has, what is there is another number.
	scales := live["kind"] == Kinds[kube.SeldonServers.Name] && live["apiVersion"] == kube.SeldonServers.APIVersion()
	for _, f := range fields {
		entry, _ := f.(map[string]any)
		manager, _ := entry["manager"].(string)
		sub, _ := entry["subresource"].(string)
		set, _ := entry["fieldsV1"].(map[string]any)
		spec, _ := set["f:spec"].(map[string]any)
		switch paths := leaves("spec", spec, live["spec"]); {
		case manager == kube.Manager:
			ours = append(ours, paths...)
		case sub == "" && len(spec) > 0:
			others[manager] = append(others[manager], paths...)
		}
	}
	for manager, paths := range others {
		for _, path := range paths {
			if !(scales && path == "spec.replicas") && !slices.ContainsFunc(ours, func(own string) bool { return own == path || strings.HasPrefix(own, path+".") }) {
				out = append(out, path+" was set by "+harmless.Line(manager))
			}
		}
	}
	slices.Sort(ours)
	slices.Sort(out)
	return slices.Compact(ours), slices.Compact(out)
}

// leaves are the paths of a set of fields, as managedFields have it (f:name, k:{"key":"value"}, v:value, i:number, and . for
// itself), which are there: a server may drop a field, and still say who had set it.
func leaves(at string, set map[string]any, is any) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(set)) {
		inner, _ := set[k].(map[string]any)
		kind, name, _ := strings.Cut(k, ":")
		below, there := member(is, kind, name)
		if !there {
			continue
		}
		if kind != "f" {
			name = "[" + name + "]"
		}
		path := at + "." + harmless.Line(name)
		if deeper := leaves(path, inner, below); len(deeper) > 0 {
			out = append(out, deeper...)
		} else {
			out = append(out, path)
		}
	}
	return out
}

// member is the part of a value that an element of a path names; false where it has none.
func member(of any, kind, name string) (any, bool) {
	list, _ := of.([]any)
	var want any
	if kind != "f" && json.Unmarshal([]byte(name), &want) != nil {
		return nil, false
	}
	switch kind {
	case "f":
		fields, _ := of.(map[string]any)
		v, there := fields[name]
		return v, there
	case "k":
		keys, _ := want.(map[string]any)
		for _, v := range list {
			fields, _ := v.(map[string]any)
			fits := true
			for k, value := range keys {
				fits = fits && reflect.DeepEqual(fields[k], value)
			}
			if fits {
				return v, true
			}
		}
	case "v":
		i := slices.IndexFunc(list, func(v any) bool { return reflect.DeepEqual(v, want) })
		return want, i >= 0
	case "i":
		if n, ok := want.(float64); ok && int(n) >= 0 && int(n) < len(list) {
			return list[int(n)], true
		}
	}
	return nil, false
}
