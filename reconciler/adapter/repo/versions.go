// What a file of the tree said in the past.

package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// Versions lists what a file at the root of the tree held, each content once, in all
// commits that head has and where this clone has them.
func (r *Repo) Versions(ctx context.Context, head, file string) (out [][]byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tip, err := r.commit(head)
	if err != nil {
		return nil, err
	}
	seen, trees, blobs := map[plumbing.Hash]bool{tip.Hash: true}, map[plumbing.Hash]bool{}, map[plumbing.Hash]bool{}
	for todo := []*object.Commit{tip}; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Cancelled, "read what %s was: %w", file, err)
		}
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, h := range c.ParentHashes {
			if seen[h] {
				continue
			}
			seen[h] = true
			p, err := object.GetCommit(r.store, h)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue // the clone ends here
			}
			if err != nil {
				return nil, gitstore.Damaged("read revision %s: %w", h, err)
			}
			todo = append(todo, p)
		}
		if trees[c.TreeHash] {
			continue
		}
		trees[c.TreeHash] = true
		blob, err := r.rootFile(c.TreeHash, file)
		if err != nil {
			return nil, fmt.Errorf("read %s of revision %s: %w", file, c.Hash, err)
		}
		if blob.IsZero() || blobs[blob] {
			continue
		}
		blobs[blob] = true
		text, err := r.blob(blob)
		if err != nil {
			return nil, fmt.Errorf("read %s of revision %s: %w", file, c.Hash, err)
		}
		out = append(out, text)
	}
	return out, nil
}

// rootFile is the blob of a file at the root of a tree; zero: none. The lock is held.
func (r *Repo) rootFile(root plumbing.Hash, file string) (plumbing.Hash, error) {
	t, err := object.GetTree(r.store, root)
	if err != nil {
		return plumbing.ZeroHash, gitstore.Damaged("read tree %s: %w", root, err)
	}
	i := slices.IndexFunc(t.Entries, func(e object.TreeEntry) bool { return e.Name == file && e.Mode.IsFile() })
	if i < 0 {
		return plumbing.ZeroHash, nil
	}
	return t.Entries[i].Hash, nil
}

// mostVersion bounds a file whose past is read, in bytes.
const mostVersion = 1 << 20

// blob reads a file; the lock is held. One that is too large to be a setting is nothing.
func (r *Repo) blob(h plumbing.Hash) ([]byte, error) {
	b, err := object.GetBlob(r.store, h)
	if err != nil {
		return nil, gitstore.Damaged("read %s: %w", h, err)
	}
	if b.Size > mostVersion {
		return nil, nil
	}
	in, err := b.Reader()
	if err != nil {
		return nil, gitstore.Damaged("read %s: %w", h, err)
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, gitstore.Damaged("read %s: %w", h, err)
	}
	return text, nil
}
