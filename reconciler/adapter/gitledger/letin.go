// Asking a remote of the user's own clone: without a login first, and with the one that Git's helpers
// know where it wants one.

package gitledger

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// letIn asks the remote, with a login only where it wants one. Without a reach, it was not
// asked (again).
func letIn[S any](ctx context.Context, l *Ledger, push bool, ask func(*gitremote.Reach, transport.AuthMethod) (S, error)) (S, *gitremote.Reach, error) {
	var none S
	r, auth, err := l.dial(ctx, push)
	if err != nil {
		return none, nil, err
	}
	s, err := ask(r, auth)
	if err == nil || l.place.Own == nil || !errors.Is(err, transport.ErrAuthenticationRequired) || l.opts.Credentials != nil {
		return s, r, err
	}
	at, err := l.address(push)
	if err != nil {
		return none, nil, err
	}
	known, err := l.place.Own.Fill(ctx, at)
	if err != nil {
		return none, nil, err
	}
	if r, _, err = l.dial(ctx, push); err != nil {
		return none, nil, err
	}
	s, err = ask(r, known.Auth)
	refused := errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed)
	if err == nil || refused {
		l.place.Own.ReportLogin(ctx, known, err == nil)
	}
	if err == nil {
		l.logins.Store(at, known.Auth)
	}
	return s, r, err
}
