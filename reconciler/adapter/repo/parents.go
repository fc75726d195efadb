// What was committed to a branch by itself, merge by merge.
package repo

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
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
