// Verify replays a chain from raw bytes and trusts nothing that it has not
// checked. The same check, an entry at a time, stands between the ledger branch
// and the facts.
package ledger

import (
	"iter"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Record is one entry as the branch holds it.
type Record struct {
	ID     string // of the commit
	Commit []byte // its raw bytes
	Bundle []byte // the entry's Sigstore bundle
}

// Trust is whose word counts.
type Trust struct {
	// Bundle checks a bundle's signature against the trusted keys.
	Bundle func(bundle []byte) (statement []byte, by port.Identity, err error)
	// Commit checks a commit's signature; nil leaves that out.
	Commit func(c Commit) error
	// Approval checks the person's signature in an approve entry; nil leaves that out.
	Approval func(a Approval) error
}

// Skew is how far the clocks of those who write a ledger may differ.
const Skew = 5 * time.Minute

// Checkpoint is a ledger's length and its newest entry's digest, as someone noted it.
type Checkpoint struct {
	Count int64         `json:"count"`
	Head  digest.Digest `json:"head"`
}

// Report counts what held.
type Report struct {
	Entries    int64         `json:"entries"`    // numbered without a gap, each following the one before
	Head       digest.Digest `json:"head"`       // of the newest entry
	Commit     string        `json:"commit"`     // that carries it
	Signatures int64         `json:"signatures"` // of entries, each by the role that its action asks for
	Commits    int64         `json:"commits"`    // signatures of commits
	Trailers   int64         `json:"trailers"`   // messages that say what their entry says
	Approvals  int64         `json:"approvals"`  // people's signatures, and what a forge asserts of people
	Facts      *Facts        `json:"-"`
}

// Check holds r, the record after the commit parent, against trust and folds it
// into f. What is wrong is Corrupt, names the entry, and leaves f as it was.
func (t Trust) Check(f *Facts, parent string, r Record) (Entry, error) {
	c, err := ParseCommit(r.Commit)
	if err != nil {
		return Entry{}, wrong(f.Count, r, "%w", err)
	}
	if id := CommitID(r.Commit); id != r.ID {
		return Entry{}, wrong(f.Count, r, "its commit's bytes are those of %s", id)
	}
	if c.Parent != parent {
		return Entry{}, wrong(f.Count, r, "its commit follows %s, and the commit before is %s", orNothing(c.Parent), orNothing(parent))
	}
	if t.Commit != nil {
		if err := t.Commit(c); err != nil {
			return Entry{}, wrong(f.Count, r, "its commit's signature does not hold: %w", err)
		}
	}
	stated, by, err := t.Bundle(r.Bundle)
	if err != nil {
		return Entry{}, wrong(f.Count, r, "its signature does not hold: %w", err)
	}
	e, err := Parse(stated)
	if err != nil {
		return Entry{}, wrong(f.Count, r, "%w", err)
	}
	if want := RoleOf(e.Action); by.Role != want {
		return Entry{}, wrong(f.Count, r, "a %s is signed in the role %s, and this one is signed by %s in the role %s", e.Action, want, by.Name, by.Role)
	}
	name := digest.Of(r.Bundle)
	if e.Seq == f.Count { // another number is told as such by Fold
		if err := checkTrailers(c.Message, e, name); err != nil {
			return Entry{}, wrong(f.Count, r, "%w", err)
		}
	}
	if !e.Time.After(f.Time.Add(-Skew)) && f.Count > 0 {
		return Entry{}, wrong(f.Count, r, "it is dated %s, and the entry before %s: time does not run backwards",
			e.Time.UTC().Format(time.RFC3339), f.Time.Format(time.RFC3339))
	}
	if e.Action == Approve && t.Approval != nil {
		if err := t.Approval(*e.Approval); err != nil {
			return Entry{}, wrong(f.Count, r, "the approval's signature does not hold: %w", err)
		}
	}
	if err := f.Fold(e, name); err != nil {
		return Entry{}, fault.Hint(err, wayBack)
	}
	return e, nil
}

// Verify replays records from the first entry on, and stops at the first one
// that does not hold; its error names it. The report counts what held before.
// With expect, a ledger that was cut short or went another way is Corrupt too.
func Verify(records iter.Seq2[Record, error], trust Trust, expect *Checkpoint) (Report, error) {
	rep := Report{Facts: &Facts{}}
	met := expect == nil || expect.Count == 0
	for r, err := range records {
		if err != nil {
			return rep, err
		}
		e, err := trust.Check(rep.Facts, rep.Commit, r)
		if err != nil {
			return rep, err
		}
		rep.Entries, rep.Head, rep.Commit = rep.Facts.Count, rep.Facts.Head, r.ID
		rep.Signatures++
		rep.Trailers++
		if trust.Commit != nil {
			rep.Commits++
		}
		if e.Action == Approve && trust.Approval != nil {
			rep.Approvals++
		}
		if expect != nil && rep.Entries == expect.Count {
			met = true
			if rep.Head != expect.Head {
				return rep, fault.Hint(fault.New(fault.Corrupt, "entry %d: it is %s, and the checkpoint noted %s: the ledger was rewritten or forked",
					e.Seq, rep.Head, expect.Head), "compare this clone's ledger branch with another clone's, and keep the one that holds the checkpoint")
			}
		}
	}
	if !met {
		return rep, fault.Hint(fault.New(fault.Corrupt, "entry %d: it is missing: the ledger ends after %d entries, and the checkpoint noted %d: its tail was cut",
			rep.Entries, rep.Entries, expect.Count), "fetch the ledger branch from a clone that still holds the later entries")
	}
	return rep, nil
}

// wayBack is what to do about an entry that does not hold.
const wayBack = "compare this clone's ledger branch with another clone's: git log shows who wrote the commit; if a key is missing in the trust file, add it"

func orNothing(id string) string {
	if id == "" {
		return "nothing"
	}
	return id
}

func wrong(seq int64, r Record, format string, args ...any) error {
	id := r.ID
	if len(id) > 12 {
		id = id[:12]
	}
	err := fault.New(fault.Corrupt, "entry %d (commit %s): "+format, append([]any{seq, id}, args...)...)
	return fault.Hint(err, wayBack)
}
