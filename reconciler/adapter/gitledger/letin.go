// Asking a remote of the user's own clone: without a login first and, where it wants one, with that of
// ~/.netrc or the one that Git's helpers know, as Git itself does.

package gitledger

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

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
	if found := gitremote.Netrc(at); found != nil {
		if r, _, err = l.dial(ctx, push); err != nil {
			return none, nil, err
		}
		if s, err = ask(r, found); !shutOut(err) {
			l.keepLogin(at, found, err)
			return s, r, err
		}
	}
	known, err := l.place.Own.Fill(ctx, at)
	if err != nil {
		return none, nil, err
	}
	if r, _, err = l.dial(ctx, push); err != nil {
		return none, nil, err
	}
	if s, err = ask(r, known.Auth); letPass(err) || shutOut(err) {
		l.place.Own.ReportLogin(ctx, known, letPass(err))
	}
	l.keepLogin(at, known.Auth, err)
	return s, r, err
}

// shutOut tells whether the remote did not take a login.
func shutOut(err error) bool {
	return errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed)
}

// letPass tells whether it did, be it for a repository that has nothing yet.
func letPass(err error) bool { return err == nil || errors.Is(err, transport.ErrEmptyRemoteRepository) }

// keepLogin has the next question begin with a login that the remote took.
func (l *Ledger) keepLogin(at string, login *githttp.BasicAuth, err error) {
	if letPass(err) {
		l.logins.Store(at, login)
	}
}
