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

// entry is the node of an entry. An entry is told once: where it comes again, and
// be it below itself, whatever the ledger says, its number points back.
func (x indexed) entry(e *ledger.Entry) Node {
	seq := e.Seq
	n := Node{What: what(e), Name: e.Ref.String(), Entry: &seq}
	if x.shown[seq] {
		n.addFact("see", "above")
		return n
	}
	x.shown[seq] = true
	n.addFact("recorded", e.Time.UTC().Format(time.RFC3339)+" by "+e.Actor)
	n.addFact("why", e.Reason)
	for _, f := range e.PlainFindings() {
		n.addFact(string(f.Level), f.Rule+": "+f.Message)
	}
	if s := e.Stopped(); s != nil {
		n.addFact("stopped", s.String())
	}
	if s := x.Facts.Suspension(e.Ref); s != nil && x.isLatest(e) {
		n.addFact("suspended", fmt.Sprintf("by %s at %s (entry %d): %s", s.Actor, s.Time.UTC().Format(time.RFC3339), s.Seq, s.Reason))
	}
	switch e.Action {
	case ledger.Deploy:
		x.deployment(&n, e)
	case ledger.Pack:
		x.packed(&n, e)
	case ledger.Retire:
		x.retired(&n, e)
	case ledger.Select:
		x.model(&n, e)
	case ledger.Provision:
		n.addFact("tool", e.Stack.Tool)
		n.From = append(n.From, x.code(e.Recipe())...)
	case ledger.Pin:
		for _, a := range e.Outputs {
			if n.Digest == "" || a.As == "data" {
				n.Digest = a.Digest
			}
			n.addFact(a.As, fmt.Sprintf("%s, %d bytes", a.Name, a.Size))
		}
	default:
		x.run(&n, e)
	}
	if e.Revision != "" {
		r := Node{What: "revision", Name: e.Revision}
		r.addFact("author", e.Author)
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

func (x indexed) packed(n *Node, e *ledger.Entry) {
	if p := e.Package; p != nil {
		n.Digest = p.Digest
		n.addFact("kept at", p.Reference())
		n.addFact("as ModelPack", p.ModelPack.Short())
		n.addFact("as images", strings.Join(p.Images, ", "))
		if s := p.Serving; s != nil {
			n.addFact("serves as", p.Repository+"@"+string(s.Digest)+" ("+s.Platform+")")
			n.addFact("built over", s.Base)
		}
		n.addFact("tags", strings.Join(p.Tags, ", "))
		for _, a := range p.Evidence {
			n.addFact("attached", a.Type)
		}
	}
	if e.Model == nil {
		return
	}
	if m := x.named[e.Model.Signature]; m != nil {
		n.From = append(n.From, x.entry(m))
	} else {
		n.From = append(n.From, Node{What: "model", Digest: e.Model.Artifact.Digest})
	}
}

func (x indexed) deployment(n *Node, e *ledger.Entry) {
	if e.Release != nil {
		n.addFact("environment", e.Release.Environment)
		n.addFact("address", e.Release.URL)
		n.isolation(e.Release.Isolation)
		n.addFact("replaced model", e.Release.Replaced.Short())
		if e.Rollback() {
			n.addFact("serves again", fmt.Sprintf("the release of entry %d", e.Release.Restores))
		}
	}
	if b := e.PullRequest; b != nil {
		n.addFact("made for", fmt.Sprintf("pull request %d at %.7s", b.Pull, b.Head))
	}
	n.addFact("approved by", strings.Join(e.Approved, ", "))
	n.addFact("plan", e.Plan.Short())
	n.addFact("policy", e.Policy.Short())
	if e.Model != nil {
		if m := x.named[e.Model.Signature]; m != nil {
			n.From = append(n.From, x.entry(m))
		} else {
			n.From = append(n.From, Node{What: "model", Digest: e.Model.Artifact.Digest})
		}
	}
	recipe := e.Recipe()
	if recipe == nil {
		return
	}
	for name := range recipe.Inputs {
		ref, err := schemas.ParseRef(name)
		if err != nil {
			continue
		}
		if s := x.stoodAt(ref, e.Seq); s != nil {
			n.From = append(n.From, x.entry(s))
		}
	}
	n.From = append(n.From, x.code(recipe)...)
}

func (x indexed) model(n *Node, e *ledger.Entry) {
	n.Digest = e.Model.Artifact.Digest
	n.addFact("selected", e.Model.Candidate.String())
	n.metrics(e)
	n.From = append(n.From,
		Node{What: "signature", Name: "OMS v1.0, model.sig", Digest: e.Model.Signature},
		Node{What: "provenance", Name: "SLSA v1", Digest: e.Model.Provenance})
	if t := x.trained(e); t != nil {
		run := x.entry(t)
		if t.Ref != e.Model.Candidate { // the training had another name then, and the same key
			run.Facts = append([]Fact{{"as candidate", e.Model.Candidate.String()}}, run.Facts...)
		}
		n.From = append(n.From, run)
	}
}

// trained is the run that made the model which e selected: the candidate's own, or, where
// the training was renamed and did not run again, the one under its former name.
func (x indexed) trained(e *ledger.Entry) (made *ledger.Entry) {
	for _, t := range x.all {
		if !t.Ran() || t.Seq > e.Seq || !makes(t, e.Model.Artifact.Digest) {
			continue
		}
		if made == nil || made.Ref != e.Model.Candidate && !t.Duplicate || t.Ref == e.Model.Candidate && (!t.Duplicate || made.Ref != t.Ref) {
			made = t
		}
	}
	return made
}

func makes(e *ledger.Entry, d digest.Digest) bool {
	for _, a := range e.Outputs {
		if a.Digest == d {
			return true
		}
	}
	return false
}

func (x indexed) run(n *Node, e *ledger.Entry) {
	if e.Run != nil {
		n.addFact("took", e.Run.Finished.Sub(e.Run.Started).Round(time.Millisecond).String())
		n.addFact("python", e.Run.Python)
		n.addFact("host", e.Run.Host)
		if on := e.Run.On(); !on.Plain() {
			on.Image = ""
			n.addFact("ran on", on.Words())
			n.addFact("image", e.Run.Image)
		}
		n.isolation(e.Run.Isolation)
	}
	n.metrics(e)
	for _, a := range e.Outputs {
		n.addFact("wrote "+a.As, a.Digest.Short())
	}
	recipe := e.Recipe()
	if recipe == nil {
		return
	}
	if len(recipe.Params) > 0 {
		p := Node{What: "params"}
		for _, name := range slices.Sorted(maps.Keys(recipe.Params)) {
			p.addFact(name, fmt.Sprint(recipe.Params[name]))
		}
		n.From = append(n.From, p)
	}
	n.From = append(n.From, x.code(recipe)...)
	for _, name := range slices.Sorted(maps.Keys(recipe.Inputs)) {
		d := recipe.Inputs[name]
		if made := x.source(e, name, d); made != nil {
			in := x.entry(made)
			in.Facts = append([]Fact{{"as input", name}}, in.Facts...)
			in.Digest = d
			n.From = append(n.From, in)
		} else {
			n.From = append(n.From, Node{What: "data", Name: name, Digest: d})
		}
	}
}

// code is what the command read besides its inputs; nil: that was not recorded.
func (x indexed) code(r *port.Recipe) (out []Node) {
	if r == nil {
		return nil
	}
	for _, p := range slices.Sorted(maps.Keys(r.Code)) {
		out = append(out, Node{What: "code", Name: p, Digest: r.Code[p]})
	}
	if r.Env != "" {
		out = append(out, Node{What: "environment", Name: "lock file", Digest: r.Env})
	}
	return out
}

func (n *Node) metrics(e *ledger.Entry) {
	for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
		n.addFact(name, fmt.Sprintf("%.6g", e.Metrics[name]))
	}
}

// isolation says what kept the run, or what is served, apart from its machine; of
// entries that were recorded before that was known, nothing.
func (n *Node) isolation(i *port.Isolation) {
	if i != nil {
		n.addFact("isolated", i.String())
	}
}

func (n *Node) addFact(name, value string) {
	if value != "" {
		n.Facts = append(n.Facts, Fact{name, value})
	}
}
