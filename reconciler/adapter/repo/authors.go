// Authors of a change: whoever had a hand in it cannot approve it.

package repo

import (
	"container/heap"
	"context"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/hiddeco/sshsig"
	"golang.org/x/text/unicode/norm"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Authors lists, sorted, every author, committer and co-author, "Name <email>", of the
// commits that Hands lists.
func (r *Repo) Authors(ctx context.Context, from, to string) ([]string, error) {
	hands, err := r.Hands(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range hands {
		out = append(append(out, h.Author, h.Committer), h.With...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Hands lists who had a hand in the commits that to has and from has not; of all that to
// has where from is empty; of to alone where from is to. A shallow clone that ends before
// from does cannot tell: that is Missing. What .mailmap says is not asked: a change could
// say it of itself.
func (r *Repo) Hands(ctx context.Context, from, to string) ([]port.Hand, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tip, err := r.commit(to)
	if err != nil {
		return nil, err
	}
	found := map[plumbing.Hash]bool{tip.Hash: true}
	out := []port.Hand{hand(tip)} // also where to lies behind from: a step back is its author's too
	if from == to {
		return out, nil
	}
	var base *object.Commit
	if from != "" {
		if base, err = r.commit(from); err != nil {
			return nil, err
		}
	}
	err = r.between(ctx, base, tip, func(c *object.Commit) {
		if !found[c.Hash] {
			found[c.Hash] = true
			out = append(out, hand(c))
		}
	})
	return out, err
}

// hand is who had a hand in c.
func hand(c *object.Commit) port.Hand {
	h := port.Hand{
		SHA: c.Hash.String(), Author: c.Author.Name + " <" + c.Author.Email + ">", Committer: c.Committer.Name + " <" + c.Committer.Email + ">",
		Key: signedBy(c),
	}
	for line := range strings.SplitSeq(c.Message, "\n") {
		name, value, ok := strings.Cut(norm.NFKC.String(line), ":")
		if value = strings.TrimSpace(value); !ok || value == "" {
			continue
		}
		switch trailer(name) {
		case "coauthoredby", "coauthoredwith", "coauthor", "coauthors":
			h.With = append(h.With, value)
		case "requestedby":
			h.For = append(h.For, value)
		}
	}
	return h
}

// trailer is a trailer's name without what makes one spelling of it differ from another.
func trailer(name string) string {
	if len(name) > 80 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, schemas.Place(name))
}

// signedBy is the SSH key whose signature over c holds, as SSH writes it; nil: there is
// none, and OpenPGP's are not looked at.
func signedBy(c *object.Commit) []byte {
	sig, err := sshsig.Unarmor([]byte(c.PGPSignature))
	if err != nil {
		return nil
	}
	bare := &plumbing.MemoryObject{}
	if err := c.EncodeWithoutSignature(bare); err != nil {
		return nil
	}
	in, err := bare.Reader()
	if err != nil {
		return nil
	}
	defer in.Close()
	if err := sshsig.Verify(in, sig, sig.PublicKey, sig.HashAlgorithm, gitstore.Namespace); err != nil {
		return nil
	}
	return sig.PublicKey.Marshal()
}

// between walks back from both ends, newest first, until all that is left is
// behind base; without a base, to the beginning. Where clocks were wrong it may note a commit too many, never one too few.
func (r *Repo) between(ctx context.Context, base, tip *object.Commit, note func(*object.Commit)) error {
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
	for ahead > 0 && queue.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := heap.Pop(queue).(*object.Commit)
		old := behind[c.Hash]
		if !old {
			ahead--
			note(c)
		}
		if slices.Contains(shallow, c.Hash) {
			if !old {
				return fault.WithHint(fault.New(fault.Missing, "list authors: this clone is shallow and ends at %s", c.Hash.String()[:7]), "fetch the history: git fetch --unshallow")
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

// Message is what a commit says, without its signature.
func (r *Repo) Message(ctx context.Context, sha string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fault.New(fault.Cancelled, "read commit %s: %w", sha, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.commit(sha)
	if err != nil {
		return "", err
	}
	return c.Message, nil
}
