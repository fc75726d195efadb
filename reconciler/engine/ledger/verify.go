// Verify replays a chain from raw bytes and trusts nothing that it has not
// checked. The same check, an entry at a time, stands between the ledger branch
// and the facts.

package ledger

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
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
	// Commit checks a commit's signature and tells whose it is; nil leaves that out.
	Commit func(c Commit) (by string, err error)
	// Approval checks the person's signature in an approve entry; nil leaves that out.
	Approval func(a Approval) error
	// Stands refuses the word of a controller whose time was over, or not yet come, at
	// entry seq of that time; nil refuses none.
	Stands func(controller string, seq int64, at time.Time) error
	// Then is the trust as of an entry that nobody signed who is trusted now; nil where
	// it is not known. The entry is not to be believed.
	Then func(e Entry) *Trust
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
	Vouched    int64         `json:"vouched"`    // entries by controllers that are trusted no more, taken up by ones that are
	Approvals  int64         `json:"approvals"`  // people's signatures, and what a forge asserts of people
	Facts      *Facts        `json:"-"`
}

// Replay takes in record after record. What somebody signed whom the trust file names
// no more counts where an entry follows it that somebody signed who is trusted now:
// that one names it by its digest, and was written by who had verified it.
type Replay struct {
	Trust
	Facts  *Facts
	Parent string // the commit before
	// Late is told each entry whose signer's time was over; nil: it is an error.
	Late  func(error)
	doubt error // about the first entry that nobody has vouched for yet
	old   int64 // entries that rest on those that follow
}

// Seen is a record with what can be told of it alone, without what came before.
type Seen struct {
	Record
	commit   Commit
	unlike   error // of its commit, which is not to be read or has another name
	believed believed
}

// believed is the entry of a record by somebody's word, or why it is not.
type believed struct {
	entry   Entry
	signers []string // sorted
	doubt   error
}

// See looks at a record alone: most of what a replay costs, and it can be done of several at once.
func (t Trust) See(r Record) Seen {
	c, err := ParseCommit(r.Commit)
	if err == nil {
		if id := CommitID(r.Commit); id != r.ID {
			err = fmt.Errorf("its commit's bytes are those of %s", id)
		}
	}
	if err != nil {
		return Seen{Record: r, unlike: err}
	}
	return Seen{Record: r, commit: c, believed: t.believe(c, r)}
}

// Ahead sees records while those before them are folded in.
func (p *Replay) Ahead(records iter.Seq2[Record, error]) iter.Seq2[Seen, error] {
	return routine.Ahead(records, Record.size, p.See)
}

func (r Record) size() int { return len(r.Commit) + len(r.Bundle) }

// Next holds r against the trust and folds it in. What is wrong is Corrupt, names the
// entry, and leaves the facts as they were.
func (p *Replay) Next(r Record) (Entry, error) { return p.Take(p.See(r)) }

// Take is Next for what this replay has seen.
func (p *Replay) Take(s Seen) (Entry, error) {
	f, r, c := p.Facts, s.Record, s.commit
	if s.unlike != nil {
		return Entry{}, p.first(wrong(f.Count, r, "%w", s.unlike))
	}
	if c.Parent != p.Parent {
		return Entry{}, p.first(wrong(f.Count, r, "its commit follows %s, and the commit before is %s", orNothing(c.Parent), orNothing(p.Parent)))
	}
	e, doubt, err := p.signed(s)
	if err != nil {
		return Entry{}, p.first(err)
	}
	if err := p.fits(c, e, r); err != nil {
		return Entry{}, p.first(err)
	}
	if err := f.Fold(e, digest.Of(r.Bundle)); err != nil {
		return Entry{}, p.first(fault.WithHint(err, wayBack))
	}
	p.Parent = r.ID
	switch {
	case doubt == nil:
		p.doubt = nil
	case p.doubt == nil:
		p.doubt = doubt
	}
	if doubt != nil {
		p.old++
	}
	return e, nil
}

// End is what is wrong where no record follows.
func (p *Replay) End() error {
	if p.doubt == nil || fault.HintOf(p.doubt) != wayBack { // what says more of it is kept
		return p.doubt
	}
	return fault.WithHint(p.doubt, "if the key is a new controller's, get the commit that adds it to the trust file (git pull); if a controller was taken out of the trust file, put it back with revoked: {after: %d, reason: ...} until another controller has written an entry; else compare this ledger branch with another clone's", p.Facts.Count-1)
}

// first is the error that came first: a doubt goes before what it led to.
func (p *Replay) first(err error) error {
	if p.doubt != nil {
		return p.doubt
	}
	return err
}

// signed is the entry in s by somebody who is trusted; or with a doubt, where it is
// by nobody who is trusted now.
func (p *Replay) signed(s Seen) (e Entry, doubt, err error) {
	r := s.Record
	doubt = p.stands(p.Trust, s.believed, r)
	if doubt == nil {
		return s.believed.entry, nil, nil
	}
	if fault.Of(doubt) == fault.Newer { // signed by who is trusted, and not for this program to judge
		return e, nil, unjudged(p.Facts.Count, r, doubt)
	}
	if fault.Of(doubt) == fault.Conflict { // signed by who is trusted, and not for this
		return e, nil, wrong(p.Facts.Count, r, "%w", doubt)
	}
	doubt = wrong(p.Facts.Count, r, "%w", doubt)
	stated, err := Read(r.Bundle)
	if err != nil {
		return e, nil, doubt
	}
	if p.Then != nil {
		if then := p.Then(stated); then != nil && p.stands(*then, then.believe(s.commit, r), r) == nil {
			return stated, doubt, nil
		}
	}
	return stated, doubt, nil
}

// believe is the entry in r by t's word.
func (t Trust) believe(c Commit, r Record) (b believed) {
	signers := map[string]bool{}
	if t.Commit != nil {
		by, err := t.Commit(c)
		if err != nil {
			return believed{doubt: fault.New(fault.Denied, "its commit's signature does not hold: %w", err)}
		}
		signers[by] = true
	}
	stated, by, err := t.Bundle(r.Bundle)
	if err != nil {
		return believed{doubt: fault.New(fault.Denied, "its signature does not hold: %w", err)}
	}
	signers[by.Name] = true
	e, err := Parse(stated)
	if fault.Of(err) == fault.Newer {
		return believed{doubt: err}
	}
	if err != nil {
		return believed{doubt: fault.New(fault.Conflict, "%w", err)}
	}
	if want := RoleOf(e.Action); by.Role != want {
		return believed{doubt: fault.New(fault.Conflict, "a %s is signed in the role %s, and this one is signed by %s in the role %s", e.Action, want, by.Name, by.Role)}
	}
	return believed{entry: e, signers: slices.Sorted(maps.Keys(signers))}
}

// stands is why t does not take b for true at this place. A signer whose word does not count for it is a Conflict.
func (p *Replay) stands(t Trust, b believed, r Record) error {
	if b.doubt != nil || t.Stands == nil {
		return b.doubt
	}
	for _, name := range b.signers {
		err := t.Stands(name, p.Facts.Count, b.entry.Time)
		if err != nil && p.Late != nil {
			p.Late(wrong(p.Facts.Count, r, "it is signed by controller %s, which %w", name, err))
		} else if err != nil {
			return fault.New(fault.Conflict, "it is signed by controller %s, which %w", name, err)
		}
	}
	return nil
}

// fits holds what e says against its place and its commit.
func (p *Replay) fits(c Commit, e Entry, r Record) error {
	f := p.Facts
	if e.Seq == f.Count { // another number is told as such by Fold
		if err := checkTrailers(c.Message, e, digest.Of(r.Bundle)); err != nil {
			return wrong(f.Count, r, "%w", err)
		}
	}
	if f.Count > 0 && e.Time.Before(f.Time.Add(-Skew)) {
		return wrong(f.Count, r, "it is dated %s, and the entry before %s: time does not run backwards",
			e.Time.UTC().Format(time.RFC3339), f.Time.Format(time.RFC3339))
	}
	if e.Action == Approve && p.Approval != nil && !e.ByEnvelope() {
		err := p.Approval(*e.Approval)
		if fault.Of(err) == fault.Newer {
			return unjudged(f.Count, r, err)
		}
		if err != nil {
			return wrong(f.Count, r, "the approval's signature does not hold: %w", err)
		}
	}
	return nil
}

// Verify replays records from the first entry on, and stops at the first one
// that does not hold; its error names it. The report counts what held before.
// With expect, a ledger that was cut short or went another way is Corrupt too.
func Verify(records iter.Seq2[Record, error], trust Trust, expect *Checkpoint) (Report, error) {
	rep := Report{Facts: &Facts{}}
	var late []error
	p := Replay{Trust: trust, Facts: rep.Facts, Late: func(err error) { late = append(late, err) }}
	met := expect == nil || expect.Count == 0
	for r, err := range p.Ahead(records) {
		if err != nil {
			return rep, err
		}
		e, err := p.Take(r)
		if err != nil {
			return rep, err
		}
		rep.Entries, rep.Head, rep.Commit, rep.Vouched = rep.Facts.Count, rep.Facts.Head, r.ID, p.old
		rep.Signatures = rep.Entries - p.old
		rep.Trailers++
		if trust.Commit != nil {
			rep.Commits = rep.Signatures
		}
		if e.Action == Approve && trust.Approval != nil && !e.ByEnvelope() {
			rep.Approvals++
		}
		if expect != nil && rep.Entries == expect.Count {
			met = true
			if rep.Head != expect.Head {
				return rep, fault.WithHint(fault.New(fault.Corrupt, "entry %d: it is %s, and the checkpoint noted %s: the ledger was rewritten or forked",
					e.Seq, rep.Head, expect.Head), "compare this clone's ledger branch with another clone's, and keep the one that holds the checkpoint")
			}
		}
	}
	if err := p.End(); err != nil {
		return rep, err
	}
	if len(late) > 0 {
		return rep, fault.WithHint(fault.New(fault.Corrupt, "%w", errors.Join(late[:min(len(late), mostLate)]...)),
			"look at what each did, and undo it; then put the branch back to the entry before the first of them, or move revoked.after behind those that are right")
	}
	if !met {
		return rep, fault.WithHint(fault.New(fault.Corrupt, "entry %d: it is missing: the ledger ends after %s, and the checkpoint noted %d: its tail was cut",
			rep.Entries, plural.Of(rep.Entries, "entry"), expect.Count), "fetch the ledger branch from a clone that still holds the later entries")
	}
	return rep, nil
}

// mostLate is how many entries are named that came after their signer was revoked.
const mostLate = 16

// wayBack is what to do about an entry that does not hold.
const wayBack = "compare this clone's ledger branch with another clone's: git log shows who wrote the commit; if a key is missing in the trust file, add it"

func orNothing(id string) string {
	if id == "" {
		return "nothing"
	}
	return id
}

func wrong(seq int64, r Record, format string, args ...any) error {
	err := fault.New(fault.Corrupt, "entry %d (commit %s): "+format, append([]any{seq, r.short()}, args...)...)
	if fault.HintOf(err) != "" {
		return err
	}
	return fault.WithHint(err, wayBack)
}

// unjudged is err, which is that a newer program wrote r.
func unjudged(seq int64, r Record, err error) error {
	return fmt.Errorf("entry %d (commit %s): %w", seq, r.short(), err)
}

func (r Record) short() string { return r.ID[:min(len(r.ID), 12)] }
