// Tags of the remote: names that others read, each a signed object that points to a commit which the
// remote has. They are no part of the ledger, and nothing here reads one back.

package gitledger

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const tagged = "refs/tags/"

// peeled is how a remote advertises what an annotated tag points to.
const peeled = "^{}"

// Tags implements port.Tagger. Where the clone has no remote, there are none, and none can be made.
func (l *Ledger) Tags(ctx context.Context) (map[string]string, error) {
	if l.place.Address(l.opts.Remote) == "" {
		return nil, fault.WithHint(fault.New(fault.Missing, "tags are kept on the remote %s, and there is none", l.opts.Remote), "add it: git remote add %s URL", l.opts.Remote)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	up, err := l.uploads(ctx)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	out := map[string]string{}
	for ref, at := range up.Refs {
		if name, is := strings.CutPrefix(ref, tagged); is {
			out[name] = at.String()
		}
	}
	for ref, at := range up.Peeled {
		if name, is := strings.CutPrefix(strings.TrimSuffix(ref, peeled), tagged); is {
			out[name] = at.String()
		}
	}
	return out, nil
}

// Tag implements port.Tagger.
func (l *Ledger) Tag(ctx context.Context, tags ...port.Tag) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	signer, err := l.signs()
	if err != nil {
		return fmt.Errorf("sign tags: %w", err)
	}
	b := l.objects.Batch()
	var moves []*packp.Command
	for _, t := range tags {
		ref := plumbing.ReferenceName(tagged + t.Name)
		if err := ref.Validate(); err != nil || !plumbing.IsHash(t.Commit) {
			return fault.New(fault.Denied, "%q is not a name that a tag can have, or %q is not a commit", t.Name, t.Commit)
		}
		raw, err := gitstore.SignTag(fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger %s %d +0000\n\n%s\n", t.Commit, t.Name, gitstore.Mailbox(l.opts.Name, l.opts.Email), t.Time.Unix(), strings.TrimSpace(t.Message)), signer)
		if err != nil {
			return fault.New(fault.Internal, "sign tag %s: %w", t.Name, err)
		}
		moves = append(moves, &packp.Command{Name: ref, New: b.Add(plumbing.TagObject, []byte(raw))})
	}
	pack, err := b.Pack()
	if err != nil {
		return err
	}
	down, err := l.receives(ctx)
	if err != nil {
		return err
	}
	defer down.Close()
	return l.classed(ctx, down.Push(ctx, gitremote.Push{Commands: moves, Pack: pack}))
}
