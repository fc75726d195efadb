// Package lineage answers where something came from: from a deployment down to
// the data, the code and the author, out of the ledger's facts alone. It is pure.
package lineage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Node is one thing and what it came from.
type Node struct {
	What   string        `json:"what"` // deployment, model, signature, run, params, code, environment, data, revision ...
	Name   string        `json:"name,omitempty"`
	Digest digest.Digest `json:"digest,omitempty"`
	Entry  *int64        `json:"entry,omitempty"` // number on the ledger
	Facts  []Fact        `json:"facts,omitempty"`
	From   []Node        `json:"from,omitempty"`
}

// Fact is one property, for people.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Ref explains the newest state of ref.
func Ref(f *ledger.Facts, ref schemas.Ref) (Node, error) {
	x := index(f)
	if ref.Kind.Traits().Outputs == schemas.CandidateOutputs && ref.Output == "" {
		n := Node{What: string(ref.Kind), Name: ref.String()}
		for r, e := range f.Latest {
			if r.Whole() == ref {
				n.From = append(n.From, x.entry(e))
			}
		}
		slices.SortFunc(n.From, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
		if len(n.From) > 0 {
			return n, nil
		}
	}
	e := f.Latest[ref]
	if e == nil {
		e = f.Latest[ref.Whole()]
	}
	if e == nil {
		names := slices.Sorted(maps.Keys(texts(f.Latest)))
		err := fault.New(fault.Missing, "explain %s: the ledger has no entry about it", ref)
		if near := schemas.Nearest(ref.String(), names); near != "" {
			return Node{}, fault.WithHint(err, "did you mean %s?", near)
		}
		return Node{}, fault.WithHint(err, "vishwa log lists what it has")
	}
	return x.entry(e), nil
}

// Entry explains what e recorded.
func Entry(f *ledger.Facts, e *ledger.Entry) Node { return index(f).entry(e) }

// Digest explains what is named by a digest, or by its first digits: a model, a
// bundle, an output, a key.
func Digest(f *ledger.Facts, name string) (Node, error) {
	name = strings.TrimPrefix(name, "sha256:")
	if len(name) < 6 || strings.Trim(name, "0123456789abcdef") != "" {
		return Node{}, fault.WithHint(fault.New(fault.Invalid, "explain %q: neither a ref nor a digest", name), "give kind/name, or at least six hex digits of a digest")
	}
	x := index(f)
	found := map[digest.Digest]*ledger.Entry{}
	for d, e := range x.named {
		if strings.HasPrefix(d.Hex(), name) {
			found[d] = e
		}
	}
	switch len(found) {
	case 0:
		return Node{}, fault.WithHint(fault.New(fault.Missing, "explain %s: the ledger names nothing so", name), "vishwa log --format json lists every digest")
	case 1:
		for _, e := range found {
			return x.entry(e), nil
		}
	}
	var all []string
	for d := range found {
		all = append(all, d.Short())
	}
	slices.Sort(all)
	return Node{}, fault.WithHint(fault.New(fault.Invalid, "explain %s: %d digests begin so: %s", name, len(all), strings.Join(all, ", ")), "give more digits")
}

func texts(m map[schemas.Ref]*ledger.Entry) map[string]bool {
	out := map[string]bool{}
	for r := range m {
		out[r.String()] = true
	}
	return out
}

type indexed struct {
	facts *ledger.Facts
	named map[digest.Digest]*ledger.Entry // what each digest was made by, the newest where several did
	shown map[int64]bool                  // entries that stand in the tree already, whole
}

func index(f *ledger.Facts) indexed {
	x := indexed{f, map[digest.Digest]*ledger.Entry{}, map[int64]bool{}}
	entries := map[int64]*ledger.Entry{}
	for _, e := range f.ByKey {
		entries[e.Seq] = e
	}
	for _, e := range f.Latest {
		entries[e.Seq] = e
	}
	for _, seq := range slices.Sorted(maps.Keys(entries)) {
		e := entries[seq]
		if e.Key != "" {
			x.named[e.Key] = e
		}
		if e.Action == ledger.Deploy || e.Action == ledger.Retire {
			continue // a deployment does not make the model that it serves
		}
		for _, a := range e.Outputs {
			if e.Action == ledger.Select || x.named[a.Digest] == nil || x.named[a.Digest].Action != ledger.Select {
				x.named[a.Digest] = e
			}
		}
		if e.Model != nil {
			x.named[e.Model.Signature] = e
			x.named[e.Model.Provenance] = e
		}
	}
	return x
}

// entry is the node of an entry. An entry is told once: where it comes again, and
// be it below itself, whatever the ledger says, its number points back.
func (x indexed) entry(e *ledger.Entry) Node {
	seq := e.Seq
	n := Node{What: what(e), Name: e.Ref.String(), Entry: &seq}
	if x.shown[seq] {
		n.say("see", "above")
		return n
	}
	x.shown[seq] = true
	n.say("recorded", e.Time.UTC().Format(time.RFC3339)+" by "+e.Actor)
	n.say("why", e.Reason)
	if s := x.facts.Suspension(e.Ref); s != nil && x.facts.Latest[e.Ref] == e {
		n.say("suspended", fmt.Sprintf("by %s at %s (entry %d): %s", s.Actor, s.Time.UTC().Format(time.RFC3339), s.Seq, s.Reason))
	}
	switch e.Action {
	case ledger.Deploy:
		x.deployment(&n, e)
	case ledger.Select:
		x.model(&n, e)
	case ledger.Provision:
		n.say("tool", e.Stack.Tool)
		n.From = append(n.From, x.code(e)...)
	case ledger.Pin:
		for _, a := range e.Outputs {
			n.Digest = a.Digest
			n.say("data", fmt.Sprintf("%s, %d bytes", a.Name, a.Size))
		}
	default:
		x.run(&n, e)
	}
	if e.Revision != "" {
		r := Node{What: "revision", Name: e.Revision}
		r.say("author", e.Author)
		n.From = append(n.From, r)
	}
	return n
}

func what(e *ledger.Entry) string {
	switch {
	case e.Ran():
		return "run"
	case e.Action == ledger.Pin:
		return "data"
	default:
		return string(e.Ref.Kind)
	}
}

func (x indexed) deployment(n *Node, e *ledger.Entry) {
	if e.Release != nil {
		n.say("environment", e.Release.Environment)
		n.say("address", e.Release.URL)
		n.isolation(e.Release.Isolation)
		n.say("replaced model", e.Release.Replaced.Short())
		if e.Rollback() {
			n.say("serves again", fmt.Sprintf("the release of entry %d", e.Release.Restores))
		}
	}
	if b := e.PullRequest; b != nil {
		n.say("made for", fmt.Sprintf("pull request %d at %.7s", b.Pull, b.Head))
	}
	n.say("approved by", strings.Join(e.Approved, ", "))
	n.say("plan", e.Plan.Short())
	n.say("policy", e.Policy.Short())
	if e.Model != nil {
		if m := x.named[e.Model.Signature]; m != nil {
			n.From = append(n.From, x.entry(m))
		} else {
			n.From = append(n.From, Node{What: "model", Digest: e.Model.Artifact.Digest})
		}
	}
	if e.Recipe == nil {
		return
	}
	for name := range e.Recipe.Inputs {
		ref, err := schemas.ParseRef(name)
		if err != nil {
			continue
		}
		if s := x.facts.Latest[ref]; s != nil {
			n.From = append(n.From, x.entry(s))
		}
	}
	n.From = append(n.From, x.code(e)...)
}

func (x indexed) model(n *Node, e *ledger.Entry) {
	n.Digest = e.Model.Artifact.Digest
	n.say("selected", e.Model.Candidate.String())
	n.metrics(e)
	n.From = append(n.From,
		Node{What: "signature", Name: "OMS v1.0, model.sig", Digest: e.Model.Signature},
		Node{What: "provenance", Name: "SLSA v1", Digest: e.Model.Provenance})
	for _, t := range x.facts.ByKey {
		if t.Action == ledger.Train && t.Ref == e.Model.Candidate && t.Outputs["model"].Digest == e.Model.Artifact.Digest {
			n.From = append(n.From, x.entry(t))
			return
		}
	}
}

func (x indexed) run(n *Node, e *ledger.Entry) {
	if e.Run != nil {
		n.say("took", e.Run.Finished.Sub(e.Run.Started).Round(time.Millisecond).String())
		n.say("python", e.Run.Python)
		n.say("host", e.Run.Host)
		if on := e.Run.On(); !on.Plain() {
			on.Image = ""
			n.say("ran on", on.Words())
			n.say("image", e.Run.Image)
		}
		n.isolation(e.Run.Isolation)
	}
	n.metrics(e)
	for _, name := range slices.Sorted(maps.Keys(e.Outputs)) {
		n.say("wrote "+name, e.Outputs[name].Digest.Short())
	}
	if e.Recipe == nil {
		return
	}
	if len(e.Recipe.Params) > 0 {
		p := Node{What: "params"}
		for _, name := range slices.Sorted(maps.Keys(e.Recipe.Params)) {
			p.say(name, fmt.Sprint(e.Recipe.Params[name]))
		}
		n.From = append(n.From, p)
	}
	n.From = append(n.From, x.code(e)...)
	for _, name := range slices.Sorted(maps.Keys(e.Recipe.Inputs)) {
		d := e.Recipe.Inputs[name]
		if made := x.named[d]; made != nil {
			in := x.entry(made)
			in.Facts = append([]Fact{{"as input", name}}, in.Facts...)
			in.Digest = d
			n.From = append(n.From, in)
		} else {
			n.From = append(n.From, Node{What: "data", Name: name, Digest: d})
		}
	}
}

// code is what the command read besides its inputs.
func (x indexed) code(e *ledger.Entry) (out []Node) {
	if e.Recipe == nil {
		return nil
	}
	for _, p := range slices.Sorted(maps.Keys(e.Recipe.Code)) {
		out = append(out, Node{What: "code", Name: p, Digest: e.Recipe.Code[p]})
	}
	if e.Recipe.Env != "" {
		out = append(out, Node{What: "environment", Name: "lock file", Digest: e.Recipe.Env})
	}
	return out
}

func (n *Node) metrics(e *ledger.Entry) {
	for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
		n.say(name, fmt.Sprintf("%.6g", e.Metrics[name]))
	}
}

// isolation says what kept the run, or what is served, apart from its machine; of
// entries that were recorded before that was known, nothing.
func (n *Node) isolation(i *port.Isolation) {
	if i != nil {
		n.say("isolated", i.String())
	}
}

func (n *Node) say(name, value string) {
	if value != "" {
		n.Facts = append(n.Facts, Fact{name, value})
	}
}
