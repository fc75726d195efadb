// Remotes are spoken to in Git's own protocol, one session a question: which
// commit the ledger is at, the entries after those that are here, and a pack of
// just the new objects with the commit that they must follow.

package repo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// unpackLimit is the number of objects from which on a pack is kept whole. Git has
// 100; here a few entries at a time come often, and many at a time seldom.
const unpackLimit = 20

func readerOf(s string) io.Reader { return strings.NewReader(s) }

// address is where the ledger is asked for, or given to.
func (l *Ledger) address(push bool) (string, error) {
	if l.url != "" {
		return l.url, nil
	}
	if l.place.own == nil {
		return l.repo.remote(l.opts.Remote), nil
	}
	at, err := l.place.own.Remote(l.opts.Remote)
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
	if web := ep.Protocol == "http" || ep.Protocol == "https"; web && l.place.own != nil {
		if road, err = l.place.own.Road(ctx, l.opts.Remote, at); err != nil {
			return nil, nil, err
		}
	}
	r, err := gitremote.NewReach(ep, l.opts.Paces.OrUsual().Ask, road)
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "remote %s: %s", l.opts.Remote, gitremote.Redact(err.Error())), "use an https, ssh or file URL")
	}
	if l.opts.Credentials == nil || ep.Protocol != "http" && ep.Protocol != "https" {
		if known, ok := l.logins.Load(at); ok {
			return r, known.(*githttp.BasicAuth), nil
		}
		return r, nil, nil
	}
	if l.repo.opts.URL == "" { // what the clone's own configuration names is whoever's could write there
		return nil, nil, fault.New(fault.Internal, "log in to remote %s: nobody said whose the credentials are", l.opts.Remote)
	}
	user, password, err := l.opts.Credentials(ctx)
	if err != nil {
		return nil, nil, err
	}
	return r, &githttp.BasicAuth{Username: user, Password: password}, nil
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
	case errors.Is(err, exec.ErrNotFound):
		return fault.WithHint(fault.New(fault.Missing, "reach remote %s: %s", name, text), "install git, which a remote on this machine is served by")
	default:
		return fault.WithHint(fault.New(fault.Transient, "remote %s does not answer: %s", name, text),
			"try again when it does, or go on with what is here: --offline")
	}
}

// upload is a session in which the remote gives.
type upload struct {
	ledger  *Ledger
	reach   *gitremote.Reach
	session transport.UploadPackSession
	caps    *capability.List
	head    plumbing.Hash // of the ledger branch there; zero where it is not
}

func (u *upload) close() {
	if u.session != nil {
		_ = u.session.Close()
		u.reach.Close()
	}
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
		return &upload{ledger: l}, nil
	}
	if r == nil {
		return nil, err // it was not asked
	}
	if err != nil {
		return nil, l.classed(ctx, err)
	}
	l.hears(s.AdvRefs)
	return &upload{l, r, s.UploadPackSession, s.Capabilities, s.References[l.branch.String()]}, nil
}

// fetch stores what the ledger there has beyond the commits that are here.
func (u *upload) fetch(ctx context.Context, into *store, here ...plumbing.Hash) error {
	req := packp.NewUploadPackRequestFromCapabilities(u.caps)
	req.Wants = append(req.Wants, u.head)
	for _, h := range here {
		if !h.IsZero() {
			req.Haves = append(req.Haves, h)
		}
	}
	kind, multiplexed := sideband.Sideband64k, u.caps.Supports(capability.Sideband64k)
	if multiplexed {
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return fault.New(fault.Internal, "fetch ledger: %w", err)
		}
	}
	if u.caps.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return fault.New(fault.Internal, "fetch ledger: %w", err)
		}
	}
	_, err := gitremote.During(ctx, u.reach, func(ctx context.Context) (none struct{}, err error) {
		resp, err := u.session.UploadPack(ctx, req)
		if err != nil {
			return none, err
		}
		defer resp.Close()
		var body io.Reader = resp
		if multiplexed {
			body = sideband.NewDemuxer(kind, resp)
		}
		return none, storePack(into, bufio.NewReader(body))
	})
	return u.ledger.classed(ctx, err)
}

// storePack stores the objects of a pack: few of them one by one, as Git does, for every
// pack makes every look-up after it slower.
func storePack(into *store, pack *bufio.Reader) error {
	var s storer.Storer = into
	if head, err := pack.Peek(12); err == nil && binary.BigEndian.Uint32(head[8:]) < unpackLimit {
		s = struct{ storer.Storer }{into} // without its own way to keep a pack whole
	}
	return packfile.UpdateObjectStorage(s, pack)
}

// receive is a session in which the remote takes.
type receive struct {
	ledger  *Ledger
	reach   *gitremote.Reach
	session transport.ReceivePackSession
	caps    *capability.List
	refs    map[string]plumbing.Hash // as advertised
	head    plumbing.Hash            // of the ledger branch there; zero where it is not
}

// fence has the remote take the push only where the lease is still where its holder
// left it: both refs move, or none. A remote that takes no atomic pushes is asked
// before: what it advertised must be the holder's.
func (r *receive) fence(req *packp.ReferenceUpdateRequest, name, sha string) error {
	if !r.caps.Supports(capability.Atomic) {
		if r.refs[name].String() != sha {
			return lostLease()
		}
		return nil
	}
	at := plumbing.NewHash(sha)
	req.Commands = append(req.Commands, &packp.Command{Name: plumbing.ReferenceName(name), Old: at, New: at})
	return req.Capabilities.Set(capability.Atomic)
}

func (r *receive) close() {
	_ = r.session.Close()
	r.reach.Close()
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
	return &receive{l, r, s.ReceivePackSession, s.Capabilities, s.References, s.References[l.branch.String()]}, nil
}

// push has the remote move branch from the commit that it advertised to tip.
// Nothing but the batch is sent, and no history is walked.
func (r *receive) push(ctx context.Context, branch plumbing.ReferenceName, tip plumbing.Hash, b *batch, also ...*packp.Command) error {
	pack, err := b.pack()
	if err != nil {
		return err
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(r.caps)
	req.Commands = []*packp.Command{{Name: branch, Old: r.head, New: tip}}
	req.Commands = append(req.Commands, also...)
	req.Packfile = io.NopCloser(bytes.NewReader(pack))
	if r.ledger.opts.Fence == nil {
		return r.send(ctx, req)
	}
	return r.ledger.opts.Fence(func(ref, sha string) error {
		if err := r.fence(req, ref, sha); err != nil {
			return err
		}
		err := r.send(ctx, req)
		if fault.Of(err) == fault.Denied && strings.Contains(err.Error(), "atomic") {
			return lostLease() // the other half of the push was the lease
		}
		return err
	})
}

func (r *receive) send(ctx context.Context, req *packp.ReferenceUpdateRequest) error {
	// Why a push is refused is said beside the answer, where the remote can do that.
	var beside heard
	if r.caps.Supports(capability.Sideband64k) {
		req.Progress = &beside
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return fault.New(fault.Internal, "push: %w", err)
		}
	}
	report, err := gitremote.During(ctx, r.reach, func(ctx context.Context) (*packp.ReportStatus, error) { return r.session.ReceivePack(ctx, req) })
	if report != nil {
		// The first command is the one that counts: what stands beside it without
		// being atomic is a courtesy to others.
		for _, s := range report.CommandStatuses {
			if s.ReferenceName == req.Commands[0].Name && s.Error() == nil {
				return nil
			}
		}
		if err := report.Error(); err != nil {
			if words := beside.said(); words != "" {
				return fault.New(fault.Denied, "%w: %s: %s", errRefused, gitremote.Redact(err.Error()), words)
			}
			return fault.New(fault.Denied, "%w: %s", errRefused, gitremote.Redact(err.Error()))
		}
	}
	return r.ledger.classed(ctx, err)
}
