// Statements are what is signed: an entry as an in-toto Statement v1. An entry
// has one spelling, canonical JSON, and no other is read back, so two readers
// can never see two entries in the same bytes.

package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// PredicateType names what the statement's predicate is: an Entry.
const PredicateType = "https://vishwa.dev/ledger-entry/v1"

const statementType = "https://in-toto.io/Statement/v1"

// maxStatement bounds what Parse reads, and so what Statement makes, in bytes.
const maxStatement = 32 << 20

type statementOf[E any] struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     E         `json:"predicate"`
}

// statement is what is read.
type statement = statementOf[Entry]

// strictEntry is an entry whose outputs are read with the rest of it: what reads itself knows nothing of a field that must not be there.
type strictEntry struct {
	entryJSON
	Outputs map[string]port.Artifact `json:"outputs"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Statement is e as an in-toto Statement v1, in canonical JSON.
func Statement(e Entry) ([]byte, error) {
	if err := check(e); err != nil {
		return nil, err
	}
	about, err := subjects(e)
	if err != nil {
		return nil, err
	}
	e.MadeBy = e.Recipe()
	b, err := digest.Canonical(statementOf[entryJSON]{statementType, about, PredicateType, entryJSON(e)})
	if err != nil {
		return nil, fault.New(fault.Invalid, "encode entry %d: %w", e.Seq, err)
	}
	if len(b) > maxStatement { // nobody could read it, nor what comes after it
		return nil, fault.WithHint(fault.New(fault.Invalid, "an entry of %s would be %d MiB, and may be %d MiB: it lists each file that was made", e.Ref, len(b)>>20, maxStatement>>20),
			"have fewer files made: an archive in place of a folder of many")
	}
	return b, nil
}

// Parse reads what Statement wrote, and nothing else: an unknown or repeated
// field, trailing data or another spelling is Invalid.
func Parse(b []byte) (Entry, error) {
	if len(b) > maxStatement {
		return Entry{}, fault.New(fault.Invalid, "read statement: %d bytes are more than %d", len(b), maxStatement)
	}
	var s statement
	if err := json.Unmarshal(b, &s); err != nil {
		return Entry{}, fault.New(fault.Invalid, "read statement: %w", err)
	}
	if s.Type == statementType && s.PredicateType != PredicateType && strings.HasPrefix(s.PredicateType, predicates) {
		return Entry{}, newer("its form is %s", s.PredicateType)
	}
	if s.Type != statementType || s.PredicateType != PredicateType {
		return Entry{}, fault.New(fault.Invalid, "read statement: %q with predicate %q is not a ledger entry", s.Type, s.PredicateType)
	}
	again, err := Statement(s.Predicate)
	if err != nil || !bytes.Equal(again, b) {
		if later := later(s.Predicate, b); later != nil {
			return Entry{}, later
		}
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read statement: %w", err)
	}
	if !bytes.Equal(again, b) {
		return Entry{}, fault.New(fault.Invalid, "read statement: %w", difference(b))
	}
	return s.Predicate, nil
}

// predicates begins the name of every form of an entry, earlier and later ones.
const predicates = "https://vishwa.dev/ledger-entry/"

// later tells of what a later program has written: an action or a field that this one
// does not have, in the one spelling. Who has signed it is for the caller to check first:
// before that it is bytes that anybody put there.
func later(e Entry, b []byte) error {
	if again, err := digest.Canonical(json.RawMessage(b)); err != nil || !bytes.Equal(again, b) || uniqueKeys(b) != nil {
		return nil // no program of ours wrote that
	}
	if !slices.Contains(actions, e.Action) && plainAction.MatchString(string(e.Action)) {
		return newer("this one does not know the action %s", e.Action)
	}
	if class := e.strange(); class != "" && plainAction.MatchString(string(class)) {
		return newer("this one does not know approvals by %s", class)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(new(statementOf[strictEntry])); err != nil && strings.Contains(err.Error(), "unknown field") {
		return newer("this one does not know all that it says (%w)", err)
	}
	return nil
}

var plainAction = lazyregexp.New(`^[a-z][a-z-]{0,31}$`)

func newer(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Newer, "it was written by a newer vishwa: "+format, args...),
		"upgrade this vishwa to the version of the controller that wrote it, or a later one; nothing is wrong with the ledger")
}

// difference says why b is not what Statement would have written.
func difference(b []byte) error {
	if err := uniqueKeys(b); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(new(statementOf[strictEntry])); err != nil {
		return err
	}
	return fmt.Errorf("it is not in canonical form, or its subject is not what the entry made")
}

// uniqueKeys looks for a key that an object of b holds twice.
func uniqueKeys(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	type level struct {
		keys  map[string]bool // nil for an array
		value bool            // the next token is a value
	}
	var open []level
	for {
		t, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		in := len(open) - 1
		if k, ok := t.(string); ok && in >= 0 && open[in].keys != nil && !open[in].value {
			if open[in].keys[k] {
				return fmt.Errorf("key %q is given twice in one object", k)
			}
			open[in].keys[k], open[in].value = true, true
			continue
		}
		if in >= 0 {
			open[in].value = false
		}
		switch t {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:in]
		}
	}
}

var gitID = lazyregexp.New(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// subjects lists what the statement is about: what was made, or else the most
// telling thing that the entry names. It is never empty.
func subjects(e Entry) ([]subject, error) {
	sha := func(name string, d digest.Digest) subject {
		return subject{name, map[string]string{"sha256": d.Hex()}}
	}
	var out []subject
	for _, made := range e.Outputs {
		of := e.Ref.String()
		if made.As != "" {
			of += "#" + made.As
		}
		out = append(out, sha(of, made.Digest))
	}
	if e.Model != nil {
		out = append(out, sha(e.Ref.String()+"#model", e.Model.Artifact.Digest))
	}
	switch {
	case len(out) > 0:
	case e.Key != "":
		out = append(out, sha(e.Ref.String(), e.Key))
	case e.Plan != "":
		out = append(out, sha("plan", e.Plan))
	case gitID.MatchString(e.Revision):
		out = append(out, subject{"revision", map[string]string{"gitCommit": e.Revision}})
	default:
		d, err := digest.JSON(e)
		if err != nil {
			return nil, fault.New(fault.Invalid, "encode entry %d: %w", e.Seq, err)
		}
		out = append(out, sha("entry", d))
	}
	return out, nil
}

// check refuses an entry that could not be read back, or whose names could
// reach outside the place that is theirs.
func check(e Entry) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "entry %d: "+format, append([]any{e.Seq}, args...)...)
	}
	if !slices.Contains(actions, e.Action) {
		return bad("%q is not an action", e.Action)
	}
	if e.Seq < 0 || (e.Seq == 0) != (e.Action == Genesis) || (e.Seq == 0) != (e.Prev == "") {
		return bad("only the first entry, number 0, is a genesis and has none before it")
	}
	if e.Actor == "" {
		return bad("it has no actor")
	}
	if e.Action == Approve && (e.Approval == nil || len(e.Approval.Statement) == 0) {
		return bad("an approval holds what was approved, and this one does not")
	}
	if !e.told() || e.strange() != "" {
		return bad("its approvers are not those of its text")
	}
	if e.PullRequest != nil && (e.PullRequest.Pull <= 0 || !gitID.MatchString(e.PullRequest.Head)) {
		return bad("it was done for a pull request that it does not name")
	}
	if e.Ref != (schemas.Ref{}) {
		if again, err := schemas.ParseRef(e.Ref.String()); err != nil || again != e.Ref {
			return bad("%q is not a ref", e.Ref.String())
		}
	}
	named := []digest.Digest{e.Prev, e.Key, e.Plan, e.Policy}
	for _, a := range e.Outputs {
		named = append(named, a.Digest)
		if a.Digest == "" {
			return bad("an output of %s has no digest", e.Ref)
		}
	}
	if e.Model != nil {
		named = append(named, e.Model.Artifact.Digest)
		if e.Model.Artifact.Digest == "" {
			return bad("the model of %s has no digest", e.Ref)
		}
	}
	for _, d := range named {
		if d == "" {
			continue
		}
		if again, err := digest.Parse(string(d)); err != nil || again != d {
			return bad("%q is not a digest", d)
		}
	}
	return nil
}
