// Which remote is asked for the ledger, and as who.

package gitledger

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// address is where the ledger is asked for, or given to.
func (l *Ledger) address(push bool) (string, error) {
	if l.url != "" {
		return l.url, nil
	}
	if l.place.Own == nil {
		return l.place.Address(l.opts.Remote), nil
	}
	at, err := l.place.Own.Remote(l.opts.Remote)
	if push || gitremote.Canonical(at.Push) != gitremote.Canonical(at.Fetch) { // the ledger is where it is pushed to
		return at.Push, err
	}
	return at.Fetch, err
}

func (l *Ledger) dial(ctx context.Context, push bool) (*gitremote.Reach, transport.AuthMethod, error) {
	at, err := l.address(push)
	if err != nil {
		return nil, nil, err
	}
	ep, err := transport.NewEndpoint(at)
	if err != nil { // the error may hold the URL, and the URL a password
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "remote %s has a URL that cannot be read", l.opts.Remote), "set it: git remote set-url %s URL", l.opts.Remote)
	}
	var road http.RoundTripper = gitremote.Direct
	if web := ep.Protocol == "http" || ep.Protocol == "https"; web && l.place.Own != nil {
		if road, err = l.place.Own.Road(ctx, l.opts.Remote, at); err != nil {
			return nil, nil, err
		}
		if ep.Password == "" {
			ep.User = "" // a name alone is no login: it says whose is looked for, where one is asked for
		}
	}
	r, err := gitremote.NewReach(ep, l.opts.Paces.OrUsual().Ask, road)
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "remote %s: %s", l.opts.Remote, gitremote.Redact(err.Error())), "use an https, ssh or file URL")
	}
	if ep.Protocol == "ssh" && l.place.Own != nil { // the user's own clone: what is a controller's is reached by no program that a clone names
		if err := l.byProgram(ctx, r); err != nil {
			r.Close()
			return nil, nil, err
		}
	}
	if l.opts.Credentials == nil || ep.Protocol != "http" && ep.Protocol != "https" {
		if known, ok := l.logins.Load(at); ok {
			return r, known.(*githttp.BasicAuth), nil
		}
		return r, nil, nil
	}
	if l.place.URL == "" { // what the clone's own configuration names is whoever's could write there
		return nil, nil, fault.New(fault.Internal, "log in to remote %s: nobody said whose the credentials are", l.opts.Remote)
	}
	user, password, err := l.opts.Credentials(ctx)
	if err != nil {
		return nil, nil, err
	}
	return r, &githttp.BasicAuth{Username: user, Password: password}, nil
}

// byProgram has r go by the program that the user's Git goes by.
func (l *Ledger) byProgram(ctx context.Context, r *gitremote.Reach) error {
	command, err := l.place.Own.SSHCommand(ctx)
	if err != nil || command == "" {
		return err
	}
	variant, err := l.place.Own.SSHVariant(ctx)
	if err != nil {
		return err
	}
	return r.By(command, variant)
}

// classed is err with what happens next, and without credentials.
func (l *Ledger) classed(ctx context.Context, err error) error {
	if err == nil || fault.Of(err) != fault.Internal {
		return err
	}
	name := l.opts.Remote + " (" + l.Remote() + ")"
	if l.url != "" {
		name = l.url
	}
	text := gitremote.Plainly(err)
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "reach remote %s: %w", name, ctx.Err())
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.Is(err, transport.ErrInvalidAuthMethod):
		return fault.WithHint(fault.New(fault.Denied, "remote %s does not let us in: %s", name, text), "check the credentials of the remote")
	case gitremote.Untrusted(text):
		return gitremote.NotTrusted("reach remote "+name, text)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fault.WithHint(fault.New(fault.Transient, "there is no repository at remote %s, or not for this account", name),
			"correct its address (git remote set-url), or its credentials; to go on with what is here: --offline")
	case strings.Contains(text, "invalid gitfile format"): // what Git says of a file where a repository should be
		return fault.WithHint(fault.New(fault.Invalid, "remote %s is a file and no repository, such as a bundle that was cloned: nothing can be pushed to it", name),
			"to use what was cloned of it: --offline; else name a repository: git remote set-url %s URL", l.opts.Remote)
	case strings.HasPrefix(text, "error creating SSH agent"): // go-git's own, which it does not class
		return fault.WithHint(fault.New(fault.Transient, "remote %s is asked over SSH, and no SSH agent has a key: SSH_AUTH_SOCK is not set", name),
			"start an agent and add your key (eval \"$(ssh-agent)\"; ssh-add), or have core.sshCommand of Git name a program; to go on with what is here: --offline")
	case strings.Contains(text, "dubious ownership"):
		return fault.WithHint(fault.New(fault.Transient, "Git does not read remote %s, as its folder belongs to somebody else", name),
			"make the folder your own; or, if you trust whoever owns it: git config --global --add safe.directory FOLDER; to go on with what is here: --offline")
	case strings.Contains(text, "unable to authenticate"):
		return fault.WithHint(fault.New(fault.Denied, "remote %s takes none of the SSH keys that it was offered", name),
			"add the public key of one of them there (ssh-add -l lists them), or have core.sshCommand of Git name a program; to go on with what is here: --offline")
	case errors.Is(err, exec.ErrNotFound):
		return fault.WithHint(fault.New(fault.Missing, "reach remote %s: %s", name, text), "install git, which a remote on this machine is served by")
	default:
		return fault.WithHint(fault.New(fault.Transient, "remote %s does not answer: %s", name, text),
			"try again when it does, or go on with what is here: --offline")
	}
}
