// The sessions in which a remote gives the ledger and takes new entries of it.

package gitledger

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// upload is a session in which the remote gives.
type upload struct {
	*gitremote.Upload
	ledger *Ledger
	head   plumbing.Hash // of the ledger branch there; zero where it is not
}

func (l *Ledger) uploads(ctx context.Context) (*upload, error) {
	type given struct {
		transport.UploadPackSession
		*packp.AdvRefs
	}
	s, r, err := letIn(ctx, l, false, func(r *gitremote.Reach, auth transport.AuthMethod) (given, error) {
		s, adv, err := r.Refs(ctx, auth)
		return given{s, adv}, err
	})
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		l.hears(nil)
		return &upload{&gitremote.Upload{}, l, plumbing.ZeroHash}, nil
	}
	if r == nil {
		return nil, err // it was not asked
	}
	if err != nil {
		return nil, l.classed(ctx, err)
	}
	l.hears(s.AdvRefs)
	return &upload{gitremote.Uploads(r, s.UploadPackSession, s.AdvRefs), l, s.References[l.branch.String()]}, nil
}

// fetch stores what the ledger there has beyond the commits that are here.
func (u *upload) fetch(ctx context.Context, into *gitstore.Store, here ...plumbing.Hash) error {
	return u.ledger.classed(ctx, u.Fetch(ctx, into, u.head, here...))
}

// receive is a session in which the remote takes.
type receive struct {
	*gitremote.Receive
	ledger *Ledger
	head   plumbing.Hash // of the ledger branch there; zero where it is not
}

func (l *Ledger) receives(ctx context.Context) (*receive, error) {
	type taken struct {
		transport.ReceivePackSession
		*packp.AdvRefs
	}
	s, r, err := letIn(ctx, l, true, func(r *gitremote.Reach, auth transport.AuthMethod) (taken, error) {
		s, adv, err := r.Takes(ctx, auth)
		return taken{s, adv}, err
	})
	if r == nil {
		return nil, err
	}
	if err != nil {
		return nil, l.classed(ctx, err)
	}
	return &receive{gitremote.Receives(r, s.ReceivePackSession, s.AdvRefs), l, s.References[l.branch.String()]}, nil
}

// push has the remote move the ledger's branch from the commit that it advertised to tip,
// with the lease where there is one.
func (r *receive) push(ctx context.Context, tip plumbing.Hash, b *gitstore.Batch, also ...*packp.Command) error {
	pack, err := b.Pack()
	if err != nil {
		return err
	}
	p := gitremote.Push{Commands: append([]*packp.Command{{Name: r.ledger.branch, Old: r.head, New: tip}}, also...), Pack: pack}
	if r.ledger.opts.Fence == nil {
		return r.ledger.classed(ctx, r.Push(ctx, p))
	}
	return r.ledger.opts.Fence(func(ref, sha string) error {
		at := plumbing.NewHash(sha)
		p.Fence = &packp.Command{Name: plumbing.ReferenceName(ref), Old: at, New: at}
		return r.ledger.classed(ctx, r.Push(ctx, p))
	})
}

// order has the remote carry out one command, and tells whether it did.
func (r *receive) order(ctx context.Context, c *packp.Command, pack string) (bool, error) {
	did, err := r.Order(ctx, c, pack)
	return did, r.ledger.classed(ctx, err)
}
