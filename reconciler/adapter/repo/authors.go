// Authors of a change: whoever had a hand in it cannot approve it.
package repo

import (
	"container/heap"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

var coAuthor = regexp.MustCompile(`(?im)^[ \t]*co-authored-by:[ \t]*([^\r\n]*[^\s])`)

// Authors lists, sorted, every author, committer and co-author, "Name <email>",
// of the commits that to has and from has not; of all that to has where from is
// empty; of to alone where from is to. A shallow clone that ends before from does
// cannot tell: that is Missing.
func (r *Repo) Authors(ctx context.Context, from, to string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tip, err := r.commit(to)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	note(found, tip) // also where to lies behind from: a step back is its author's too
	var base *object.Commit
	if from != "" && from != to {
		if base, err = r.commit(from); err != nil {
			return nil, err
		}
	}
	if from != to {
		if err := r.between(ctx, base, tip, found); err != nil {
			return nil, err
		}
	}
	out := make([]string, 0, len(found))
	for a := range found {
		out = append(out, a)
	}
	slices.Sort(out)
	return out, nil
}

func note(found map[string]bool, c *object.Commit) {
	found[c.Author.Name+" <"+c.Author.Email+">"] = true
	found[c.Committer.Name+" <"+c.Committer.Email+">"] = true
	for _, m := range coAuthor.FindAllStringSubmatch(c.Message, -1) {
		found[m[1]] = true
	}
}

// between walks back from both ends, newest first, until all that is left is
// behind base; without a base, to the beginning. Where clocks were wrong it may note a commit too many, never one too few.
func (r *Repo) between(ctx context.Context, base, tip *object.Commit, found map[string]bool) error {
	shallow, err := r.store.Shallow()
	if err != nil {
		return err
	}
	queue := &byTime{tip}
	queued, behind := map[plumbing.Hash]bool{tip.Hash: true}, map[plumbing.Hash]bool{}
	if base != nil {
		heap.Push(queue, base)
		queued[base.Hash], behind[base.Hash] = true, true
	}
	ahead := 1 // of the queued commits, how many are not behind base
	for ahead > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := heap.Pop(queue).(*object.Commit)
		old := behind[c.Hash]
		if !old {
			ahead--
			note(found, c)
		}
		if slices.Contains(shallow, c.Hash) {
			if !old {
				return fault.Hint(fault.New(fault.Missing, "list authors: this clone is shallow and ends at %s", c.Hash.String()[:7]), "fetch the history: git fetch --unshallow")
			}
			continue
		}
		for _, h := range c.ParentHashes {
			if old && !behind[h] {
				behind[h] = true
				if queued[h] {
					ahead -= queue.count(h)
				}
			}
			if queued[h] {
				continue
			}
			p, err := r.commit(h.String())
			if err != nil {
				return err
			}
			queued[h] = true
			heap.Push(queue, p)
			if !behind[h] {
				ahead++
			}
		}
	}
	return nil
}

// byTime is a heap of commits, the newest on top.
type byTime []*object.Commit

func (q byTime) Len() int           { return len(q) }
func (q byTime) Less(i, j int) bool { return q[i].Committer.When.After(q[j].Committer.When) }
func (q byTime) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *byTime) Push(x any)        { *q = append(*q, x.(*object.Commit)) }
func (q *byTime) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// count is 1 where h is still queued.
func (q byTime) count(h plumbing.Hash) int {
	if slices.ContainsFunc(q, func(c *object.Commit) bool { return c.Hash == h }) {
		return 1
	}
	return 0
}

// mailbox is one line of text that names a person, in the form that Git writes.
func mailbox(name, email string) string {
	clean := strings.NewReplacer("<", "", ">", "", "\n", " ", "\r", " ", "\x00", "")
	return strings.TrimSpace(clean.Replace(name)) + " <" + strings.TrimSpace(clean.Replace(email)) + ">"
}
