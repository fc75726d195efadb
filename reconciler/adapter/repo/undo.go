// Taking back what commits changed, as git revert does, and without a work tree.

package repo

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// mostMerges bounds the files of a commit that were changed since, and whose lines are compared.
const mostMerges = 100

// undone is tree without what a commit changed of its first parent. What was changed since in the same places is a Conflict.
func (r *Repo) undone(ctx context.Context, b *gitstore.Batch, tree plumbing.Hash, sha string) (plumbing.Hash, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.commit(sha)
	if err != nil {
		return tree, err
	}
	if c.NumParents() == 0 {
		return tree, fault.WithHint(fault.New(fault.Conflict, "%.7s is the first commit, and nothing came before it", sha), "take back what it brought by a commit of your own")
	}
	parent, err := c.Parent(0)
	if err != nil {
		return tree, fault.WithHint(fault.New(fault.Missing, "read what came before %.7s: %w", sha, err), "fetch the history that this clone lacks: git fetch --unshallow")
	}
	was, err := parent.Tree()
	if err != nil {
		return tree, gitstore.Damaged("read the tree of %s: %w", parent.Hash, err)
	}
	made, err := c.Tree()
	if err != nil {
		return tree, gitstore.Damaged("read the tree of %s: %w", sha, err)
	}
	changes, err := object.DiffTreeWithOptions(ctx, was, made, nil)
	if err != nil {
		return tree, gitstore.Damaged("compare %.7s with what came before it: %w", sha, err)
	}
	merges := mostMerges
	for _, change := range changes {
		if tree, err = r.undo(b, tree, change, &merges); err != nil {
			return tree, fmt.Errorf("take back %.7s: %w", sha, err)
		}
	}
	return tree, nil
}

// Changed are the files, by path, in which two commits differ.
func (r *Repo) Changed(ctx context.Context, from, to string) (paths []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var trees [2]*object.Tree
	for i, sha := range []string{from, to} {
		c, err := r.commit(sha)
		if err != nil {
			return nil, err
		}
		if trees[i], err = c.Tree(); err != nil {
			return nil, gitstore.Damaged("read the tree of %s: %w", sha, err)
		}
	}
	changes, err := object.DiffTreeWithOptions(ctx, trees[0], trees[1], nil)
	if err != nil {
		return nil, gitstore.Damaged("compare %.7s with %.7s: %w", to, from, err)
	}
	for _, c := range changes {
		paths = append(paths, cmp.Or(c.To.Name, c.From.Name))
	}
	slices.Sort(paths)
	return paths, nil
}

// undo is tree without one change of a file.
func (r *Repo) undo(b *gitstore.Batch, tree plumbing.Hash, change *object.Change, merges *int) (plumbing.Hash, error) {
	path := change.To.Name
	if path == "" {
		path = change.From.Name
	}
	made, was := item(change.To), item(change.From)
	now, err := b.Find(tree, path)
	switch {
	case err != nil:
		return tree, err
	case now == was: // it is taken back already
		return tree, nil
	case now == made:
		return b.Put(tree, path, was)
	}
	if *merges--; *merges >= 0 && now.Mode == made.Mode && now.Mode == was.Mode && (now.Mode == gitstore.FileMode || now.Mode == "100755") {
		var texts [3][]byte
		for i, h := range []plumbing.Hash{made.Hash, now.Hash, was.Hash} {
			if texts[i], err = b.Blob(h); err != nil {
				return tree, err
			}
		}
		if text, ok := merged(texts[0], texts[1], texts[2]); ok {
			return b.Put(tree, path, gitstore.Item{Mode: now.Mode, Hash: b.Add(plumbing.BlobObject, text)})
		}
	}
	return tree, fault.WithHint(fault.New(fault.Conflict, "%s was changed since in the same place", path), "revert by hand: git revert")
}

// item is one side of a change; its zero value is no file.
func item(e object.ChangeEntry) gitstore.Item {
	if e.TreeEntry.Mode == filemode.Empty {
		return gitstore.Item{}
	}
	return gitstore.Item{Mode: fmt.Sprintf("%o", uint32(e.TreeEntry.Mode)), Hash: e.TreeEntry.Hash}
}
