// The merge queue: each entry is tried as the commit that it would become, on a
// branch of its own, before it becomes it.

package devforge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// group is an entry of the merge queue.
type group struct {
	pull    *pull
	by      string
	ref     string // refs/heads/gh-readonly-queue/BASE/pr-N-BASESHA
	base    string // what it is merged onto: the entry before, or the branch
	head    string
	commits []string
}

// Enqueue puts a pull request into the merge queue, behind those that are in it,
// and tells the branch and commit that are to be checked.
func (f *Forge) Enqueue(name string, number int, login, method string) (ref, sha string, err error) {
	p, err := f.pull(name, number)
	if err != nil {
		return "", "", err
	}
	g, err := f.enqueue(p, login, method)
	if err != nil {
		return "", "", err
	}
	f.pushed(p.to, login, []update{{old: zeroSHA, new: g.head, ref: g.ref}})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.emitGroup(g, "checks_requested", "")
	return g.ref, g.head, nil
}

func (f *Forge) enqueue(p *pull, login, method string) (*group, error) {
	p.to.turn.Lock()
	defer p.to.turn.Unlock()
	base, err := f.resolve(p.to, "refs/heads/"+p.base)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	head := p.headSHA
	problem := f.mergeable(p, mergeRequest{Method: method})
	if p.queued && problem == nil {
		problem = refuse(http.StatusUnprocessableEntity, "Pull request is already in the merge queue")
	}
	for _, g := range slices.Backward(p.to.queue) {
		if g.pull.base == p.base {
			base = g.head
			break
		}
	}
	f.mu.Unlock()
	if problem != nil {
		return nil, problem
	}
	commits, err := f.join(p, base, head, login, mergeRequest{Method: method})
	if errors.Is(err, errConflict) {
		return nil, refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	if err != nil {
		return nil, err
	}
	g := &group{
		pull: p, by: login, base: base, head: commits[len(commits)-1], commits: commits,
		ref: fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", p.base, p.number, base),
	}
	if _, err := f.run(p.to.dir, "", "update-ref", g.ref, g.head); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.queued = true
	p.to.queue = append(p.to.queue, g)
	return g, nil
}

// Complete ends the first entry of the queue that is of pull request number: ok
// merges it, otherwise it and those built on it leave the queue.
func (f *Forge) Complete(name string, number int, ok bool) error {
	p, err := f.pull(name, number)
	if err != nil {
		return err
	}
	gone, moved, err := f.complete(p, ok)
	if err != nil {
		return err
	}
	reason := "dequeued"
	if ok {
		reason = "merged"
	}
	for _, g := range gone {
		if _, err := f.run(p.to.dir, "", "update-ref", "-d", g.ref); err != nil {
			return err
		}
		moved = append(moved, update{old: g.head, new: zeroSHA, ref: g.ref})
		f.mu.Lock()
		f.emitGroup(g, "destroyed", reason)
		f.mu.Unlock()
	}
	f.pushed(p.to, gone[0].by, moved)
	return nil
}

// complete takes entries out of the queue and moves the branch.
func (f *Forge) complete(p *pull, ok bool) (gone []*group, moved []update, err error) {
	p.to.turn.Lock()
	defer p.to.turn.Unlock()
	f.mu.Lock()
	at := slices.IndexFunc(p.to.queue, func(g *group) bool { return g.pull == p })
	first := slices.IndexFunc(p.to.queue, func(g *group) bool { return g.pull.base == p.base })
	if at < 0 || ok && at != first {
		f.mu.Unlock()
		return nil, nil, refuse(http.StatusUnprocessableEntity, "pull request %d is not the next of the merge queue", p.number)
	}
	g := p.to.queue[at]
	f.mu.Unlock()
	if ok {
		ref := "refs/heads/" + p.base
		if _, err := f.run(p.to.dir, "", "update-ref", ref, g.head, g.base); err != nil {
			return nil, nil, refuse(http.StatusConflict, "the base branch was modified; enqueue again")
		}
		moved = append(moved, update{old: g.base, new: g.head, ref: ref, merged: true})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []*group
	for i, other := range p.to.queue {
		if i == at || !ok && i > at && other.pull.base == p.base {
			other.pull.queued = false
			gone = append(gone, other)
			continue
		}
		left = append(left, other)
	}
	p.to.queue = left
	if ok {
		f.landed(p, g.by, g.head, g.commits)
	}
	return gone, moved, nil
}
