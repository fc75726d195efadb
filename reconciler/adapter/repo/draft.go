// Commits of Vishwa's own to branches that people work on: a few files put on top of
// a commit. Nothing points at one until a branch is moved.

package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// CommitDraft is a commit that is to be made, by Vishwa <vishwa@localhost>: what people commit is told from it.
type CommitDraft struct {
	Parent  string            // SHA
	Undo    []string          // commits whose changes are taken back, the newest first
	Files   map[string][]byte // path -> content, put over what that leaves of the parent's
	Message string
	Time    time.Time
	Sign    func() (ssh.Signer, error) // nil: not signed
}

// ErrUnchanged says that what is taken back leaves every file as it is.
var ErrUnchanged = errors.New("every file stays as it is")

// Write makes the commit and tells its SHA. One that takes commits back and changes no file by it is ErrUnchanged, a Conflict: whoever
// goes on until nothing is left to take back would go on for ever.
func (r *Repo) Write(ctx context.Context, d CommitDraft) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fault.New(fault.Cancelled, "write a commit: %w", err)
	}
	r.mu.Lock()
	parent, err := r.commit(d.Parent)
	r.mu.Unlock()
	if err != nil {
		return "", fmt.Errorf("write a commit on %s: %w", d.Parent, err)
	}
	root, b := parent.TreeHash, r.place.Objects().Batch()
	for _, sha := range d.Undo {
		if root, err = r.undone(ctx, b, root, sha); err != nil {
			return "", err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(d.Files)) {
		if root, err = b.PutFile(root, path, b.Add(plumbing.BlobObject, d.Files[path])); err != nil {
			return "", fmt.Errorf("write %s in a commit: %w", path, err)
		}
	}
	if len(d.Undo) > 0 && root == parent.TreeHash {
		return "", fault.WithHint(fault.New(fault.Conflict, "take back %s: %w", strings.Join(d.Undo, ", "), ErrUnchanged), "nothing to do: what the commits brought was already taken back")
	}
	who := fmt.Sprintf("%s %d +0000", gitstore.Mailbox("Vishwa", "vishwa@localhost"), d.Time.Unix())
	c := ledger.Commit{Tree: root.String(), Parent: d.Parent, Author: who, Committer: who, Message: strings.TrimRight(d.Message, "\n") + "\n"}
	if d.Sign != nil {
		key, err := d.Sign()
		if err != nil {
			return "", fmt.Errorf("sign a commit: %w", err)
		}
		if c.Signature, err = gitstore.SignCommit(c, key); err != nil {
			return "", fault.New(fault.Internal, "sign a commit: %w", err)
		}
	}
	sha := b.Add(plumbing.CommitObject, []byte(c.String()))
	return sha.String(), b.Save()
}

// Branch is the commit that a branch of this clone is at; "" where it is not there.
func (r *Repo) Branch(name string) (string, error) {
	if err := gitstore.CheckName("branch", name); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ref, err := r.store.Reference(plumbing.NewBranchReferenceName(name))
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", nil
	}
	if err != nil {
		return "", gitstore.Damaged("read branch %s: %w", name, err)
	}
	return ref.Hash().String(), nil
}

// SetBranch moves a branch of this clone from was, "" for one that is not there, to
// sha. One that is elsewhere is a Conflict.
func (r *Repo) SetBranch(ctx context.Context, name, was, sha string) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Cancelled, "move branch %s: %w", name, err)
	}
	now, err := r.Branch(name)
	if err != nil {
		return err
	}
	if now != was {
		return fault.WithHint(fault.New(fault.Conflict, "branch %s has moved meanwhile", name), "run the command again")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ref := plumbing.NewBranchReferenceName(name)
	var old *plumbing.Reference
	if was != "" {
		old = plumbing.NewHashReference(ref, plumbing.NewHash(was))
	}
	if err := r.store.CheckAndSetReference(plumbing.NewHashReference(ref, plumbing.NewHash(sha)), old); err != nil {
		return fault.WithHint(fault.New(fault.Conflict, "move branch %s: %w", name, err), "a branch may be in its way, such as vishwa for vishwa/refresh: rename that branch; or run the command again")
	}
	return nil
}

// Contains tells whether sha is head or came before it.
func (r *Repo) Contains(ctx context.Context, head, sha string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fault.New(fault.Cancelled, "look at history: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old, err := r.commit(sha)
	if err != nil {
		return false, err
	}
	tip, err := r.commit(head)
	if err != nil {
		return false, err
	}
	in, err := old.IsAncestor(tip)
	if err != nil {
		return false, fault.WithHint(fault.New(fault.Missing, "look at history: %w", err), "fetch the history that this clone lacks: git fetch --unshallow")
	}
	return in, nil
}

// Person is who Git's configuration says that the user is; "" where it does not.
func (r *Repo) Person() (name, email string) {
	if r.place.Own == nil {
		return "", ""
	}
	set, err := r.place.Own.Settings(context.Background())
	if err != nil {
		return "", ""
	}
	return set.Last("user.name"), set.Last("user.email")
}
