// Append signs an entry, commits it and has the remote take it in, or starts
// over on top of what others wrote meanwhile. The remote goes first and this
// clone's branch follows: whoever is killed in between finds the entry there.

package gitledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

const (
	patience = time.Minute // for the line of writers to move
	unmoved  = 4           // pushes refused while the branch stood still, before that is the remote's last word
)

// Append records e: it is given its number, the digest of the entry before and
// the time, and comes back as it was recorded. An empty ledger gets its genesis
// first. Where the remote cannot be reached, the entry is recorded in this clone,
// to be pushed on the next occasion, and comes back with a Transient error.
func (l *Ledger) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unlock, err := l.lock(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	defer unlock()
	if err := l.load(); err != nil {
		return ledger.Entry{}, err
	}
	if err := l.recall(ctx); err != nil {
		return ledger.Entry{}, fmt.Errorf("append to ledger: %w", err)
	}
	if e.Action != ledger.Genesis {
		if err := l.begin(ctx, e); err != nil {
			return ledger.Entry{}, fmt.Errorf("begin ledger: %w", err)
		}
	}
	got, err := l.append(ctx, e)
	if err != nil {
		return got, fmt.Errorf("append to ledger: %w", err)
	}
	l.attest(ctx, got.Action)
	return got, nil
}

// begin sees to it that the ledger has its first entry. Where there is a remote
// that this clone has not heard of yet, it is asked: two firsts never meet.
func (l *Ledger) begin(ctx context.Context, e ledger.Entry) error {
	local, err := l.refs.At(l.branch)
	if err != nil || !local.IsZero() {
		return err
	}
	if err := l.sync(ctx); err != nil || l.facts.Count > 0 {
		return err
	}
	if l.opts.Offline && l.place.Address(l.opts.Remote) != "" {
		return fault.WithHint(fault.New(fault.Transient, "this clone has never seen the ledger of remote %s", l.opts.Remote), "ask the remote once: run the command without --offline")
	}
	first := ledger.Entry{Action: ledger.Genesis, Revision: e.Revision, Author: e.Author, Actor: e.Actor, PullRequest: e.PullRequest, Reason: "the ledger begins"}
	_, err = l.append(ctx, first)
	if l.facts.Count > 0 { // here alone, to be pushed with what follows; or begun by another at the same time
		return nil
	}
	return err
}

func (l *Ledger) append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	local := l.opts.Offline || l.place.Address(l.opts.Remote) == ""
	deadline := l.opts.Now().Add(patience)
	still := 0
	var at plumbing.Hash // where the branch was when a push was refused
	q := &pushQueue{ledger: l, ahead: math.MaxInt}
	defer func() { q.leave(ctx) }()
	for try := 0; ; try++ {
		got, lost, err := l.attempt(ctx, e, q, local)
		if lost == nil || err != nil {
			return got, err
		}
		if lost.pushed {
			if lost.at == at && q.lost {
				still++
			} else {
				still = 0
			}
			at, q.lost = lost.at, true
		}
		if q.nearer {
			deadline = l.opts.Now().Add(patience)
		}
		if still >= unmoved || l.opts.Now().After(deadline) {
			return ledger.Entry{}, lost.refusal(l.opts.Branch, still > 0)
		}
		if err := pause(ctx, lost.wait); err != nil {
			return ledger.Entry{}, err
		}
	}
}

// attempt tries once. A push that the remote did not take is lost: e is not
// recorded anywhere.
func (l *Ledger) attempt(ctx context.Context, e ledger.Entry, q *pushQueue, local bool) (ledger.Entry, *lost, error) {
	here, err := l.refs.At(l.branch)
	if err != nil {
		return e, nil, err
	}
	if local {
		if err := l.advance(ctx, here); err != nil {
			return e, nil, err
		}
		next, err := l.write(ctx, e)
		if err != nil {
			return e, nil, err
		}
		return next.entry, nil, l.setHead(ctx, next, here, false)
	}
	down, err := l.receives(ctx)
	if err != nil {
		return l.keep(ctx, e, here, err)
	}
	defer down.Close()
	mine, wait, err := q.turn(ctx, down)
	switch {
	case err != nil:
		return e, nil, err
	case !mine && wait <= soon: // what others wrote is taken in while there is time
		return e, &lost{wait: wait / 2}, l.sync(ctx)
	case !mine:
		return e, &lost{wait: wait}, nil
	}
	if down.head == here {
		if err := l.advance(ctx, here); err != nil {
			return e, nil, err
		}
	} else {
		if err := l.sync(ctx); err != nil {
			return l.keep(ctx, e, here, err)
		}
		if here, err = l.refs.At(l.branch); err != nil {
			return e, nil, err
		}
		if down.head != here { // it moved while we looked: ask again
			return e, &lost{wait: shortWait}, nil
		}
	}
	next, err := l.write(ctx, e)
	if err != nil {
		return e, nil, err
	}
	// Objects are written here while the remote takes them in: until a ref points
	// at them nobody sees them. Adopt asks again, and reports what went wrong.
	failpoint.At(failpoint.Written)
	stored := make(chan error, 1)
	fault.Go(func() { stored <- next.batch.Save() }, func(err error) { stored <- err })
	err = down.push(ctx, next.commit, next.batch, q.served()...)
	<-stored
	if errors.Is(err, gitremote.ErrRefused) { // by the remote's own word: nothing was taken in
		return e, &lost{pushed: true, at: here, wait: shortWait, cause: err}, nil
	}
	if err != nil {
		return l.after(ctx, e, next, here, err)
	}
	q.mine = ""
	failpoint.At(failpoint.Pushed)
	return next.entry, nil, l.setHead(ctx, next, here, true)
}

// after looks at what a failed push came to: where the branch is tells more than
// the error's text.
func (l *Ledger) after(ctx context.Context, e ledger.Entry, next *written, here plumbing.Hash, cause error) (ledger.Entry, *lost, error) {
	if ctx.Err() != nil {
		return e, nil, fault.New(fault.Cancelled, "push ledger: %w", ctx.Err())
	}
	up, err := l.uploads(ctx)
	if err != nil { // the remote may have taken the entry; the same commit is kept here
		return next.entry, nil, l.recheck(l.setHead(ctx, next, here, false), err)
	}
	defer up.Close()
	switch up.head {
	case next.commit:
		return next.entry, nil, l.setHead(ctx, next, here, true)
	case here:
		return e, &lost{pushed: true, at: here, wait: shortWait, cause: cause}, nil
	}
	if err := l.sync(ctx); err != nil {
		return e, nil, err
	}
	if in, err := l.descends(ctx, l.at, next.commit); err != nil || in { // taken in, and followed by others since
		return next.entry, nil, err
	}
	return e, &lost{wait: shortWait, cause: cause}, nil
}

// keep records e in this clone alone where err is that the remote cannot be reached.
func (l *Ledger) keep(ctx context.Context, e ledger.Entry, here plumbing.Hash, err error) (ledger.Entry, *lost, error) {
	if fault.Of(err) != fault.Transient {
		return e, nil, err
	}
	if err := l.advance(ctx, here); err != nil {
		return e, nil, err
	}
	next, bad := l.write(ctx, e)
	if bad != nil {
		return e, nil, bad
	}
	return next.entry, nil, l.recheck(l.setHead(ctx, next, here, false), err)
}

func (l *Ledger) recheck(bad, remote error) error {
	if bad != nil {
		return bad
	}
	return fault.WithHint(fault.New(fault.Transient, "entry %d is recorded in this clone and not pushed: %w", l.facts.Count-1, remote),
		"run the same command again when the remote answers: nothing is done twice")
}

// written is an entry with its objects, not visible to anyone yet.
type written struct {
	entry  ledger.Entry
	bundle digest.Digest
	batch  *gitstore.Batch
	commit plumbing.Hash
}

// write makes the entry that follows the facts, which are first put to Recheck:
// others may have written since the caller last looked.
func (l *Ledger) write(ctx context.Context, e ledger.Entry) (*written, error) {
	if err := l.hold(); err != nil {
		return nil, err
	}
	if e.Action == ledger.Genesis && l.facts.Count > 0 {
		return nil, fault.WithHint(fault.New(fault.Conflict, "the ledger has begun already"), "run the command again: it goes on from the first entry that is there")
	}
	if err := ledger.Stale(l.facts, e); err != nil {
		return nil, err
	}
	e = ledger.Recheck(l.facts, e)
	e.Seq, e.Prev, e.Time = l.facts.Count, l.facts.Head, l.opts.Now().UTC().Truncate(time.Millisecond)
	if e.Time.Before(l.facts.Time) { // another's clock goes before ours
		e.Time = l.facts.Time
	}
	if l.opts.Stands != nil && l.opts.Controller != "" {
		if err := l.opts.Stands(l.opts.Controller, e.Seq, e.Time); err != nil {
			return nil, fault.WithHint(fault.New(fault.Denied, "write entry %d: controller %s %w", e.Seq, l.opts.Controller, err), "act with the keys of a controller whose term goes on")
		}
	}
	stated, err := ledger.Statement(e)
	if err != nil {
		return nil, err
	}
	if e, err = ledger.Parse(stated); err != nil { // as everybody else will read it
		return nil, err
	}
	if l.opts.Signer == nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "sign entry %d: there is no signer", e.Seq), "name the folder of this controller's keys in VISHWA_KEYS, or make keys: vishwa keys generate")
	}
	bundle, err := l.opts.Signer.Sign(ctx, ledger.RoleOf(e.Action), stated)
	if err != nil {
		return nil, fmt.Errorf("sign entry %d: %w", e.Seq, err)
	}
	w := &written{entry: e, bundle: digest.Of(bundle), batch: l.objects.Batch()}
	var root plumbing.Hash
	if !l.at.IsZero() {
		if root, err = l.objects.TreeOf(l.at); err != nil {
			return nil, err
		}
	}
	if root, err = w.batch.PutFile(root, ledger.Path(e.Seq), w.batch.Add(plumbing.BlobObject, bundle)); err != nil {
		return nil, err
	}
	name, text, err := ledger.FactFile(e)
	if err != nil {
		return nil, err
	}
	if name != "" {
		if root, err = w.batch.PutFile(root, name, w.batch.Add(plumbing.BlobObject, text)); err != nil {
			return nil, err
		}
	}
	raw, err := l.sign(e, w.bundle, root)
	if err != nil {
		return nil, err
	}
	w.commit = w.batch.Add(plumbing.CommitObject, raw)
	if l.opts.Wrote != nil {
		before := ""
		if !l.at.IsZero() {
			before = l.at.String()
		}
		l.opts.Wrote(before, w.commit.String())
	}
	return w, nil
}

// setHead makes w visible: its objects, then the branch, then the facts.
func (l *Ledger) setHead(ctx context.Context, w *written, here plumbing.Hash, pushed bool) error {
	if err := w.batch.Save(); err != nil {
		return err
	}
	if pushed {
		// What the remote took in is not undone by a caller that gave up meanwhile.
		ctx = context.WithoutCancel(ctx)
		known, err := l.refs.At(l.tracking)
		if err != nil {
			return err
		}
		if err := l.refs.Move(ctx, l.tracking, known, w.commit); err != nil {
			return err
		}
	}
	if err := l.refs.Move(ctx, l.branch, here, w.commit); err != nil {
		return err
	}
	if err := l.facts.Fold(w.entry, w.bundle); err != nil {
		return err
	}
	l.at = w.commit
	return nil
}
