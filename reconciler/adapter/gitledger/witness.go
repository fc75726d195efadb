// Checkpoints: what the ledger has come to hold is told to places outside of its
// branch, and whoever opens it, a fresh clone too, holds what the branch says against
// the newest that they tell. Who can write the branch can then no longer cut it, put
// another in its place, or have it forgotten.

package gitledger

import (
	"context"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Witness is a place of checkpoints.
type Witness struct {
	Name  string // for people: where it is
	Place port.Witness
	// Required refuses the ledger while the place does not answer; otherwise that is
	// said, and the others have to do.
	Required bool
	Near     bool // on this machine: asked offline, too
	Brief    bool // takes ledger.Brief alone
	// Rest is how long the place is left alone after a checkpoint, unless somebody's
	// approval or a release is on the ledger since; Flush tells it the last.
	Rest time.Duration
}

// Claim is a checkpoint that the ledger is held against.
type Claim struct {
	ledger.Notice
	Where string // the place that told it
	By    string // the controller that signed it; "": this machine noted it
}

// claims are what a Ledger knows of checkpoints. Zero is: not asked yet.
type claims struct {
	asked  bool
	held   []Claim
	unsaid []string // places that told nothing, and why
	noted  int64    // entries, as Memory has them

	told   map[string]time.Time // place -> when it was told last
	owed   map[string]bool      // places that are told when they have rested
	failed map[string]bool      // places of which it was said that they take none
}

// patient is how long a place is waited for.
const patient = 20 * time.Second

// Origin names this ledger in its checkpoints: its remote, or, where it stays in this
// clone, the clone.
func (l *Ledger) Origin() string {
	where := gitremote.Canonical(l.place.Address(l.opts.Remote))
	if where == "" {
		where = "clone/" + l.cloneName()
	}
	return ledger.OriginOf(where, l.opts.Branch)
}

// Claims are the checkpoints that the ledger was held against, and the places that
// told none, with the reason. Facts or Append ask them.
func (l *Ledger) Claims() (held []Claim, unsaid []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.claims.held, l.claims.unsaid
}

// recall asks every place once. It comes before the remote is asked: what it finds
// was pushed before, and so must be there.
func (l *Ledger) recall(ctx context.Context) error {
	if l.claims.asked {
		return nil
	}
	c := claims{asked: true, told: map[string]time.Time{}, owed: map[string]bool{}, failed: map[string]bool{}}
	mine, err := l.memory()
	if err != nil {
		return err
	}
	if mine != nil {
		c.held, c.noted = append(c.held, *mine), mine.Count
	}
	for _, w := range l.opts.Witnesses {
		if l.opts.Offline && !w.Near {
			c.unsaid = append(c.unsaid, w.Name+": not asked, offline")
			continue
		}
		got, err := l.newest(ctx, w)
		switch {
		case ctx.Err() != nil:
			return fault.New(fault.Cancelled, "ask %s for checkpoints: %w", w.Name, ctx.Err())
		case err != nil && w.Required:
			kind := fault.Of(err)
			if kind == fault.Internal || kind == fault.Missing || kind == fault.Cancelled {
				kind = fault.Transient
			}
			return fault.WithHint(fault.New(kind, "%s, whose checkpoint the project requires, does not tell it: %w", w.Name, err),
				"see that the place answers; to go on without it, take it out of spec.ledger.checkpoints.required by a reviewed change")
		case err != nil:
			c.unsaid = append(c.unsaid, fmt.Sprintf("%s: %v", w.Name, err))
			l.opts.Log.Warn("a place of checkpoints does not answer: the ledger is checked against the others alone", "place", w.Name, "error", err)
		case got == nil:
			c.unsaid = append(c.unsaid, w.Name+": it has none yet")
		default:
			c.held = append(c.held, *got)
		}
	}
	l.claims = c
	return nil
}

// newest is the newest checkpoint of this ledger at w; nil where there is none. What
// nobody trusted has signed is as if it were not there, but is no answer by itself.
func (l *Ledger) newest(ctx context.Context, w Witness) (*Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	all, err := w.Place.Newest(ctx)
	if err != nil {
		return nil, err
	}
	var best *Claim
	var bad error
	origin := l.Origin()
	for _, raw := range all {
		n, by, err := ledger.OpenNotice(raw, origin, l.opts.Trusted)
		if err == nil && l.opts.Stands != nil {
			err = l.opts.Stands(by, n.Count-1, n.Time)
		}
		if err != nil {
			bad = err
			continue
		}
		if best == nil || n.Count > best.Count {
			best = &Claim{n, w.Name, by}
		}
	}
	if best == nil && bad != nil {
		return nil, fault.New(fault.Denied, "none of its checkpoints counts: %w", bad)
	}
	return best, nil
}

// hold is Hold of the facts as they are.
func (l *Ledger) hold() error {
	if l.opts.Offline { // nothing was fetched, and what is here may be behind
		return nil
	}
	return l.Hold(l.facts)
}

// Hold refuses facts that do not go through every checkpoint that Claims lists.
func (l *Ledger) Hold(f *ledger.Facts) error {
	for _, c := range l.claims.held {
		if err := c.hold(f, l.opts.Branch); err != nil {
			return l.wayBack(c, err)
		}
	}
	return nil
}

// hold refuses a ledger that is shorter than the checkpoint, or another one.
func (c Claim) hold(f *ledger.Facts, branch string) error {
	by := "noted by this machine"
	if c.By != "" {
		by = "signed by controller " + c.By
	}
	switch head, ok := f.At(c.Count - 1); {
	case f.Count == 0:
		return fault.New(fault.Corrupt, "the ledger branch %s is missing: %s has a checkpoint of %s, %s", branch, c.Where, plural.Of(c.Count, "entry"), by)
	case !ok:
		return fault.New(fault.Corrupt, "the ledger was rolled back: %s ends after %s, and %s has a checkpoint of %d, %s", branch, plural.Of(f.Count, "entry"), c.Where, c.Count, by)
	case head != c.Head:
		return fault.New(fault.Corrupt, "the ledger is another one: entry %d of %s is %s, and %s has a checkpoint, %s, by which it is %s", c.Count-1, branch, head.Short(), c.Where, by, c.Head.Short())
	}
	return nil
}

func (l *Ledger) wayBack(c Claim, err error) error {
	back := "find a clone that still holds entry " + fmt.Sprint(c.Count-1)
	if c.Commit != "" {
		back += fmt.Sprintf(", and push it from there: git push %s +%s:%s", l.opts.Remote, c.Commit, l.branch)
	}
	return fault.WithHint(err, "stop using this branch: %s; to cut the ledger or begin a new one on purpose, use a branch of another name: spec.ledger.branch, by a reviewed change", back)
}
