// What was committed to a branch by itself, merge by merge.

package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Merges lists the first parents of head, itself first, back to since, which is left
// out; at most n. A shallow clone ends where it ends.
func (r *Repo) Merges(ctx context.Context, head, since string, n int) (out []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.commit(head)
	if err != nil {
		return nil, err
	}
	for len(out) < n && c.Hash.String() != since {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out = append(out, c.Hash.String())
		if c.NumParents() == 0 {
			return out, nil
		}
		if c, err = c.Parent(0); errors.Is(err, plumbing.ErrObjectNotFound) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Between lists the commits of s on whatever line: a merge may name its parents in any order.
// They are in no order but that newer ones come first. A clone that ends before s.From is Missing.
func (r *Repo) Between(ctx context.Context, s port.Span) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	base, err := r.commit(s.From)
	if err != nil {
		return nil, err
	}
	tip, err := r.commit(s.To)
	if err != nil {
		return nil, err
	}
	if base.Hash == tip.Hash {
		return nil, nil
	}
	var newer []*object.Commit
	children := map[plumbing.Hash][]plumbing.Hash{}
	err = r.between(ctx, base, tip, func(c *object.Commit) {
		newer = append(newer, c)
		for _, h := range c.ParentHashes {
			children[h] = append(children[h], c.Hash)
		}
	})
	if err != nil {
		return nil, err
	}
	after := map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{base.Hash}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, h := range children[at] {
			if !after[h] {
				after[h] = true
				todo = append(todo, h)
			}
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, c := range newer {
		if !after[c.Hash] || s.Only != nil && !slices.Contains(s.Only, c.Hash.String()) {
			continue
		}
		is, err := r.rootHas(c.TreeHash, s.Names)
		if err != nil {
			return nil, err
		}
		if !seen[is] {
			seen[is] = true
			out = append(out, c.Hash.String())
		}
	}
	return out, nil
}

// rootHas names what a tree has under names.
func (r *Repo) rootHas(root plumbing.Hash, names []string) (string, error) {
	t, err := object.GetTree(r.store, root)
	if err != nil {
		return "", gitstore.Damaged("read tree %s: %w", root, err)
	}
	var b strings.Builder
	for _, name := range names {
		h := plumbing.ZeroHash
		if i := slices.IndexFunc(t.Entries, func(e object.TreeEntry) bool { return e.Name == name }); i >= 0 {
			h = t.Entries[i].Hash
		}
		b.WriteString(h.String())
	}
	return b.String(), nil
}

// Resolve is the commit that a revision names: a branch, a tag, a SHA or HEAD~1.
func (r *Repo) Resolve(revision string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, err := r.config.ResolveRevision(plumbing.Revision(revision))
	if err == nil && notOfCommits.MatchString(revision) { // what it says of a file or a tree was passed over
		err = plumbing.ErrObjectNotFound
	}
	if err == nil {
		_, err = object.GetCommit(r.store, *h)
	}
	if err == nil {
		return h.String(), nil
	}
	way := "name a branch, a tag or a commit; git log lists them"
	if ends, err := r.config.Storer.Shallow(); err == nil && len(ends) > 0 {
		way = "this clone is shallow: fetch the history that it lacks by git fetch --unshallow"
	}
	return "", fault.WithHint(fault.New(fault.Missing, "%q names no commit", revision), "%s", way)
}

// notOfCommits is what Git names trees, files and commits by their messages with.
var notOfCommits = lazyregexp.New(`:|\^\{(tree|blob|/)`)

// Tracked is a file that Git keeps at or below a path of the work tree; "" is none.
func (r *Repo) Tracked(ctx context.Context, at string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", fault.New(fault.Cancelled, "read Git's index: %w", err)
	}
	if r.place.Own == nil {
		return "", nil
	}
	out, err := r.place.Own.Ask(ctx, nil, "ls-files", "-z", "--", ":(top,literal)"+at)
	if err != nil {
		return "", fmt.Errorf("read Git's index: %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\x00")
	return first, nil
}
