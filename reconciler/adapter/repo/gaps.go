// What a clone lacks of the ledger because it was made without: a shallow one of all
// branches has the newest entry alone, one with a filter has commits without what they
// hold. Git brings such objects one by one; a ledger is had whole by one question.

package repo

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// haves are the commits that the remote may leave out, with all behind them, when it is
// asked for head; nil: all of it is here.
func (l *Ledger) haves(ctx context.Context, head, local, known plumbing.Hash) ([]plumbing.Hash, error) {
	if head.IsZero() {
		return nil, nil
	}
	have := []plumbing.Hash{local, known}
	if l.objects.store.partial() {
		for _, tip := range []plumbing.Hash{head, local, known} {
			if tip.IsZero() || tip == head && !l.objects.has(head) {
				continue
			}
			if whole, err := l.objects.whole(ctx, tip, l.at); err != nil {
				return nil, err
			} else if !whole {
				return []plumbing.Hash{plumbing.ZeroHash}, nil
			}
		}
	}
	if head == local || l.objects.has(head) {
		return nil, nil
	}
	return have, nil
}

// whole tells whether the ledger from tip back to stop is on this machine.
func (o objects) whole(ctx context.Context, tip, stop plumbing.Hash) (bool, error) {
	for at := tip; at != stop && !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return false, fault.New(fault.Cancelled, "read ledger: %w", err)
		}
		if !o.has(at) {
			return false, nil
		}
		k, err := o.link(at)
		if err != nil {
			return false, err
		}
		root := plumbing.NewHash(k.commit.Tree)
		if at != tip && !o.has(root) || at == tip && !o.wholeTree(root) {
			return false, nil
		}
		at = plumbing.NewHash(k.commit.Parent)
	}
	return true, nil
}

func (o objects) wholeTree(root plumbing.Hash) bool {
	if !o.has(root) {
		return false
	}
	items, err := o.tree(root)
	if err != nil {
		return true // what is wrong with it is said by who reads it
	}
	for _, i := range items {
		if i.mode == folderMode && !o.wholeTree(i.hash) || i.mode != folderMode && !o.has(i.hash) {
			return false
		}
	}
	return true
}

// causes are the errors among args.
func causes(args []any) (out []error) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			out = append(out, err)
		}
	}
	return out
}
