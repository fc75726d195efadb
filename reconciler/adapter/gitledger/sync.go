// How the clone's ledger and the remote's become one, or are found to have parted.

package gitledger

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitchain"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// sync brings facts, the local branch and the remote's to one state.
func (l *Ledger) sync(ctx context.Context) error {
	local, err := l.refs.At(l.branch)
	if err != nil {
		return err
	}
	if l.opts.Offline || l.place.Address(l.opts.Remote) == "" {
		return l.localHead(ctx, local)
	}
	up, err := l.uploads(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	known, err := l.refs.At(l.tracking)
	if err != nil {
		return err
	}
	if here, err := l.haves(ctx, up.head, local, known); err != nil {
		return err
	} else if here != nil {
		if err := up.fetch(ctx, l.objects.Store, here...); err != nil {
			return err
		}
		l.objects.Store.Reindex()
	}
	return l.meet(ctx, local, up.head)
}

// localHead takes in what this clone holds: its branch or, in a fresh clone, what came
// with it of the remote's.
func (l *Ledger) localHead(ctx context.Context, local plumbing.Hash) error {
	if !local.IsZero() {
		return l.follow(ctx, local)
	}
	known, err := l.refs.At(l.tracking)
	if err != nil {
		return err
	}
	if err := l.follow(ctx, known); err != nil {
		return err
	}
	return l.refs.Move(ctx, l.branch, local, known)
}

// meet settles what this clone and the remote hold of the ledger.
func (l *Ledger) meet(ctx context.Context, local, remote plumbing.Hash) error {
	known, err := l.refs.At(l.tracking)
	if err != nil {
		return err
	}
	// What git itself has fetched into a clone that never took a ledger in was verified by
	// nobody: checkpoints say more.
	if fresh := local.IsZero() && l.at.IsZero() && len(l.claims.held) > 0; remote != known && !known.IsZero() && !fresh {
		if ok, err := l.descends(ctx, remote, known); err != nil {
			return err
		} else if !ok {
			return l.rewritten(fmt.Sprintf("the remote's %s was at %s and is at %s", l.opts.Branch, known, orNone(remote)),
				"git push "+l.opts.Remote+" +"+known.String()+":"+l.branch.String()+" puts the entries back that were seen there")
		}
	}
	behind, err := l.descends(ctx, remote, local)
	if err != nil {
		return err
	}
	if behind { // or level
		if err := l.follow(ctx, remote); err != nil {
			return err
		}
		if err := l.refs.Move(ctx, l.tracking, known, remote); err != nil {
			return err
		}
		return l.refs.Move(ctx, l.branch, local, remote)
	}
	if ahead, err := l.descends(ctx, local, remote); err != nil {
		return err
	} else if !ahead {
		save := l.opts.Branch + "-apart"
		return fault.WithHint(fault.New(fault.Conflict, "this clone's %s is at %s and the remote's is at %s: both went on by themselves since they last met",
			l.opts.Branch, local, remote), "keep the local entries aside and take the remote's: git branch %s %s && git branch -f %s %s; then apply again, which records anew what is missing",
			save, l.opts.Branch, l.opts.Branch, remote)
	}
	if err := l.follow(ctx, local); err != nil {
		return err
	}
	return l.pushAhead(ctx, known, local)
}

// pushAhead sends entries that were made while the remote was gone.
func (l *Ledger) pushAhead(ctx context.Context, known, local plumbing.Hash) error {
	if l.opts.Held != nil && !l.opts.Held() {
		return nil // who only looks takes no lease: they wait for who acts
	}
	down, err := l.receives(ctx)
	if err != nil {
		return err
	}
	defer down.Close()
	b, err := l.since(ctx, down.head, local)
	if err != nil {
		return err
	}
	if err := down.push(ctx, local, b); err != nil {
		return err
	}
	return l.refs.Move(ctx, l.tracking, known, local)
}

// since is the objects of the commits after base up to tip.
func (l *Ledger) since(ctx context.Context, base, tip plumbing.Hash) (*gitstore.Batch, error) {
	b := l.objects.Batch()
	links, ok, err := l.objects.Back(ctx, tip, base)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Conflict, "the remote's %s has moved on to %s meanwhile", l.opts.Branch, base), "try again")
	}
	var before plumbing.Hash
	if !base.IsZero() {
		if before, err = l.objects.TreeOf(base); err != nil {
			return nil, err
		}
	}
	for _, k := range links {
		now := plumbing.NewHash(k.Commit.Tree)
		if err := b.CopyTree(now, before); err != nil {
			return nil, err
		}
		b.Add(plumbing.CommitObject, k.Raw)
		before = now
	}
	return b, nil
}

// follow is advance, and holds what it comes to against what was noted elsewhere: a
// branch that does not go through it leaves no trace here.
func (l *Ledger) follow(ctx context.Context, tip plumbing.Hash) error {
	facts, at := l.facts, l.at
	err := l.advance(ctx, tip)
	if err == nil {
		err = l.hold()
	}
	if err != nil {
		l.facts, l.at = facts, at
	}
	return err
}

// advance verifies the entries after at up to tip, and takes them in.
func (l *Ledger) advance(ctx context.Context, tip plumbing.Hash) error {
	if tip == l.at {
		return nil
	}
	was, o := l.at, l.objects
	if was.IsZero() { // all of it
		o = gitchain.Chain{Objects: l.place.ManyObjects()}
		defer o.Close()
	}
	links, ok, err := o.Back(ctx, tip, was)
	if err != nil {
		return err
	}
	if !ok {
		return l.rewritten(fmt.Sprintf("it was at %s and is at %s", was, orNone(tip)),
			"git branch -f "+l.opts.Branch+" "+was.String()+" puts it back")
	}
	if was.IsZero() {
		l.facts = &ledger.Facts{}
	}
	next := l.facts.Clone()
	records, parent := o.Records(ctx, links, was, next.Count), was.String()
	if was.IsZero() {
		parent = ""
	}
	read := 0
	replay := ledger.Replay{Trust: l.trust(ctx), Facts: next, Parent: parent}
	for r, err := range replay.Ahead(records) {
		if err != nil {
			return err
		}
		if _, err := replay.Take(r); err != nil {
			return err
		}
		read += len(r.Bundle)
	}
	if err := replay.End(); err != nil {
		return err
	}
	l.facts, l.at = next, tip
	l.behind += read
	return nil
}
