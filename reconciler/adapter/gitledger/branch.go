// Branches beside the ledger's, on which files are delivered that somebody else applies: one signed commit a change, on
// top of whatever others wrote there. Who asks for one says its name in a pull request, so the name is held against all
// that such a commit must never land on.

package gitledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitchain"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Delivers is the branch of that name, at the remote of the repository, or in this clone where it has none. Tracked are branches
// that declare what is wanted: nothing is delivered on them, nor on the remote's own.
func (l *Ledger) Delivers(name string, tracked ...string) (port.Branch, error) {
	why := schemas.GitDelivery{Branch: name}.Reserved(l.opts.Branch)
	for _, other := range tracked {
		if strings.EqualFold(name, other) {
			why = declares
		}
	}
	if err := gitstore.CheckName("branch", name); why == "" && err != nil {
		return nil, err
	}
	if why != "" {
		return nil, reserved(name, why)
	}
	remote := l.place.Remote // the ledger's may be one for the ledger alone
	if l.place.Address(remote) == "" {
		remote = l.opts.Remote
	}
	o := Options{
		Remote: remote, Branch: name, Offline: l.opts.Offline, SSH: l.opts.SSH, Credentials: l.opts.Credentials,
		Fence: l.opts.Fence, Paces: l.opts.Paces, Name: l.opts.Name, Email: l.opts.Email, Now: l.opts.Now,
	}
	objects := gitchain.Chain{Objects: l.place.Objects()}
	return delivered{&Ledger{
		opts: o, place: l.place, objects: objects, refs: gitstore.Refs{Place: l.place, Store: objects.Store, Now: o.Now},
		branch:   plumbing.NewBranchReferenceName(name),
		tracking: plumbing.NewRemoteReferenceName(remote, name),
	}}, nil
}

const declares = "is where declarations are: what is delivered there would be declared, or deploy itself"

func reserved(name, why string) error {
	return fault.WithHint(fault.New(fault.Denied, "deliver on branch %s: it %s", name, why), "name a branch of its own in spec.delivery.git.branch, such as environments/production")
}

// delivered is such a branch: a ledger's way to a remote, and nothing of what it means.
type delivered struct{ *Ledger }

// Read implements port.Branch.
func (b delivered) Read(ctx context.Context, path string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tip, err := b.tip(ctx)
	if err != nil {
		return nil, err
	}
	return b.file(tip, path)
}

// Write implements port.Branch.
func (b delivered) Write(ctx context.Context, path string, was, content []byte, message string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for try := 1; ; try++ {
		tip, err := b.tip(ctx)
		if err != nil {
			return err
		}
		has, err := b.file(tip, path)
		switch {
		case err != nil:
			return err
		case bytes.Equal(has, content) && (has == nil) == (content == nil):
			return nil
		case !bytes.Equal(has, was) || (has == nil) != (was == nil):
			return fault.WithHint(fault.New(fault.Conflict, "%s of branch %s has changed meanwhile", path, b.opts.Branch), "run vishwa apply again")
		}
		moved, err := b.commitFile(ctx, tip, path, content, message)
		if err == nil && !moved {
			return nil
		}
		if err != nil && !errors.Is(err, gitremote.ErrRefused) || try == again { // who else pushed a moment ago has it refused as well
			return b.lost(err)
		}
	}
}

func (b delivered) lost(err error) error {
	switch {
	case errors.Is(err, gitremote.ErrRefused):
		return fault.WithHint(err, "allow the account that Vishwa pushes with to write to branch %s; its protection, or a hook, refuses that", b.opts.Branch)
	case err == nil:
		return fault.WithHint(fault.New(fault.Transient, "branch %s moves on each time that it is written to", b.opts.Branch), "run vishwa apply again")
	}
	return err
}

// local tells whether the branch is one of this clone.
func (b delivered) local() bool { return b.place.Address(b.opts.Remote) == "" }

// own are the names of branches that the remote's own may be: what it says, or else what it is called nearly everywhere, and
// what it was when this clone was made.
func (b delivered) own() []string {
	if told := b.told.Load(); told != nil && told.Own != "" {
		return []string{told.Own}
	}
	names := []string{"main", "master"}
	tracks := "refs/remotes/" + b.opts.Remote + "/"
	if head, err := b.objects.Store.Reference(plumbing.ReferenceName(tracks + "HEAD")); err == nil {
		if name, is := strings.CutPrefix(head.Target().String(), tracks); is {
			names = append(names, name)
		}
	}
	return names
}

// tip is the commit that the branch is at, which is here then; the zero hash where there is none.
func (b delivered) tip(ctx context.Context) (plumbing.Hash, error) {
	if head, err := b.objects.Store.Reference(plumbing.HEAD); err == nil && b.local() && head.Target() == b.branch {
		return plumbing.ZeroHash, reserved(b.opts.Branch, declares)
	}
	if b.local() {
		return b.refs.At(b.branch)
	}
	if b.opts.Offline {
		return plumbing.ZeroHash, fault.WithHint(fault.New(fault.Transient, "what is on branch %s is the remote's to say", b.opts.Branch), "ask it: run the command without --offline")
	}
	up, err := b.uploads(ctx)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer up.Close()
	if slices.ContainsFunc(b.own(), func(name string) bool { return strings.EqualFold(name, b.opts.Branch) }) {
		return plumbing.ZeroHash, reserved(b.opts.Branch, declares)
	}
	if up.head.IsZero() {
		return up.head, nil
	}
	known, err := b.known()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if known == up.head || b.objects.Store.Partial() && b.objects.Has(up.head) {
		return up.head, nil
	}
	if err := up.fetch(ctx, b.objects.Store, known); err != nil {
		return plumbing.ZeroHash, err
	}
	b.objects.Store.Reindex()
	return up.head, b.follows(ctx, up.head)
}

// known is the commit of the branch that is here with all behind it, where it was last fetched, by whatever process: only what came
// since is fetched again. A clone that leaves out a part of its history knows of none.
func (b delivered) known() (plumbing.Hash, error) {
	at, err := b.refs.At(b.tracking)
	if err != nil || b.objects.Store.Partial() || !at.IsZero() && !b.objects.Has(at) {
		return plumbing.ZeroHash, err
	}
	return at, nil
}

// follows notes that the branch was seen at a commit that is here. Where somebody else notes it, or has a branch in its way, it is
// fetched once more.
func (b delivered) follows(ctx context.Context, to plumbing.Hash) error {
	at, err := b.refs.At(b.tracking)
	if err != nil {
		return err
	}
	if err := b.refs.Move(ctx, b.tracking, at, to); err != nil && fault.Of(err) != fault.Conflict {
		return err
	}
	return nil
}

// file is the content of the plain file at path of a commit; nil where there is none.
func (b delivered) file(tip plumbing.Hash, path string) ([]byte, error) {
	if tip.IsZero() {
		return nil, nil
	}
	at, err := b.treeOf(tip)
	if err != nil {
		return nil, err
	}
	for name, rest, deeper := strings.Cut(path, "/"); ; name, rest, deeper = strings.Cut(rest, "/") {
		items, err := b.objects.Tree(at)
		if err != nil {
			return nil, err
		}
		n := slices.IndexFunc(items, func(i gitstore.Item) bool { return i.Name == name })
		if n < 0 {
			return nil, nil
		}
		switch i := items[n]; {
		case deeper && i.Mode != gitstore.FolderMode, !deeper && i.Mode != gitstore.FileMode:
			return nil, fault.WithHint(fault.New(fault.Conflict, "%s of branch %s is in the way of what is delivered: it is no plain file in plain folders", path, b.opts.Branch),
				"remove it there, or name another folder in spec.delivery.git.path")
		case !deeper:
			return b.objects.Read(plumbing.BlobObject, i.Hash)
		default:
			at = i.Hash
		}
	}
}

// treeOf is the tree of a commit, by whomever.
func (b delivered) treeOf(commit plumbing.Hash) (plumbing.Hash, error) {
	raw, err := b.objects.Read(plumbing.CommitObject, commit)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	name, is := strings.CutPrefix(line, "tree ")
	if !is || !plumbing.IsHash(name) {
		return plumbing.ZeroHash, gitstore.Damaged("commit %s of branch %s names no tree", commit, b.opts.Branch)
	}
	return plumbing.NewHash(name), nil
}

// commitFile is one commit on tip; moved tells that the branch is not at tip any more.
func (b delivered) commitFile(ctx context.Context, tip plumbing.Hash, path string, content []byte, message string) (moved bool, err error) {
	batch := b.objects.Batch()
	commit, err := b.draft(batch, tip, path, content, message)
	if err != nil {
		return false, err
	}
	if b.local() {
		if err := batch.Save(); err != nil {
			return false, err
		}
		return false, b.refs.Move(ctx, b.branch, tip, commit)
	}
	down, err := b.receives(ctx)
	if err != nil {
		return false, err
	}
	defer down.Close()
	if down.head != tip {
		return true, nil
	}
	if err := down.push(ctx, commit, batch); err != nil {
		return false, err
	}
	if err := batch.Save(); err != nil {
		return false, err
	}
	return false, b.follows(ctx, commit)
}

// draft is the commit, in batch.
func (b delivered) draft(batch *gitstore.Batch, tip plumbing.Hash, path string, content []byte, message string) (none plumbing.Hash, err error) {
	var root plumbing.Hash
	if !tip.IsZero() {
		if root, err = b.treeOf(tip); err != nil {
			return none, err
		}
	}
	if content == nil {
		root, err = batch.DropFile(root, path)
	} else {
		root, err = batch.PutFile(root, path, batch.Add(plumbing.BlobObject, content))
	}
	if err != nil {
		return none, err
	}
	if root.IsZero() {
		root = batch.Add(plumbing.TreeObject, nil)
	}
	signer, err := b.signs()
	if err != nil {
		return none, fmt.Errorf("sign a commit for branch %s: %w", b.opts.Branch, err)
	}
	who := fmt.Sprintf("%s %d +0000", gitstore.Mailbox(b.opts.Name, b.opts.Email), b.opts.Now().Unix())
	c := ledger.Commit{Tree: root.String(), Author: who, Committer: who, Message: strings.TrimRight(message, "\n") + "\n"}
	if !tip.IsZero() {
		c.Parent = tip.String()
	}
	if c.Signature, err = gitstore.SignCommit(c, signer); err != nil {
		return none, fault.New(fault.Internal, "sign a commit for branch %s: %w", b.opts.Branch, err)
	}
	return batch.Add(plumbing.CommitObject, []byte(c.String())), nil
}
