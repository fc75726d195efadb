// The entries of this clone, as they are, for who verifies them anew.

package gitledger

import (
	"context"
	"iter"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/machine/gitchain"
)

// descends tells whether tip is base or comes after it.
func (l *Ledger) descends(ctx context.Context, tip, base plumbing.Hash) (bool, error) {
	if base.IsZero() || tip == base {
		return true, nil
	}
	_, ok, err := l.objects.Back(ctx, tip, base)
	return ok, err
}

// Entries are the raw records of this clone's ledger from number from on, for
// log and verify. They are not verified: ledger.Verify does that. The remote is
// not asked. An error ends them.
func (l *Ledger) Entries(ctx context.Context, from int64) iter.Seq2[ledger.Record, error] {
	return func(yield func(ledger.Record, error) bool) {
		o := gitchain.Chain{Objects: l.place.ManyObjects()} // of its own: reading goes on while others append
		defer o.Close()
		fail := func(err error) { yield(ledger.Record{}, err) }
		l.mu.Lock()
		tip, err := l.refs.At(l.branch)
		l.mu.Unlock()
		if err != nil {
			fail(err)
			return
		}
		base := plumbing.ZeroHash
		if from > 0 && !tip.IsZero() {
			if base, err = o.Before(ctx, tip, from); err != nil {
				fail(err)
				return
			}
		}
		links, _, err := o.Back(ctx, tip, base)
		if err != nil {
			fail(err)
			return
		}
		if base.IsZero() {
			from = 0
		}
		o.Records(ctx, links, base, from)(yield)
	}
}
