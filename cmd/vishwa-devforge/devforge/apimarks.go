// The API of commit statuses.

package devforge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxStatuses is how many statuses a commit takes for one context.
const maxStatuses = 1000

func (f *Forge) postStatus(c *call) (any, error) {
	var in struct {
		State, Context, Description string
		Target                      string `json:"target_url"`
	}
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	sha, err := f.resolve(c.repo, c.PathValue("sha"))
	if err != nil {
		return nil, err
	}
	if in.Context == "" {
		in.Context = "default"
	}
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State):
		return nil, invalid("Status", "state", "custom", "state is not included in the list")
	case utf8.RuneCountInString(in.Description) > 140:
		return nil, invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
	case in.Target != "" && !strings.HasPrefix(in.Target, "http://") && !strings.HasPrefix(in.Target, "https://"):
		return nil, invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range c.repo.statuses {
		if s.sha == sha && s.context == in.Context {
			n++
		}
	}
	if n >= maxStatuses {
		return nil, invalid("Status", "", "custom", "This SHA and context has reached the maximum number of statuses.")
	}
	s := &status{id: f.id(), sha: sha, state: in.State, context: in.Context, description: in.Description, target: in.Target, login: c.who.login, at: f.at()}
	c.repo.statuses = append(c.repo.statuses, s)
	c.status = http.StatusCreated
	return f.showStatus(c.repo, s), nil
}

func (f *Forge) getStatus(c *call) (any, error) {
	sha, err := f.resolve(c.repo, c.PathValue("sha"))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list := c.repo.statusesAt(sha)
	state := "success"
	for _, s := range list {
		if s.state == "failure" || s.state == "error" {
			state = "failure"
			break
		}
		if s.state == "pending" {
			state = "pending"
		}
	}
	if len(list) == 0 {
		state = "pending"
	}
	return object{
		"state": state, "sha": sha, "total_count": len(list), "repository": f.showRepo(c.repo),
		"statuses": shown(paged(c, f, list), func(s *status) object { return f.showStatus(c.repo, s) }),
	}, nil
}

func (f *Forge) listStatuses(c *call) (any, error) {
	sha, err := f.resolve(c.repo, c.PathValue("sha"))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*status
	for _, s := range newest(c.repo.statuses) {
		if s.sha == sha {
			out = append(out, s)
		}
	}
	return shown(paged(c, f, out), func(s *status) object { return f.showStatus(c.repo, s) }), nil
}

// required tells which contexts of a commit stand in the way of a deployment:
// those named, or all that are there where names is nil. f.mu is held.
func (r *repo) required(sha string, names *[]string) []any {
	var out []any
	if names == nil {
		for _, s := range r.statusesAt(sha) {
			if s.state != "success" {
				out = append(out, object{"contexts": []object{{"context": s.context, "state": s.state}}, "resource": "Deployment", "field": "required_contexts", "code": "invalid"})
			}
		}
		for _, c := range r.checks {
			if c.sha == sha && !r.passed(sha, c.name) {
				out = append(out, object{"contexts": []object{{"context": c.name, "state": c.status}}, "resource": "Deployment", "field": "required_contexts", "code": "invalid"})
			}
		}
		return out
	}
	for _, name := range *names {
		if !r.passed(sha, name) {
			out = append(out, object{"message": fmt.Sprintf("%s is not a success", name), "resource": "Deployment", "field": "required_contexts", "code": "invalid"})
		}
	}
	return out
}
