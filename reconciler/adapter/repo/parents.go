// What was committed to a branch by itself, merge by merge.

package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/fault"
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

// Resolve is the commit that a revision names: a branch, a tag, a SHA or HEAD~1.
func (r *Repo) Resolve(revision string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, err := r.config.ResolveRevision(plumbing.Revision(revision))
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Missing, "%q names no commit", revision), "name a branch, a tag or a commit; git log lists them")
	}
	return h.String(), nil
}

// Tracked is a file that Git keeps at or below a path of the work tree; "" is none.
func (r *Repo) Tracked(ctx context.Context, at string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", fault.New(fault.Cancelled, "read Git's index: %w", err)
	}
	if r.place.own == nil {
		return "", nil
	}
	out, err := r.place.own.ask(ctx, nil, "ls-files", "-z", "--", ":(top,literal)"+at)
	if err != nil {
		return "", fmt.Errorf("read Git's index: %w", err)
	}
	first, _, _ := strings.Cut(string(out), "\x00")
	return first, nil
}
