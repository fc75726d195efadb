// What the ledger knows of a name, and what became of it: a name that is declared no
// longer keeps its record.

package lineage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/schemas"
)

// Record is a ledger, to be asked where things come from.
type Record struct {
	Facts *ledger.Facts
	// Entries are all entries, oldest first. Without them what was made again, replaced or
	// refused since is not found.
	Entries []*ledger.Entry
	// Declared are the refs that are declared now, each with its key where that is known.
	// Nil: what is declared is not known.
	Declared map[schemas.Ref]digest.Digest
}

// Ref explains the state of ref: what is in force for its declaration, else its newest.
func Ref(f *ledger.Facts, ref schemas.Ref) (Node, error) { return Record{Facts: f}.Ref(ref) }

// Ref explains the state of ref: what is in force for its declaration, else its newest.
func (r Record) Ref(ref schemas.Ref) (Node, error) {
	x := index(r)
	if ref.Kind.Traits().Outputs == schemas.CandidateOutputs && ref.Output == "" {
		if n, ok := x.candidates(ref); ok {
			return n, nil
		}
	}
	e := cmp.Or(x.inForce(ref), x.outputs(ref), x.candidate(ref))
	if e == nil {
		if n, ok := x.neverMade(ref); ok {
			return n, nil
		}
		return Node{}, r.unknown(ref)
	}
	n := x.entry(e)
	x.fate(&n, ref, e)
	return n, nil
}

// inForce is the fact that counts for ref: after a revert it is not the newest one, and of
// what was renamed it is another name's.
func (x indexed) inForce(ref schemas.Ref) *ledger.Entry {
	if key := x.Declared[ref]; key != "" && !ref.Kind.Traits().Observed {
		if e := x.Facts.ByKey[key]; e != nil {
			return e
		}
	}
	return x.Facts.Latest[ref]
}

// outputs is the fact of the transform whose output ref names; nil: it has no such output.
func (x indexed) outputs(ref schemas.Ref) *ledger.Entry {
	e := x.inForce(ref.Whole())
	if e == nil || ref.Kind.Traits().Outputs != schemas.NamedOutputs || !slices.ContainsFunc(e.Outputs, func(o ledger.Output) bool { return o.As == ref.Output }) {
		return nil
	}
	return e
}

// candidate is the run of a training that was selected from under the name ref, and that ran
// under another one before.
func (x indexed) candidate(ref schemas.Ref) (made *ledger.Entry) {
	for _, e := range x.all {
		if e.Action == ledger.Select && e.Model != nil && (e.Model.Candidate == ref || e.Model.Candidate.Whole() == ref) {
			made = cmp.Or(x.trained(e), made)
		}
	}
	return made
}

// RecordedAs are the names under which the ledger has what ref is declared to make, where it
// has nothing under ref itself: it was renamed, and what it makes is there already.
func (r Record) RecordedAs(ref schemas.Ref) (out []schemas.Ref) {
	for declared, key := range r.Declared {
		e := r.Facts.ByKey[key]
		if e == nil || declared != ref && declared.Whole() != ref || e.Ref.Whole() == ref.Whole() || slices.Contains(out, e.Ref.Whole()) {
			continue
		}
		out = append(out, e.Ref.Whole())
	}
	slices.SortFunc(out, schemas.Ref.Compare)
	return out
}

// Known tells whether anything is declared or recorded as ref; where not, and another name is
// like it, which one.
func (r Record) Known(ref schemas.Ref) (known bool, near string) {
	names := map[string]bool{}
	for declared := range r.Declared {
		names[declared.String()], names[declared.Whole().String()] = true, true
	}
	for _, e := range r.Entries {
		if e.Ref != (schemas.Ref{}) {
			names[e.Ref.String()], names[e.Ref.Whole().String()] = true, true
		}
	}
	if names[ref.String()] {
		return true, ""
	}
	return false, schemas.Nearest(ref.String(), slices.Sorted(maps.Keys(names)))
}

// candidates is a training, as its candidates.
func (x indexed) candidates(ref schemas.Ref) (Node, bool) {
	made := map[schemas.Ref]*ledger.Entry{}
	for r := range x.Facts.Latest {
		if r.Whole() == ref {
			made[r] = x.inForce(r)
		}
	}
	for r := range x.Declared {
		if e := x.inForce(r); r.Whole() == ref && e != nil {
			made[r] = e
		}
	}
	n := Node{What: string(ref.Kind), Name: ref.String()}
	for _, r := range slices.SortedFunc(maps.Keys(made), schemas.Ref.Compare) {
		c := x.entry(made[r])
		x.fate(&c, r, made[r])
		n.From = append(n.From, c)
	}
	return n, len(n.From) > 0
}

// neverMade is a ref of which the ledger records only what did not come about.
func (x indexed) neverMade(ref schemas.Ref) (Node, bool) {
	var last *ledger.Entry
	for _, e := range x.all {
		if e.Ref == ref || e.Ref.Whole() == ref {
			last = e
		}
	}
	if last == nil {
		return Node{}, false
	}
	n := Node{What: string(ref.Kind), Name: ref.String()}
	n.addFact("state", "never made")
	n.addFact("last entry", fmt.Sprintf("%d, %s, at %s by %s", last.Seq, last.Action, at(last), last.Actor))
	n.addFact("why", last.Reason)
	for _, f := range last.PlainFindings() {
		n.addFact(string(f.Level), f.Rule+": "+f.Message)
	}
	if last.Failure != nil {
		n.addFact("failed", last.Failure.Cause+": "+strings.ReplaceAll(last.Failure.Message, "\n", " "))
	}
	x.fate(&n, ref, last)
	return n, true
}

func (r Record) unknown(ref schemas.Ref) error {
	err := fault.New(fault.Missing, "explain %s: the ledger has no entry about it", ref)
	if _, declared := r.Declared[ref]; declared {
		return fault.WithHint(err, "it is declared and was never made: vishwa plan says what happens next")
	}
	names := map[string]bool{}
	for known := range r.Facts.Latest {
		names[known.String()] = true
	}
	if names[ref.Whole().String()] {
		return fault.WithHint(err, "did you mean %s?", ref.Whole())
	}
	if near := schemas.Nearest(ref.String(), slices.Sorted(maps.Keys(names))); near != "" {
		return fault.WithHint(err, "did you mean %s?", near)
	}
	return fault.WithHint(err, "vishwa log lists what it has")
}

// Entry explains what e recorded.
func (r Record) Entry(e *ledger.Entry) Node { return index(r).entry(e) }

// fate tells of ref, whose fact e is, what it is called now, who served it, and where its
// record is once it is declared no longer.
func (x indexed) fate(n *Node, ref schemas.Ref, e *ledger.Entry) {
	if e.Ref != ref && e.Ref.Whole() != ref && e.Ref != ref.Whole() {
		n.addFact("recorded as", fmt.Sprintf("%s, which has the same key: it was renamed to %s", e.Ref, ref))
	}
	x.served(n, e)
	if x.Declared == nil || x.isDeclared(ref) {
		return
	}
	n.addFact("declared", "no longer")
	for _, now := range x.successors(e) {
		n.addFact("now", now)
	}
	x.history(n, ref)
}

func (x indexed) isDeclared(ref schemas.Ref) bool {
	for d := range x.Declared {
		if d == ref || d.Whole() == ref || d == ref.Whole() {
			return true
		}
	}
	return false
}

// successors are the names that what e made goes by now.
func (x indexed) successors(e *ledger.Entry) (out []string) {
	for _, ref := range slices.SortedFunc(maps.Keys(x.Declared), schemas.Ref.Compare) {
		if ref != e.Ref && ref.Kind == e.Ref.Kind && e.Key != "" && x.Declared[ref] == e.Key {
			out = append(out, fmt.Sprintf("declared as %s, with the same key", ref))
		}
	}
	names := map[schemas.Ref]bool{e.Ref: true}
	for _, later := range x.all {
		if later.Seq < e.Seq || names[later.Ref] {
			continue
		}
		switch {
		case later.Action == ledger.Select && e.Action == ledger.Select && later.Model.Artifact.Digest == e.Model.Artifact.Digest:
			names[later.Ref] = true
			out = append(out, fmt.Sprintf("the same files are released as %s (entry %d)", later.Ref, later.Seq))
		case later.Action == ledger.Deploy && e.Action == ledger.Retire && e.Release != nil && later.Release != nil &&
			later.Plan == e.Plan && e.Plan != "" && later.Release.Environment == e.Release.Environment:
			names[later.Ref] = true
			out = append(out, fmt.Sprintf("%s serves in %s, from the same plan (entry %d)", later.Ref, later.Release.Environment, later.Seq))
		}
	}
	return out
}

// served says which deployments served the model that e released, and until when.
func (x indexed) served(n *Node, e *ledger.Entry) {
	if e.Action != ledger.Select || e.Model == nil {
		return
	}
	begun := map[schemas.Ref]*ledger.Entry{}
	told := func(ref schemas.Ref, end string) {
		first := begun[ref]
		n.addFact("served by", fmt.Sprintf("%s in %s from entry %d%s", ref, first.Release.Environment, first.Seq, end))
		delete(begun, ref)
	}
	for _, d := range x.all {
		if d.Action != ledger.Deploy && d.Action != ledger.Retire || !d.Ref.Kind.Traits().Serves {
			continue
		}
		same := d.Action == ledger.Deploy && d.Release != nil && d.Model != nil && d.Model.Artifact.Digest == e.Model.Artifact.Digest
		switch {
		case same && begun[d.Ref] == nil:
			begun[d.Ref] = d
		case !same && begun[d.Ref] != nil && d.Action == ledger.Retire:
			told(d.Ref, fmt.Sprintf(" until it was retired (entry %d)", d.Seq))
		case !same && begun[d.Ref] != nil:
			told(d.Ref, fmt.Sprintf(" until another model took its place (entry %d)", d.Seq))
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(begun), schemas.Ref.Compare) {
		told(ref, " on")
	}
}

// history says how much is recorded of ref, and how to read it.
func (x indexed) history(n *Node, ref schemas.Ref) {
	var first, last *ledger.Entry
	count := 0
	for _, e := range x.all {
		if e.Ref != ref && e.Ref.Whole() != ref {
			continue
		}
		first, last = cmp.Or(first, e), e
		count++
	}
	switch {
	case count == 1:
		n.addFact("history", fmt.Sprintf("entry %d: vishwa log %s", last.Seq, ref))
	case count > 1:
		n.addFact("history", fmt.Sprintf("%s, from %d (%s) to %d (%s): vishwa log %s", plural.Of(count, "entry"), first.Seq, at(first), last.Seq, at(last), ref))
	}
}

// retired is what was there until it was taken away.
func (x indexed) retired(n *Node, e *ledger.Entry) {
	n.addFact("state", "retired")
	if e.Release != nil {
		n.addFact("environment", e.Release.Environment)
	}
	var last *ledger.Entry
	for _, was := range x.all {
		if was.Ref == e.Ref && was.Seq < e.Seq && was.Stands() {
			last = was
		}
	}
	switch {
	case last != nil:
		n.addFact("until then", fmt.Sprintf("entry %d, at %s", last.Seq, at(last)))
		n.From = append(n.From, x.entry(last))
	case e.Model != nil: // the facts alone do not have the entry of the release
		if m := x.named[e.Model.Signature]; m != nil {
			n.From = append(n.From, x.entry(m))
		}
	}
}

// stoodAt is what ref was when entry seq was recorded.
func (x indexed) stoodAt(ref schemas.Ref, seq int64) (was *ledger.Entry) {
	for _, e := range x.all {
		if e.Ref == ref && (e.Stands() || e.Action == ledger.Retire) && (e.Seq < seq || was == nil) {
			was = e
		}
	}
	return was
}

func at(e *ledger.Entry) string { return e.Time.UTC().Format(time.RFC3339) }
