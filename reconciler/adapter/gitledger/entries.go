// The entries of this clone, as they are, for who verifies them anew.

package gitledger

import (
	"context"
	"iter"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sync/semaphore"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
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
		ahead(o.Records(ctx, links, base, from))(yield)
	}
}

// What is read before somebody asks for it: so many records at most, and, where there is more than one, so many bytes.
const (
	mostAhead      = 64
	mostBytesAhead = 16 << 20
)

// ahead reads records while those before them are verified. It has ended when its loop has.
func ahead(records iter.Seq2[ledger.Record, error]) iter.Seq2[ledger.Record, error] {
	type result struct {
		ledger.Record
		err  error
		size int64
	}
	return func(yield func(ledger.Record, error) bool) {
		wanted, enough := context.WithCancel(context.Background()) // until the loop ends: its caller's context ends the records
		room := semaphore.NewWeighted(mostBytesAhead)
		results := make(chan result, mostAhead)
		give := func(r result) bool {
			r.size = min(int64(len(r.Commit)+len(r.Bundle)), mostBytesAhead)
			if room.Acquire(wanted, r.size) != nil {
				return false
			}
			select {
			case results <- r:
				return true
			case <-wanted.Done():
				return false
			}
		}
		fault.Go(func() {
			defer close(results)
			err := fault.Guard(func() error {
				for r, err := range records {
					if !give(result{Record: r, err: err}) {
						break
					}
				}
				return nil
			})
			if err != nil {
				give(result{err: err})
			}
		}, func(error) {}) // what reads them is guarded
		defer func() {
			enough()
			for range results { // until nothing is read any more
			}
		}()
		for r := range results {
			more := yield(r.Record, r.err)
			room.Release(r.size)
			if !more {
				return
			}
		}
	}
}
