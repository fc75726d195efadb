// Which commits a command over history is about: tips, tags, the last few of a
// branch, or all that can be reached.

package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// History is a choice of commits. Its zero value is none.
type History struct {
	Branches bool      // the tips of all branches of this repository
	Tags     bool      // what all tags name
	All      bool      // whatever HEAD, a branch, a remote's branch or a tag can reach
	Revision string    // this one
	Last     int       // so many commits from Revision and each tip, by their first parents; below zero: all of them. Zero is one
	Since    time.Time // whatever can be reached and was committed then or later; zero is never
}

// Shallow tells whether the clone ends before its history does.
func (r *Repo) Shallow() (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ends, err := r.config.Storer.Shallow()
	if err != nil {
		return false, gitstore.Damaged("read where the clone ends: %w", err)
	}
	return len(ends) > 0, nil
}

// Commits lists the commits of h, each tree once: of two commits with equal trees,
// one is listed. A shallow clone ends where it ends.
func (r *Repo) Commits(ctx context.Context, h History) ([]string, error) {
	tips, err := r.tips(h)
	if err != nil {
		return nil, err
	}
	l := &listing{seen: map[plumbing.Hash]bool{}, trees: map[plumbing.Hash]bool{}}
	if h.Revision != "" {
		sha, err := r.Resolve(h.Revision)
		if err != nil {
			return nil, err
		}
		tips.lines = append(tips.lines, plumbing.NewHash(sha))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tip := range tips.lines {
		if err := r.firstParents(ctx, l, tip, h.Last); err != nil {
			return nil, err
		}
	}
	for _, tip := range tips.alone {
		if c, err := r.peeled(tip); err != nil {
			return nil, err
		} else if c != nil {
			l.add(c)
		}
	}
	if h.All || !h.Since.IsZero() {
		if err := r.reach(ctx, l, tips.all, h); err != nil {
			return nil, err
		}
	}
	return l.out, nil
}

// tips are where a choice begins.
type tips struct {
	lines []plumbing.Hash // of which the last commits count
	alone []plumbing.Hash
	all   []plumbing.Hash // from which everything is reached
}

func (r *Repo) tips(h History) (t tips, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	refs, err := r.config.References()
	if err != nil {
		return t, gitstore.Damaged("list branches and tags: %w", err)
	}
	defer refs.Close()
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() == plumbing.SymbolicReference {
			return nil // what it names is listed itself, or is nothing yet
		}
		name, sha := ref.Name(), ref.Hash()
		if h.Branches && name.IsBranch() {
			t.lines = append(t.lines, sha)
		}
		if h.Tags && name.IsTag() {
			t.alone = append(t.alone, sha)
		}
		if name.IsBranch() || name.IsTag() || name.IsRemote() || name == plumbing.HEAD {
			t.all = append(t.all, sha)
		}
		return nil
	})
	if err != nil {
		return t, gitstore.Damaged("list branches and tags: %w", err)
	}
	return t, nil
}

// listing is what has been found.
type listing struct {
	seen, trees map[plumbing.Hash]bool
	out         []string
}

func (l *listing) add(c *object.Commit) {
	if !l.trees[c.TreeHash] {
		l.trees[c.TreeHash] = true
		l.out = append(l.out, c.Hash.String())
	}
}

// peeled is the commit that a branch or a tag names; nil where it names none, as a
// tag of a file does. The caller holds the lock.
func (r *Repo) peeled(h plumbing.Hash) (*object.Commit, error) {
	for range 16 { // tags of tags
		tag, err := object.GetTag(r.store, h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			break
		}
		if err != nil {
			return nil, gitstore.Damaged("read tag %s: %w", h, err)
		}
		h = tag.Target
	}
	o, err := r.store.EncodedObject(plumbing.AnyObject, h)
	if err == nil && o.Type() != plumbing.CommitObject {
		return nil, nil
	}
	return r.commit(h.String())
}

func (r *Repo) firstParents(ctx context.Context, l *listing, tip plumbing.Hash, last int) error {
	c, err := r.peeled(tip)
	if last == 0 {
		last = 1
	}
	for n := 0; err == nil && c != nil && n != last; n++ {
		if ctx.Err() != nil {
			return fault.New(fault.Cancelled, "read history: %w", ctx.Err())
		}
		l.add(c)
		if c.NumParents() == 0 {
			return nil
		}
		if c, err = c.Parent(0); errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	return nil
}

// reach adds all that can be reached from tips.
func (r *Repo) reach(ctx context.Context, l *listing, tips []plumbing.Hash, h History) error {
	var todo []*object.Commit
	for _, tip := range tips {
		c, err := r.peeled(tip)
		if err != nil {
			return err
		}
		if c != nil {
			todo = append(todo, c)
		}
	}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if l.seen[c.Hash] {
			continue
		}
		if ctx.Err() != nil {
			return fault.New(fault.Cancelled, "read history: %w", ctx.Err())
		}
		l.seen[c.Hash] = true
		if h.All || !c.Committer.When.Before(h.Since) {
			l.add(c)
		}
		for _, p := range c.ParentHashes {
			if l.seen[p] {
				continue
			}
			parent, err := object.GetCommit(r.store, p)
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				continue // a shallow clone ends here
			}
			if err != nil {
				return gitstore.Damaged("read revision %s: %w", p, err)
			}
			todo = append(todo, parent)
		}
	}
	return nil
}
