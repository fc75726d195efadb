// The API of comments and their reactions.

package devforge

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxComment is how many characters a comment holds.
const maxComment = 65536

// comment adds a comment; f.mu is held.
func (f *Forge) comment(p *pull, who actor, body string) (*comment, *Problem) {
	if problem := bodyProblem(body); problem != nil {
		return nil, problem
	}
	c := &comment{id: f.id(), pull: p.number, login: who.login, app: who.app, body: body, created: f.at(), updated: f.at()}
	p.to.comments = append(p.to.comments, c)
	p.updated = f.at()
	f.emitComment(p.to, c, "created", c.login)
	return c, nil
}

func bodyProblem(body string) *Problem {
	switch {
	case strings.TrimSpace(body) == "":
		return &Problem{Status: 422, Message: "Validation Failed", Errors: []any{object{
			"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body cannot be blank",
		}}}
	case utf8.RuneCountInString(body) > maxComment:
		return &Problem{Status: 422, Message: "Validation Failed", Errors: []any{object{
			"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long (maximum is 65536 characters)",
		}}}
	}
	return nil
}

// getTalk tells /issues/comments/ID from /issues/N/comments, which one pattern
// each would confuse.
func (f *Forge) getTalk(c *call) (any, error) {
	switch last := c.PathValue("last"); {
	case c.PathValue("n") == "comments":
		c.SetPathValue("id", last)
		return f.getComment(c)
	case last == "comments":
		return f.listComments(c)
	}
	return nil, errNotFound
}

func (f *Forge) listComments(c *call) (any, error) {
	q := c.URL.Query()
	var since time.Time
	if s := q.Get("since"); s != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, s); err != nil {
			return nil, invalid("IssueComment", "since", "invalid", "")
		}
	}
	number := c.number("n")
	if number == 0 && c.PathValue("n") != "" {
		return nil, errNotFound
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if number > len(c.repo.pulls) {
		return nil, errNotFound
	}
	var out []*comment
	for _, x := range c.repo.comments {
		if (number == 0 || x.pull == number) && !x.updated.Before(since.Truncate(time.Second)) {
			out = append(out, x)
		}
	}
	if number == 0 && q.Get("sort") == "updated" {
		slices.SortStableFunc(out, func(a, b *comment) int { return a.updated.Compare(b.updated) })
	}
	if number == 0 && q.Get("direction") == "desc" {
		slices.Reverse(out)
	}
	return shown(paged(c, f, out), func(x *comment) object { return f.showComment(c.repo, x) }), nil
}

func (f *Forge) postComment(c *call) (any, error) {
	p, err := f.pull(c.repo.full(), c.number("n"))
	if err != nil {
		return nil, errNotFound
	}
	var in struct{ Body string }
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x, problem := f.comment(p, c.who, in.Body)
	if problem != nil {
		return nil, problem
	}
	c.status = http.StatusCreated
	return f.showComment(c.repo, x), nil
}

// commentOf is the comment of the path; f.mu is held.
func (c *call) commentOf() (*comment, error) {
	for _, x := range c.repo.comments {
		if x.id == int64(c.number("id")) {
			return x, nil
		}
	}
	return nil, errNotFound
}

func (f *Forge) getComment(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	return f.showComment(c.repo, x), nil
}

// touches tells why the caller must not change a comment: it is another's, and
// they may not write; f.mu is held.
func (c *call) touches(x *comment) error {
	if x.login == c.who.login || c.who.app == nil && ranks[c.repo.role(c.who.login)] >= ranks["write"] {
		return nil
	}
	if c.who.app != nil {
		return refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	return refuse(http.StatusForbidden, "Must have admin rights to Repository.")
}

func (f *Forge) patchComment(c *call) (any, error) {
	var in struct{ Body string }
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.commentOf()
	if err == nil {
		err = c.touches(x)
	}
	if err != nil {
		return nil, err
	}
	if problem := bodyProblem(in.Body); problem != nil {
		return nil, problem
	}
	x.body, x.updated = in.Body, f.at()
	x.edits++
	f.emitComment(c.repo, x, "edited", c.who.login)
	return f.showComment(c.repo, x), nil
}

func (f *Forge) deleteComment(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.commentOf()
	if err == nil {
		err = c.touches(x)
	}
	if err != nil {
		return nil, err
	}
	c.repo.comments = slices.DeleteFunc(c.repo.comments, func(y *comment) bool { return y == x })
	f.emitComment(c.repo, x, "deleted", c.who.login)
	c.status = http.StatusNoContent
	return nil, nil
}

func (f *Forge) listReactions(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	var out []reaction
	for _, r := range x.reactions {
		if want := c.URL.Query().Get("content"); want == "" || want == r.content {
			out = append(out, r)
		}
	}
	return shown(paged(c, f, out), f.showReaction), nil
}

func (f *Forge) postReaction(c *call) (any, error) {
	var in struct{ Content string }
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	if !slices.Contains(contents, in.Content) {
		return nil, invalid("Reaction", "content", "invalid", "")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	for _, r := range x.reactions {
		if r.login == c.who.login && r.content == in.Content {
			return f.showReaction(r), nil
		}
	}
	r := reaction{id: f.id(), login: c.who.login, content: in.Content, at: f.at()}
	x.reactions = append(x.reactions, r)
	c.status = http.StatusCreated
	return f.showReaction(r), nil
}

func (f *Forge) deleteReaction(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(x.reactions, func(r reaction) bool { return r.id == int64(c.number("reaction")) })
	if at < 0 || x.reactions[at].login != c.who.login {
		return nil, errNotFound
	}
	x.reactions = slices.Delete(x.reactions, at, at+1)
	c.status = http.StatusNoContent
	return nil, nil
}
