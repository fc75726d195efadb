// Sessions in Git's own protocol, one a question: which refs a remote has, what is behind one
// of them beyond what is here, and a pack of just the new objects with the refs that they move.

package gitremote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// ErrRefused marks a push that the remote reports as not taken.
var ErrRefused = errors.New("push refused")

const mayPush = "have whoever administers the remote let this account push there: a protected branch, a rule or a hook refuses it"

// unpackLimit is the number of objects from which on a pack is kept whole. Git has
// 100; here a few entries at a time come often, and many at a time seldom.
const unpackLimit = 20

// Upload is a session in which the remote gives; the zero Upload is of one that has nothing yet.
type Upload struct {
	reach   *Reach
	session transport.UploadPackSession
	caps    *capability.List
	Refs    map[string]plumbing.Hash // as advertised
	Peeled  map[string]plumbing.Hash // what annotated tags point to

	underWay chan struct{} // closed when what was asked last has ended
}

// Uploads is the session that was begun with r.Refs.
func Uploads(r *Reach, s transport.UploadPackSession, adv *packp.AdvRefs) *Upload {
	return &Upload{reach: r, session: s, caps: adv.Capabilities, Refs: adv.References, Peeled: adv.Peeled}
}

// Close ends the session.
func (u *Upload) Close() {
	if u.session != nil {
		end(u.session, u.underWay)
		u.reach.Close()
	}
}

// end closes a session, once what was asked in it has ended: it is not for two at once. One that hangs, as with a hook of the remote that
// does not end, is left to itself.
func end(s io.Closer, underWay <-chan struct{}) {
	ended := make(chan struct{})
	fault.Go(func() {
		defer close(ended)
		if underWay != nil {
			<-underWay
		}
		_ = s.Close()
	}, func(error) {}) // nobody waits for what is closed
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
}

// Fetch stores what is behind want beyond the commits that are here.
func (u *Upload) Fetch(ctx context.Context, into storer.Storer, want plumbing.Hash, here ...plumbing.Hash) error {
	req := packp.NewUploadPackRequestFromCapabilities(u.caps)
	req.Wants = append(req.Wants, want)
	for _, h := range here {
		if !h.IsZero() {
			req.Haves = append(req.Haves, h)
		}
	}
	kind, multiplexed := sideband.Sideband64k, u.caps.Supports(capability.Sideband64k)
	if multiplexed {
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return fault.New(fault.Internal, "fetch: %w", err)
		}
	}
	if u.caps.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return fault.New(fault.Internal, "fetch: %w", err)
		}
	}
	underWay := make(chan struct{})
	u.underWay = underWay
	_, err := During(ctx, u.reach, func(ctx context.Context) (none struct{}, err error) {
		defer close(underWay)
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
	return err
}

// storePack stores the objects of a pack: few of them one by one, as Git does, for every
// pack makes every look-up after it slower.
func storePack(into storer.Storer, pack *bufio.Reader) error {
	if head, err := pack.Peek(12); err == nil && binary.BigEndian.Uint32(head[8:]) < unpackLimit {
		into = struct{ storer.Storer }{into} // without its own way to keep a pack whole
	}
	return packfile.UpdateObjectStorage(into, pack)
}

// Receive is a session in which the remote takes.
type Receive struct {
	reach   *Reach
	session transport.ReceivePackSession
	caps    *capability.List
	Refs    map[string]plumbing.Hash // as advertised

	underWay chan struct{} // closed when what was asked last has ended
}

// Receives is the session that was begun with r.Takes.
func Receives(r *Reach, s transport.ReceivePackSession, adv *packp.AdvRefs) *Receive {
	return &Receive{reach: r, session: s, caps: adv.Capabilities, Refs: adv.References}
}

// Close ends the session.
func (r *Receive) Close() {
	end(r.session, r.underWay)
	r.reach.Close()
}

// Push is what a remote is to take: refs to move, and a pack of the objects that it lacks.
// What its first command says counts: what stands beside it without being atomic is a
// courtesy to others.
type Push struct {
	Commands []*packp.Command
	Pack     []byte
	// Fence is a ref that must be where it says: it and the others move, or none. A remote
	// that takes no atomic pushes is asked before: what it advertised must be that. Nil is none.
	Fence *packp.Command
}

// LostLease is the error of a push that the lease was to hold, or of who no longer has it.
func LostLease() error {
	return fault.WithHint(fault.New(fault.Conflict, "the lease is another controller's"), "nothing is lost: what was recorded is found by whoever acts now")
}

// Push has the remote take p. Nothing but its pack is sent, and no history is walked.
func (r *Receive) Push(ctx context.Context, p Push) error {
	req := packp.NewReferenceUpdateRequestFromCapabilities(r.caps)
	req.Commands = p.Commands
	req.Packfile = io.NopCloser(bytes.NewReader(p.Pack))
	if p.Fence == nil {
		return r.send(ctx, req)
	}
	if !r.caps.Supports(capability.Atomic) {
		if r.Refs[p.Fence.Name.String()] != p.Fence.Old {
			return LostLease()
		}
		return r.send(ctx, req)
	}
	req.Commands = append(slices.Clone(req.Commands), p.Fence)
	if err := req.Capabilities.Set(capability.Atomic); err != nil {
		return err
	}
	err := r.send(ctx, req)
	if fault.Of(err) == fault.Denied && strings.Contains(err.Error(), "atomic") {
		return LostLease() // the other half of the push was the lease
	}
	return err
}

func (r *Receive) send(ctx context.Context, req *packp.ReferenceUpdateRequest) error {
	// Why a push is refused is said beside the answer, where the remote can do that.
	var beside heard
	if r.caps.Supports(capability.Sideband64k) {
		req.Progress = &beside
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return fault.New(fault.Internal, "push: %w", err)
		}
	}
	underWay := make(chan struct{})
	r.underWay = underWay
	report, err := During(ctx, r.reach, func(ctx context.Context) (*packp.ReportStatus, error) {
		defer close(underWay)
		return r.session.ReceivePack(ctx, req)
	})
	if report != nil {
		for _, s := range report.CommandStatuses {
			if s.ReferenceName == req.Commands[0].Name && s.Error() == nil {
				return nil
			}
		}
		if err := report.Error(); err != nil {
			if words := beside.said(); words != "" {
				return fault.WithHint(fault.New(fault.Denied, "%w: %s: %s", ErrRefused, Redact(err.Error()), words), mayPush)
			}
			return fault.WithHint(fault.New(fault.Denied, "%w: %s", ErrRefused, Redact(err.Error())), mayPush)
		}
	}
	if err == nil && r.caps.Supports(capability.ReportStatus) { // an empty answer, or one about other refs
		return fault.WithHint(fault.New(fault.Transient, "the remote did not say whether it took %s", req.Commands[0].Name), "try again; see the log of the remote, or of the proxy before it")
	}
	return err
}

// Order has the remote carry out one command, with the objects of pack, and tells whether it
// did. A refusal is no error here: what is asked so is a courtesy.
func (r *Receive) Order(ctx context.Context, c *packp.Command, pack string) (bool, error) {
	req := packp.NewReferenceUpdateRequestFromCapabilities(r.caps)
	req.Commands = []*packp.Command{c}
	if pack != "" {
		req.Packfile = io.NopCloser(strings.NewReader(pack))
	}
	err := r.send(ctx, req)
	if errors.Is(err, ErrRefused) {
		return false, nil
	}
	return err == nil, err
}

// heard is the end of what a remote says while it takes a push: its hooks' words. Git
// shows them to people as "remote: ...".
type heard struct{ text []byte }

const mostHeard = 2 << 10 // bytes

func (h *heard) Write(p []byte) (int, error) {
	h.text = append(h.text, p...)
	if over := len(h.text) - mostHeard; over > 0 {
		h.text = slices.Clone(h.text[over:])
	}
	return len(p), nil
}

// said is it as one line, without what steers a terminal and without credentials.
func (h *heard) said() string {
	var out []string
	for line := range strings.Lines(strings.ToValidUTF8(string(h.text), "?")) {
		line = strings.TrimSpace(harmless.Line(line))
		line = strings.TrimPrefix(line, "error: ")
		if line != "" && !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return Redact(strings.Join(out, " "))
}
