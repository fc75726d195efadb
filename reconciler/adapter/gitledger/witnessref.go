// Checkpoints under a Git ref, best of another remote: a commit a checkpoint, each
// after the one before, whose message is the signed note. Whoever may force that ref
// can take them back, and so a remote that others administer is worth more.

package gitledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitchain"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// UsualCheckpoints is the ref that keeps checkpoints, unless the project names another.
const UsualCheckpoints = "refs/vishwa/checkpoint"

const (
	behind   = 4 // checkpoints that are looked at, from the newest on
	again    = 3 // times that one is pushed where another came first
	mostNote = 16 << 10
)

// Ref keeps checkpoints under ref of the remote at url, or where that is empty of the
// ledger's own.
func (l *Ledger) Ref(url, ref string) (port.Witness, error) {
	if url != "" {
		if _, err := transport.NewEndpoint(url); err != nil || gitremote.Redact(url) != url {
			return nil, fault.WithHint(fault.New(fault.Invalid, "spec.ledger.checkpoints.remote is not a URL without credentials"), "write an https, ssh or file URL, without user and password")
		}
	} else if l.place.Address(l.opts.Remote) == "" {
		return nil, nil // the ledger stays in this clone
	}
	name := plumbing.ReferenceName(ref)
	if err := name.Validate(); err != nil || !strings.HasPrefix(ref, "refs/") || name == l.branch {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q is not a ref for checkpoints", ref), "write one such as %s in spec.ledger.checkpoints.ref", UsualCheckpoints)
	}
	side := &Ledger{
		opts:  Options{Remote: l.opts.Remote, Branch: ref, Paces: l.opts.Paces, Now: l.opts.Now},
		place: l.place, objects: gitchain.Chain{Objects: l.place.Objects()}, branch: name, url: url,
	}
	if url == "" { // its credentials are for that remote alone
		side.opts.Credentials = l.opts.Credentials
	}
	return refWitness{side}, nil
}

type refWitness struct{ *Ledger }

// Newest implements port.Witness.
func (w refWitness) Newest(ctx context.Context) (out [][]byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	up, err := w.uploads(ctx)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	if !up.head.IsZero() && !w.objects.Has(up.head) {
		if err := up.fetch(ctx, w.objects.Store); err != nil {
			return nil, err
		}
		w.objects.Store.Reindex()
	}
	for at := up.head; !at.IsZero() && len(out) < behind; {
		raw, err := w.objects.Read(plumbing.CommitObject, at)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.branch, err)
		}
		head, note, ok := strings.Cut(string(raw), "\n\n")
		if !ok || len(note) > mostNote {
			return nil, fault.New(fault.Corrupt, "commit %s of %s is not a checkpoint", at, w.branch)
		}
		out = append(out, []byte(note))
		_, parent, _ := strings.Cut(head, "\nparent ")
		parent, _, _ = strings.Cut(parent, "\n")
		at = plumbing.NewHash(parent)
	}
	return out, nil
}

// Keep implements port.Witness.
func (w refWitness) Keep(ctx context.Context, _ int64, note []byte) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range again {
		if err = w.keep(ctx, note); !errors.Is(err, gitremote.ErrRefused) {
			return err
		}
	}
	return err
}

func (w refWitness) keep(ctx context.Context, note []byte) error {
	down, err := w.receives(ctx)
	if err != nil {
		return err
	}
	defer down.Close()
	b := w.objects.Batch()
	text := "tree " + b.Add(plumbing.TreeObject, nil).String() + "\n"
	if !down.head.IsZero() {
		text += "parent " + down.head.String() + "\n"
	}
	who := fmt.Sprintf("%s %d +0000", gitstore.Mailbox("Vishwa", "vishwa@localhost"), w.opts.Now().Unix())
	text += "author " + who + "\ncommitter " + who + "\n\n" + string(note)
	return down.push(ctx, b.Add(plumbing.CommitObject, []byte(text)), b)
}
