// What a clone lacks of the ledger because it was made without: a shallow one of all
// branches has the newest entry alone, one with a filter has commits without what they
// hold. Git brings such objects one by one; a ledger is had whole by one question.

package gitledger

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"
)

// haves are the commits that the remote may leave out, with all behind them, when it is
// asked for head; nil: all of it is here.
func (l *Ledger) haves(ctx context.Context, head, local, known plumbing.Hash) ([]plumbing.Hash, error) {
	if head.IsZero() {
		return nil, nil
	}
	have := []plumbing.Hash{local, known}
	if l.objects.Store.Partial() {
		for _, tip := range []plumbing.Hash{head, local, known} {
			if tip.IsZero() || tip == head && !l.objects.Has(head) {
				continue
			}
			if whole, err := l.objects.Whole(ctx, tip, l.at); err != nil {
				return nil, err
			} else if !whole {
				return []plumbing.Hash{plumbing.ZeroHash}, nil
			}
		}
	}
	if head == local || l.objects.Has(head) {
		return nil, nil
	}
	return have, nil
}
