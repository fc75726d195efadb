// Pull requests: opened, moved on by pushes, closed.

package devforge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

type pull struct {
	id       int64
	number   int
	title    string
	body     string
	author   string
	base     string
	baseSHA  string
	head     string // branch
	headSHA  string
	from     *repo // the repository of head
	to       *repo
	state    string // open, closed
	draft    bool
	queued   bool
	clean    *bool // can be merged; nil: not known yet
	mergeSHA string
	landed   []string // commits that a merge put on base
	mergedBy string
	created  time.Time
	updated  time.Time
	closed   time.Time
	merged   time.Time
	reviews  []*review
}

// NewPull says what OpenPull opens.
type NewPull struct {
	Repo   string `json:"repo"` // of the base: OWNER/NAME
	Head   string `json:"head"` // branch, or OWNER:branch of a fork
	Base   string `json:"base"` // default branch where empty
	Title  string `json:"title"`
	Body   string `json:"body"`
	Author string `json:"author"`
	Draft  bool   `json:"draft"`
}

// OpenPull opens a pull request and tells its number.
func (f *Forge) OpenPull(n NewPull) (int, error) {
	to, err := f.find(n.Repo)
	if err != nil {
		return 0, err
	}
	from, head, err := f.headOf(to, n.Head)
	if err != nil {
		return 0, err
	}
	to.turn.Lock()
	defer to.turn.Unlock()
	f.mu.Lock()
	if n.Base == "" {
		n.Base = to.base
	}
	author := f.addUser(n.Author, strings.HasSuffix(n.Author, "[bot]"))
	f.mu.Unlock()
	p := &pull{
		title: n.Title, body: n.Body, author: author.login, base: n.Base, head: head, from: from, to: to, state: "open", draft: n.Draft,
	}
	if p.baseSHA, err = f.resolve(to, "refs/heads/"+n.Base); err != nil {
		return 0, invalid("PullRequest", "base", "invalid", "")
	}
	if p.headSHA, err = f.resolve(from, "refs/heads/"+head); err != nil {
		return 0, invalid("PullRequest", "head", "invalid", "")
	}
	if f.ancestor(to, p.headSHA, p.baseSHA) {
		return 0, invalid("PullRequest", "", "custom", fmt.Sprintf("No commits between %s and %s", n.Base, n.Head))
	}
	f.mu.Lock()
	for _, other := range to.pulls {
		if other.state == "open" && other.from == from && other.head == head && other.base == n.Base {
			f.mu.Unlock()
			return 0, invalid("PullRequest", "", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", from.owner, head))
		}
	}
	p.id, p.number = f.id(), len(to.pulls)+1
	p.created, p.updated = f.at(), f.at()
	to.pulls = append(to.pulls, p)
	f.mu.Unlock()
	if err := f.follow(p); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.emitPull(p, "opened", p.author, nil)
	return p.number, nil
}

// headOf finds where a pull request comes from: BRANCH, or OWNER:BRANCH of a fork.
func (f *Forge) headOf(to *repo, head string) (*repo, string, error) {
	owner, branch, forked := strings.Cut(head, ":")
	if !forked || strings.EqualFold(owner, to.owner) {
		return to, head[strings.IndexByte(head, ':')+1:], nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.repos {
		if strings.EqualFold(r.owner, owner) && r.parent == to {
			return r, branch, nil
		}
	}
	return nil, "", invalid("PullRequest", "head", "invalid", "")
}

// follow brings refs/pull/N/head and refs/pull/N/merge to where p stands; p.to.turn is held.
func (f *Forge) follow(p *pull) error {
	f.mu.Lock()
	head, base, from, to, number, author := p.headSHA, p.baseSHA, p.from, p.to, p.number, p.author
	f.mu.Unlock()
	ref := fmt.Sprintf("refs/pull/%d/", number)
	if from != to {
		if _, err := f.run(to.dir, "", "fetch", "--quiet", "--no-tags", from.dir, "+"+head+":"+ref+"head"); err != nil {
			return err
		}
	} else if _, err := f.run(to.dir, "", "update-ref", ref+"head", head); err != nil {
		return err
	}
	tree, err := f.mergeTree(to, base, head)
	clean := err == nil
	if err != nil && !errors.Is(err, errConflict) && !strings.Contains(err.Error(), "unrelated") {
		return err
	}
	sha := ""
	if clean {
		c := commit{tree: tree, parents: []string{base, head}, author: author, message: fmt.Sprintf("Merge %s into %s", head, base)}
		if sha, err = f.write(to, c); err == nil {
			_, err = f.run(to.dir, "", "update-ref", ref+"merge", sha)
		}
		if err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.clean = &clean
	if p.state == "open" {
		p.mergeSHA = sha
	}
	return nil
}

// pushed lets the forge follow what Git has moved: webhooks, and the pull requests
// that come from or go into a branch.
func (f *Forge) pushed(r *repo, by string, moved []update) {
	for _, u := range moved {
		branch, ok := strings.CutPrefix(u.ref, "refs/heads/")
		if !ok && !strings.HasPrefix(u.ref, "refs/tags/") {
			continue // GitHub tells of branches and tags only
		}
		commits := f.history(r, u.old, u.new)
		forced := u.old != zeroSHA && u.new != zeroSHA && !f.ancestor(r, u.old, u.new)
		f.mu.Lock()
		r.note(f, u, by, forced)
		event := f.pushEvent(r, u, by)
		event["commits"], event["forced"] = commits, forced
		f.emit(r, "push", event)
		var touched []*pull
		for _, other := range f.repos {
			for _, p := range other.pulls {
				if ok && p.state == "open" && (p.from == r && p.head == branch || p.to == r && p.base == branch) {
					touched = append(touched, p)
				}
			}
		}
		f.mu.Unlock()
		for _, p := range touched {
			if err := f.move(p, by); err != nil {
				f.log.Error("a pull request does not follow", "repository", p.to.full(), "pull", p.number, "error", err)
			}
		}
	}
}

// move brings p to where its branches are now.
func (f *Forge) move(p *pull, by string) error {
	p.to.turn.Lock()
	defer p.to.turn.Unlock()
	head, headErr := f.resolve(p.from, "refs/heads/"+p.head)
	base, baseErr := f.resolve(p.to, "refs/heads/"+p.base)
	f.mu.Lock()
	if p.state != "open" {
		f.mu.Unlock()
		return nil
	}
	if headErr != nil || baseErr != nil {
		f.shut(p, by)
		f.mu.Unlock()
		return nil
	}
	before := p.headSHA
	p.headSHA, p.baseSHA = head, base
	f.mu.Unlock()
	if f.ancestor(p.to, head, base) && p.from == p.to {
		f.mu.Lock()
		defer f.mu.Unlock()
		if before == head {
			f.landed(p, by, base, nil) // merged outside of GitHub
		} else {
			f.shut(p, by) // nothing is left of it
		}
		return nil
	}
	if err := f.follow(p); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if before == head {
		return nil
	}
	p.updated, p.queued = f.at(), false
	if p.to.protected[p.base].DismissStale {
		for _, v := range p.reviews {
			if v.state == "APPROVED" {
				v.state = "DISMISSED"
				f.emitReview(p, v, "dismissed")
			}
		}
	}
	f.emitPull(p, "synchronize", by, object{"before": before, "after": head})
	return nil
}

// Pull is a pull request as tests see it.
type Pull struct {
	Number                      int
	Title, Body, Author, State  string
	Base, BaseSHA, Head, SHA    string
	HeadRepo, MergedBy, MergeAs string
	Draft, Merged, Mergeable    bool
}

// Pull is a pull request as it is now.
func (f *Forge) Pull(name string, number int) (Pull, error) {
	p, err := f.pull(name, number)
	if err != nil {
		return Pull{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v := Pull{
		Number: p.number, Title: p.title, Body: p.body, Author: p.author, State: p.state, Base: p.base, BaseSHA: p.baseSHA, Head: p.head, SHA: p.headSHA,
		HeadRepo: p.from.full(), MergedBy: p.mergedBy, Draft: p.draft, Merged: !p.merged.IsZero(), Mergeable: p.clean != nil && *p.clean,
	}
	if v.Merged {
		v.MergeAs = p.mergeSHA
	}
	return v, nil
}

func (f *Forge) pull(name string, number int) (*pull, error) {
	r, err := f.find(name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if number < 1 || number > len(r.pulls) {
		return nil, refuse(http.StatusNotFound, "there is no pull request %d in %s", number, r.full())
	}
	return r.pulls[number-1], nil
}

// ClosePull closes a pull request without merging it.
func (f *Forge) ClosePull(name string, number int, login string) error {
	p, err := f.pull(name, number)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.state == "open" {
		f.shut(p, login)
	}
	return nil
}

// shut closes p; f.mu is held.
func (f *Forge) shut(p *pull, by string) {
	p.state, p.closed, p.updated, p.mergeSHA, p.queued = "closed", f.at(), f.at(), "", false
	f.emitPull(p, "closed", by, nil)
}

// ReopenPull opens a closed pull request again, at where its branches are now.
func (f *Forge) ReopenPull(name string, number int, login string) error {
	p, err := f.pull(name, number)
	if err != nil {
		return err
	}
	f.mu.Lock()
	if p.state == "open" || !p.merged.IsZero() {
		f.mu.Unlock()
		return invalid("PullRequest", "state", "invalid", "a merged or open pull request is not reopened")
	}
	p.state, p.closed, p.updated = "open", time.Time{}, f.at()
	f.mu.Unlock()
	if err := f.move(p, login); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.emitPull(p, "reopened", login, nil)
	return nil
}
