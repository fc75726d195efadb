// The API of check runs, which only Apps may write.

package devforge

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// What one request of the check runs may hold, as GitHub documents it.
const (
	maxAnnotations = 50
	maxOutput      = 65535
)

type check struct {
	id, suite                                        int64
	name, sha, status, conclusion, external, details string
	output                                           output
	annotations                                      []Annotation
	app                                              *app
	started, completed                               time.Time
	updates                                          int
}

// Annotation is a message at lines of a file, in the API's own shape.
type Annotation struct {
	Path    string `json:"path"`
	Start   int    `json:"start_line"`
	End     int    `json:"end_line"`
	Level   string `json:"annotation_level"`
	Title   string `json:"title"`
	Message string `json:"message"`
	Details string `json:"raw_details"`
}

type output struct {
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	Text        string       `json:"text"`
	Annotations []Annotation `json:"annotations"`
}

// checkEdit is the body of POST and PATCH; what is nil is left alone.
type checkEdit struct {
	Name       *string    `json:"name"`
	SHA        string     `json:"head_sha"`
	Details    *string    `json:"details_url"`
	External   *string    `json:"external_id"`
	Status     string     `json:"status"`
	Conclusion string     `json:"conclusion"`
	Started    *time.Time `json:"started_at"`
	Completed  *time.Time `json:"completed_at"`
	Output     *output    `json:"output"`
}

// problem is why an edit is refused.
func (e checkEdit) problem() *Problem {
	if !slices.Contains([]string{"", "queued", "in_progress", "completed"}, e.Status) {
		return invalid("CheckRun", "status", "invalid", "")
	}
	ends := []string{"", "action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"}
	if !slices.Contains(ends, e.Conclusion) {
		return invalid("CheckRun", "conclusion", "invalid", "")
	}
	if e.Status == "completed" && e.Conclusion == "" {
		return invalid("CheckRun", "conclusion", "missing_field", "")
	}
	if e.Output == nil {
		return nil
	}
	switch o := e.Output; {
	case o.Title == "" && o.Summary != "" || o.Summary == "":
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"summary\", \"title\" weren't supplied.")
	case len(o.Summary) > maxOutput || len(o.Text) > maxOutput:
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\nOnly 65535 characters are allowed; %d were supplied.", max(len(o.Summary), len(o.Text)))
	case len(o.Annotations) > maxAnnotations:
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\nNo more than 50 items are allowed; %d were supplied.", len(o.Annotations))
	}
	for _, a := range e.Output.Annotations {
		switch {
		case a.Path == "" || a.Message == "" || a.Start < 1 || a.End < a.Start:
			return invalid("CheckRun", "annotations", "invalid", "path, start_line, end_line and message are needed")
		case !slices.Contains([]string{"notice", "warning", "failure"}, a.Level):
			return invalid("CheckRun", "annotation_level", "invalid", "")
		case len(a.Title) > 255 || len(a.Message) > 64<<10:
			return invalid("CheckRun", "annotations", "invalid", "title or message is too long")
		}
	}
	return nil
}

// applyTo applies an edit to a check run.
func (e checkEdit) applyTo(c *check, now time.Time) {
	c.name, c.details, c.external = *cmp.Or(e.Name, &c.name), *cmp.Or(e.Details, &c.details), *cmp.Or(e.External, &c.external)
	c.status, c.conclusion = cmp.Or(e.Status, c.status, "queued"), cmp.Or(e.Conclusion, c.conclusion)
	if e.Conclusion != "" {
		c.status = "completed"
	}
	if e.Status != "" && e.Status != "completed" {
		c.conclusion, c.completed = "", time.Time{}
	}
	if e.Started != nil {
		c.started = *e.Started
	}
	if c.started.IsZero() {
		c.started = now
	}
	if e.Completed != nil {
		c.completed = *e.Completed
	} else if c.status == "completed" && c.completed.IsZero() {
		c.completed = now
	}
	if e.Output != nil {
		c.output = output{Title: e.Output.Title, Summary: e.Output.Summary, Text: e.Output.Text}
		c.annotations = append(c.annotations, e.Output.Annotations...)
	}
}

func (c *call) byApp() error {
	if c.who.token == nil || c.who.app == nil {
		return refuse(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	return nil
}

func (f *Forge) postCheck(c *call) (any, error) {
	if err := c.byApp(); err != nil {
		return nil, err
	}
	var in checkEdit
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	if in.Name == nil || *in.Name == "" || in.SHA == "" {
		return nil, refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"name\", \"head_sha\" weren't supplied.")
	}
	if p := in.problem(); p != nil {
		return nil, p
	}
	sha, err := f.resolve(c.repo, in.SHA)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x := &check{id: f.id(), suite: f.suite(c.repo, sha, c.who.app), sha: sha, app: c.who.app}
	in.applyTo(x, f.at())
	c.repo.checks = append(c.repo.checks, x)
	f.emitCheck(c.repo, x, "created", c.who.login)
	c.status = http.StatusCreated
	return f.showCheck(c.repo, x), nil
}

// suite is the one suite of an App at a commit; f.mu is held.
func (f *Forge) suite(r *repo, sha string, a *app) int64 {
	for _, c := range r.checks {
		if c.sha == sha && c.app == a {
			return c.suite
		}
	}
	return f.id()
}

// checkOf is the check run of the path; f.mu is held.
func (c *call) checkOf() (*check, error) {
	for _, x := range c.repo.checks {
		if x.id == int64(c.number("id")) {
			return x, nil
		}
	}
	return nil, errNotFound
}

func (f *Forge) getCheck(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.checkOf()
	if err != nil {
		return nil, err
	}
	return f.showCheck(c.repo, x), nil
}

func (f *Forge) patchCheck(c *call) (any, error) {
	if err := c.byApp(); err != nil {
		return nil, err
	}
	var in checkEdit
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	if p := in.problem(); p != nil {
		return nil, p
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.checkOf()
	if err != nil {
		return nil, err
	}
	if x.app != c.who.app {
		return nil, refuse(http.StatusForbidden, "Invalid app_id `%d` - check run can only be modified by the GitHub App that created it.", c.who.app.id)
	}
	was := x.status
	in.applyTo(x, f.at())
	x.updates++
	if x.status == "completed" && was != "completed" {
		f.emitCheck(c.repo, x, "completed", c.who.login)
	}
	return f.showCheck(c.repo, x), nil
}

func (f *Forge) listAnnotations(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := c.checkOf()
	if err != nil {
		return nil, err
	}
	return paged(c, f, slices.Clone(x.annotations)), nil
}

// listChecks lists the check runs of a commit: the newest of each name and App, or
// all where filter=all.
func (f *Forge) listChecks(c *call) (any, error) {
	sha, err := f.resolve(c.repo, c.PathValue("sha"))
	if err != nil {
		return nil, err
	}
	q := c.URL.Query()
	type run struct {
		name string
		app  int64
	}
	seen := map[run]bool{}
	out := []*check{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range newest(c.repo.checks) {
		is := run{x.name, x.app.id}
		wrongApp := q.Get("app_id") != "" && q.Get("app_id") != strconv.FormatInt(x.app.id, 10)
		wrongName := q.Get("check_name") != "" && q.Get("check_name") != x.name
		wrongStatus := q.Get("status") != "" && q.Get("status") != x.status
		if x.sha != sha || wrongApp || wrongName || wrongStatus || seen[is] && q.Get("filter") != "all" {
			continue
		}
		seen[is] = true
		out = append(out, x)
	}
	return object{
		"total_count": len(out), "check_runs": shown(paged(c, f, out), func(x *check) object { return f.showCheck(c.repo, x) }),
	}, nil
}
