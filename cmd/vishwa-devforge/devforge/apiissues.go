// The API of issues. On GitHub issues and pull requests share their numbers; here issues have high
// ones of their own.

package devforge

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// firstIssue is the number of a repository's first issue.
const firstIssue = 1_000_001

type issue struct {
	id               int64
	number           int
	login            string
	title, body      string
	labels           []string
	closed           bool
	created, updated time.Time
}

func (f *Forge) listIssues(c *call) (any, error) {
	q := c.URL.Query()
	var since time.Time
	if s := q.Get("since"); s != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, s); err != nil {
			return nil, invalid("Issue", "since", "invalid", "")
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*issue
	for _, x := range c.repo.issues {
		open := q.Get("state") == "" || q.Get("state") == "open"
		if (q.Get("state") == "all" || open != x.closed) && (q.Get("creator") == "" || strings.EqualFold(q.Get("creator"), x.login)) && !x.updated.Before(since.Truncate(time.Second)) {
			out = append(out, x)
		}
	}
	if q.Get("direction") != "asc" {
		slices.Reverse(out)
	}
	return shown(paged(c, f, out), func(x *issue) object { return f.showIssue(c.repo, x) }), nil
}

func (f *Forge) postIssue(c *call) (any, error) {
	var in struct {
		Title, Body string
		Labels      []string
	}
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Title) == "" {
		return nil, invalid("Issue", "title", "missing_field", "")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x := &issue{id: f.id(), number: firstIssue + len(c.repo.issues), login: c.who.login, title: in.Title, body: in.Body, labels: in.Labels, created: f.at(), updated: f.at()}
	c.repo.issues = append(c.repo.issues, x)
	c.status = http.StatusCreated
	return f.showIssue(c.repo, x), nil
}

func (f *Forge) patchIssue(c *call) (any, error) {
	var in struct {
		Body, State *string
	}
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range c.repo.issues {
		if x.number != c.number("n") {
			continue
		}
		if in.State != nil && *in.State != "open" && *in.State != "closed" {
			return nil, invalid("Issue", "state", "invalid", "")
		}
		if in.Body != nil {
			x.body = *in.Body
		}
		if in.State != nil {
			x.closed = *in.State == "closed"
		}
		x.updated = f.at()
		return f.showIssue(c.repo, x), nil
	}
	return nil, errNotFound
}

func (f *Forge) showIssue(r *repo, x *issue) object {
	state := "open"
	if x.closed {
		state = "closed"
	}
	labels := []any{}
	for _, l := range x.labels {
		labels = append(labels, object{"name": l})
	}
	return object{
		"id": x.id, "number": x.number, "title": x.title, "body": x.body, "state": state, "labels": labels, "user": f.showUser(x.login),
		"created_at": stamp(x.created), "updated_at": stamp(x.updated), "url": f.link(r, "/issues/%d", x.number), "html_url": f.page(r, "/issues/%d", x.number),
	}
}

// Issue is an issue as people see it.
type Issue struct {
	Number             int
	Title, Body, Login string
	Labels             []string
	Closed             bool
}

// Issues lists the issues of a repository, oldest first.
func (f *Forge) Issues(full string) (out []Issue, err error) {
	r, err := f.find(full)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range r.issues {
		out = append(out, Issue{x.number, x.title, x.body, x.login, slices.Clone(x.labels), x.closed})
	}
	return out, nil
}

// OpenIssue opens an issue as login.
func (f *Forge) OpenIssue(full, login, title, body string) error {
	r, err := f.find(full)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.issues = append(r.issues, &issue{id: f.id(), number: firstIssue + len(r.issues), login: login, title: title, body: body, created: f.at(), updated: f.at()})
	return nil
}
