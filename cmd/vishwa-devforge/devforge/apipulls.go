// The API of repositories, pull requests and reviews.

package devforge

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

func (f *Forge) getRepo(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shown := f.showRepo(c.repo)
	if c.who.token != nil {
		rank := ranks[c.repo.role(c.who.login)]
		shown["permissions"] = object{"admin": rank >= 5, "maintain": rank >= 4, "push": rank >= 3, "triage": rank >= 2, "pull": rank >= 1}
	}
	return shown, nil
}

func (f *Forge) getBranch(c *call) (any, error) {
	branch := c.PathValue("branch")
	sha, err := f.resolve(c.repo, "refs/heads/"+branch)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "Branch not found")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, protected := c.repo.protected[branch]
	return object{"name": branch, "commit": object{"sha": sha, "url": f.link(c.repo, "/commits/%s", sha)}, "protected": protected}, nil
}

func (f *Forge) listPulls(c *call) (any, error) {
	q := c.URL.Query()
	state, base, head := cmp.Or(q.Get("state"), "open"), q.Get("base"), q.Get("head")
	byUpdate := q.Get("sort") == "updated"
	falling := q.Get("direction") == "desc" || q.Get("direction") == "" && q.Get("sort") != "updated" && q.Get("sort") != "popularity"
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*pull
	for _, p := range c.repo.pulls {
		if (state == "all" || p.state == state) && (base == "" || p.base == base) && (head == "" || strings.EqualFold(head, p.from.owner+":"+p.head)) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *pull) int {
		order := cmp.Compare(a.number, b.number)
		if byUpdate {
			order = cmp.Or(a.updated.Compare(b.updated), order)
		}
		if falling {
			order = -order
		}
		return order
	})
	return shown(paged(c, f, out), f.listed), nil
}

// listed is a pull request in a list, which leaves out what is costly to know.
func (f *Forge) listed(p *pull) object {
	shown := f.showPull(p)
	for _, field := range []string{"merged", "mergeable", "mergeable_state", "merged_by"} {
		delete(shown, field)
	}
	return shown
}

func (c *call) pull(f *Forge) (*pull, error) {
	p, err := f.pull(c.repo.full(), c.number("n"))
	if err != nil {
		return nil, errNotFound
	}
	return p, nil
}

func (f *Forge) getPull(c *call) (any, error) {
	p, err := c.pull(f)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.showPull(p), nil
}

func (f *Forge) postPull(c *call) (any, error) {
	n := NewPull{}
	if err := c.readBody(&n); err != nil {
		return nil, err
	}
	if n.Title == "" {
		return nil, invalid("PullRequest", "title", "missing_field", "")
	}
	n.Repo, n.Author = c.repo.full(), c.who.login
	number, err := f.OpenPull(n)
	if err != nil {
		return nil, err
	}
	c.status = http.StatusCreated
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.showPull(c.repo.pulls[number-1]), nil
}

func (f *Forge) patchPull(c *call) (any, error) {
	p, err := c.pull(f)
	if err != nil {
		return nil, err
	}
	var edit struct{ Title, Body, State, Base *string }
	if err := c.readBody(&edit); err != nil {
		return nil, err
	}
	if edit.State != nil && *edit.State == "closed" {
		err = f.ClosePull(c.repo.full(), p.number, c.who.login)
	} else if edit.State != nil && *edit.State == "open" {
		err = f.ReopenPull(c.repo.full(), p.number, c.who.login)
	}
	if err != nil {
		return nil, err
	}
	if edit.Base != nil {
		if _, err := f.resolve(c.repo, "refs/heads/"+*edit.Base); err != nil {
			return nil, invalid("PullRequest", "base", "invalid", "")
		}
	}
	f.mu.Lock()
	p.title, p.body, p.base = *cmp.Or(edit.Title, &p.title), *cmp.Or(edit.Body, &p.body), *cmp.Or(edit.Base, &p.base)
	p.updated = f.at()
	if edit.Title != nil || edit.Body != nil || edit.Base != nil {
		f.emitPull(p, "edited", c.who.login, nil)
	}
	f.mu.Unlock()
	if edit.Base != nil {
		if err := f.move(p, c.who.login); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.showPull(p), nil
}

func (f *Forge) putMerge(c *call) (any, error) {
	p, err := c.pull(f)
	if err != nil {
		return nil, err
	}
	var m mergeRequest
	if err := c.readBody(&m); err != nil {
		return nil, err
	}
	sha, err := f.merge(p, c.who.login, m)
	if err != nil {
		return nil, err
	}
	return object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}, nil
}

func (f *Forge) listReviews(c *call) (any, error) {
	p, err := c.pull(f)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return shown(paged(c, f, p.reviews), func(v *review) object { return f.showReview(p, v) }), nil
}

func (f *Forge) postReview(c *call) (any, error) {
	p, err := c.pull(f)
	if err != nil {
		return nil, err
	}
	var in struct {
		Body, Event string
		Commit      string `json:"commit_id"`
	}
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	if in.Commit != "" {
		if _, err := f.resolve(c.repo, in.Commit); err != nil {
			return nil, invalid("PullRequestReview", "commit_id", "invalid", "")
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v, problem := f.review(p, c.who.login, review{state: in.Event, body: in.Body, sha: in.Commit})
	if problem != nil {
		return nil, problem
	}
	return f.showReview(p, v), nil
}

// listPullsOf lists the pull requests that a commit is of: those that it was
// merged as, and the open ones that it is the head of.
func (f *Forge) listPullsOf(c *call) (any, error) {
	sha, err := f.resolve(c.repo, c.PathValue("sha"))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*pull
	for _, p := range c.repo.pulls {
		merged := !p.merged.IsZero()
		if merged && (p.mergeSHA == sha || slices.Contains(p.landed, sha)) || p.headSHA == sha {
			out = append(out, p)
		}
	}
	return shown(paged(c, f, out), f.listed), nil
}
