// What happened, for tests to count and persons to read: every request, and
// everything that is shown on a repository.

package devforge

import (
	"maps"
	"slices"
	"time"
)

// Request is one request of the API or of Git.
type Request struct {
	At     time.Time
	Method string
	Path   string // without the query; /repos/... also where it came below /api/v3
	Query  string
	Status int    // 0: under way still, or the connection was cut
	By     string // login or slug; empty: nobody
	Git    bool
}

// Requests is a copy of all requests since New or Forget, oldest first.
func (f *Forge) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Request, len(f.requests))
	for i, r := range f.requests {
		out[i] = *r
	}
	return out
}

// Forget empties the record of requests.
func (f *Forge) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

type comment struct {
	id        int64
	pull      int
	login     string
	app       *app
	body      string
	created   time.Time
	updated   time.Time
	edits     int
	reactions []reaction
}

type reaction struct {
	id      int64
	login   string
	content string
	at      time.Time
}

// contents are the reactions that GitHub knows.
var contents = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

type status struct {
	id                                              int64
	sha, state, context, description, target, login string
	at                                              time.Time
}

// Comment is a comment as it stands.
type Comment struct {
	ID        int64
	Pull      int
	Login     string
	Body      string
	Created   time.Time
	Edits     int
	Reactions map[string][]string // content -> logins
}

// Status is a commit status.
type Status struct{ SHA, Context, State, Description, URL, Login string }

// Check is a check run.
type Check struct {
	ID                                                                 int64
	SHA, Name, Status, Conclusion, Title, Summary, Text, URL, App, Ext string
	Annotations                                                        []Annotation
	Updates                                                            int
}

// Deployment is a deployment with its states, oldest first.
type Deployment struct {
	ID                                      int64
	SHA, Ref, Task, Environment, URL, Login string
	Payload                                 any
	Production                              bool
	States                                  []string
}

// Shown is everything that is shown on a repository, oldest first.
type Shown struct {
	Comments    []Comment
	Statuses    []Status // every one that was ever posted
	Checks      []Check
	Deployments []Deployment
}

// Shown tells what a repository shows.
func (f *Forge) Shown(name string) (Shown, error) {
	r, err := f.find(name)
	if err != nil {
		return Shown{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out Shown
	for _, c := range r.comments {
		v := Comment{ID: c.id, Pull: c.pull, Login: c.login, Body: c.body, Created: c.created, Edits: c.edits, Reactions: map[string][]string{}}
		for _, x := range c.reactions {
			v.Reactions[x.content] = append(v.Reactions[x.content], x.login)
		}
		out.Comments = append(out.Comments, v)
	}
	for _, s := range r.statuses {
		out.Statuses = append(out.Statuses, Status{SHA: s.sha, Context: s.context, State: s.state, Description: s.description, URL: s.target, Login: s.login})
	}
	for _, c := range r.checks {
		out.Checks = append(out.Checks, Check{
			ID: c.id, SHA: c.sha, Name: c.name, Status: c.status, Conclusion: c.conclusion, Title: c.output.Title, Summary: c.output.Summary,
			Text: c.output.Text, URL: c.details, App: c.app.slug, Ext: c.external, Annotations: slices.Clone(c.annotations), Updates: c.updates,
		})
	}
	for _, d := range r.deployments {
		v := Deployment{ID: d.id, SHA: d.sha, Ref: d.ref, Task: d.task, Environment: d.environment, Payload: d.payload, Login: d.login, Production: d.production}
		for _, s := range d.states {
			v.States = append(v.States, s.state)
			if s.served != "" {
				v.URL = s.served
			}
		}
		out.Deployments = append(out.Deployments, v)
	}
	return out, nil
}

// Comment writes below a pull request as its page does.
func (f *Forge) Comment(name string, number int, login, body string) (int64, error) {
	p, err := f.pull(name, number)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.addUser(login, false)
	c, problem := f.comment(p, actor{token: &token{login: u.login}}, body)
	if problem != nil {
		return 0, problem
	}
	return c.id, nil
}

// Rerequest asks for a check run anew, as the button of its page does.
func (f *Forge) Rerequest(name string, check int64, login string) error {
	r, err := f.find(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range r.checks {
		if c.id == check {
			f.emitCheck(r, c, "rerequested", login)
			return nil
		}
	}
	return refuse(404, "there is no check run %d", check)
}

// statusesAt are the newest statuses of a commit, one a context; Forge.mu is held.
func (r *repo) statusesAt(sha string) []*status {
	seen := map[string]*status{}
	for _, s := range r.statuses {
		if s.sha == sha {
			seen[s.context] = s
		}
	}
	var out []*status
	for _, context := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, seen[context])
	}
	return out
}
