// A ledger that is moved to another branch goes on there: what a branch of another name holds.

package gitledger

import "context"

// Continues tells whether l holds all that other holds, as of when the two were read last,
// and how many entries that are.
func (l *Ledger) Continues(ctx context.Context, other *Ledger) (ok bool, entries int64, err error) {
	other.mu.Lock()
	at, entries := other.at, other.facts.Count
	other.mu.Unlock()
	if entries == 0 {
		return true, 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() {
		return false, entries, nil
	}
	ok, err = l.descends(ctx, l.at, at)
	return ok, entries, err
}
