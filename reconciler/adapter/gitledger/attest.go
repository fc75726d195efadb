// Telling how far the ledger has come: this machine's own memory, and the places that
// are told once the remote has an entry.

package gitledger

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// memory is what this machine noted; nil where it noted nothing.
func (l *Ledger) memory() (*Claim, error) {
	if l.opts.Memory == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(l.opts.Memory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "read what this machine noted of the ledger: %w", err), "make the file readable for this user")
	}
	if len(raw) == 0 { // the machine went down before the disk had it
		l.opts.Log.Warn("what this machine noted of the ledger is lost: it is noted anew", "file", l.opts.Memory)
		return nil, nil
	}
	n, err := ledger.ParseText(string(raw))
	if err != nil || n.Origin != l.Origin() {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s is not what this machine notes of the ledger %s", l.opts.Memory, l.Origin()),
			"find out who wrote it; then remove it: it is written anew")
	}
	return &Claim{Notice: n, Where: l.opts.Memory}, nil
}

// settled tells whether the facts are what the remote holds, too.
func (l *Ledger) settled() bool {
	if l.facts.Count == 0 || l.opts.Offline {
		return false
	}
	if l.place.Address(l.opts.Remote) == "" {
		return true
	}
	known, err := l.refs.At(l.tracking)
	return err == nil && known == l.at
}

func (l *Ledger) point() ledger.Notice {
	return ledger.Notice{
		Origin: l.Origin(), Checkpoint: ledger.Checkpoint{Count: l.facts.Count, Head: l.facts.Head},
		Commit: l.at.String(), Time: l.opts.Now().UTC().Truncate(time.Second),
	}
}

// remember has this machine note how far the ledger has come.
func (l *Ledger) remember() error {
	if l.opts.Memory == "" || l.facts.Count <= l.claims.noted || !l.settled() {
		return nil
	}
	// Another process may have come further since it was read.
	if was, err := l.memory(); err != nil || was != nil && was.Count >= l.facts.Count {
		return err
	}
	n := l.point()
	if err := writeFile(l.opts.Memory, []byte(n.Text())); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "note how far the ledger has come: %w", err), "free some space, or make the state folder writable")
	}
	l.claims.noted = l.facts.Count
	l.claims.held = append(l.claims.held[:0:0], l.claims.held...)
	for i := range l.claims.held {
		if l.claims.held[i].By == "" {
			l.claims.held[i].Notice = n
			return nil
		}
	}
	l.claims.held = append(l.claims.held, Claim{Notice: n, Where: l.opts.Memory})
	return nil
}

// attest tells every place how far the ledger has come, once the remote has it. What a
// place does not take is said: the entry is recorded all the same.
func (l *Ledger) attest(ctx context.Context, newest ledger.Action) {
	if err := l.remember(); err != nil {
		l.opts.Log.Warn("this machine cannot note how far the ledger has come", "error", err)
	}
	if l.opts.Controller == "" || l.signer == nil || !l.settled() {
		return
	}
	weighty := newest == ledger.Approve || newest == ledger.Deploy || newest == ledger.Retire
	for _, w := range l.opts.Witnesses {
		if last, ok := l.claims.told[w.Name]; ok && !weighty && l.opts.Now().Sub(last) < w.Rest {
			l.claims.owed[w.Name] = true
			continue
		}
		l.tellPlace(ctx, w)
	}
}

// Flush tells the places that were left alone how far the ledger has come.
func (l *Ledger) Flush(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.opts.Witnesses {
		if l.claims.owed[w.Name] && l.settled() {
			l.tellPlace(ctx, w)
		}
	}
}

func (l *Ledger) tellPlace(ctx context.Context, w Witness) {
	n := l.point()
	if w.Brief {
		n.Commit, n.Time = "", time.Time{}
	}
	raw, err := n.Sign(l.opts.Controller, l.signer, rand.Reader)
	if err == nil {
		err = l.keepAt(ctx, w, n.Count, raw)
	}
	l.claims.told[w.Name] = l.opts.Now()
	delete(l.claims.owed, w.Name)
	if err != nil && !l.claims.failed[w.Name] {
		l.claims.failed[w.Name] = true
		l.opts.Log.Warn("a place does not take the ledger's checkpoint", "place", w.Name, "error", err)
	}
}

func (l *Ledger) keepAt(ctx context.Context, w Witness, count int64, raw []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patient) // the remote has the entry
	defer cancel()
	return w.Place.Keep(ctx, count, raw)
}
