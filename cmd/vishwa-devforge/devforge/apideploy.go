// The API of deployments and their states.

package devforge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

type deployment struct {
	id                                              int64
	sha, ref, task, environment, description, login string
	payload                                         any
	transient, production                           bool
	at                                              time.Time
	states                                          []*deployed
}

type deployed struct {
	id                                     int64
	state, description, served, log, login string
	at                                     time.Time
}

func (d *deployment) updated() time.Time {
	if len(d.states) == 0 {
		return d.at
	}
	return d.states[len(d.states)-1].at
}

// newDeployment is the body of POST /deployments.
type newDeployment struct {
	Ref         string          `json:"ref"`
	Task        string          `json:"task"`
	AutoMerge   *bool           `json:"auto_merge"`
	Required    *[]string       `json:"required_contexts"`
	Payload     json.RawMessage `json:"payload"`
	Environment string          `json:"environment"`
	Description string          `json:"description"`
	Transient   bool            `json:"transient_environment"`
	Production  *bool           `json:"production_environment"`
}

func (f *Forge) postDeployment(c *call) (any, error) {
	var in newDeployment
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	if in.Ref == "" {
		return nil, invalid("Deployment", "ref", "missing_field", "")
	}
	if utf8.RuneCountInString(in.Description) > 140 {
		return nil, invalid("Deployment", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	sha, err := f.resolve(c.repo, in.Ref)
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "No ref found for: %s", in.Ref)
	}
	if in.AutoMerge == nil || *in.AutoMerge {
		merged, err := f.catchUp(c, in.Ref, sha)
		if err != nil || merged != nil {
			return merged, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if missing := c.repo.required(sha, in.Required); len(missing) > 0 {
		return nil, &Problem{Status: http.StatusConflict, Message: fmt.Sprintf("Conflict: Commit status checks failed for %s.", in.Ref), Errors: missing}
	}
	d := &deployment{
		id: f.id(), sha: sha, ref: in.Ref, task: cmp.Or(in.Task, "deploy"), environment: cmp.Or(in.Environment, "production"),
		description: in.Description, login: c.who.login, transient: in.Transient, at: f.at(), payload: "",
	}
	if len(in.Payload) > 0 && string(in.Payload) != "null" {
		d.payload = in.Payload
	}
	d.production = d.environment == "production"
	if in.Production != nil {
		d.production = *in.Production
	}
	c.repo.deployments = append(c.repo.deployments, d)
	c.status = http.StatusCreated
	return f.showDeployment(c.repo, d), nil
}

// catchUp is auto_merge: a branch that lacks commits of the default branch gets
// them instead of being deployed.
func (f *Forge) catchUp(c *call, branch, sha string) (any, error) {
	if _, err := f.run(c.repo.dir, "", "rev-parse", "--verify", "--quiet", "refs/heads/"+branch); err != nil {
		return nil, nil // only branches are merged into
	}
	f.mu.Lock()
	base := c.repo.base
	f.mu.Unlock()
	tip, err := f.resolve(c.repo, "refs/heads/"+base)
	if err != nil || f.ancestor(c.repo, tip, sha) {
		return nil, nil // there is nothing to merge
	}
	tree, err := f.mergeTree(c.repo, sha, tip)
	if errors.Is(err, errConflict) {
		return nil, refuse(http.StatusConflict, "Conflict merging %s into %s.", base, branch)
	}
	if err != nil {
		return nil, err
	}
	merged, err := f.write(c.repo, commit{tree: tree, parents: []string{sha, tip}, author: c.who.login, message: fmt.Sprintf("Merge %s into %s", base, branch)})
	if err != nil {
		return nil, err
	}
	if _, err := f.run(c.repo.dir, "", "update-ref", "refs/heads/"+branch, merged, sha); err != nil {
		return nil, err
	}
	f.pushed(c.repo, c.who.login, []update{{old: sha, new: merged, ref: "refs/heads/" + branch}})
	c.status = http.StatusAccepted
	return object{"message": fmt.Sprintf("Auto-merged %s into %s on deployment.", base, branch)}, nil
}

func (f *Forge) listDeployments(c *call) (any, error) {
	q := c.URL.Query()
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*deployment
	for _, d := range newest(c.repo.deployments) {
		is := func(field, value string) bool { return !q.Has(field) || q.Get(field) == "" || q.Get(field) == value }
		if is("sha", d.sha) && is("ref", d.ref) && is("task", d.task) && is("environment", d.environment) {
			out = append(out, d)
		}
	}
	return shown(paged(c, f, out), func(d *deployment) object { return f.showDeployment(c.repo, d) }), nil
}

// deploymentOf is the deployment of the path; f.mu is held.
func (c *call) deploymentOf() (*deployment, error) {
	for _, d := range c.repo.deployments {
		if d.id == int64(c.number("id")) {
			return d, nil
		}
	}
	return nil, errNotFound
}

func (f *Forge) getDeployment(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := c.deploymentOf()
	if err != nil {
		return nil, err
	}
	return f.showDeployment(c.repo, d), nil
}

func (f *Forge) listDeployed(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := c.deploymentOf()
	if err != nil {
		return nil, err
	}
	return shown(paged(c, f, newest(d.states)), func(s *deployed) object { return f.showDeployed(c.repo, d, s) }), nil
}

func (f *Forge) postDeployed(c *call) (any, error) {
	var in struct {
		State, Description string
		Log                string `json:"log_url"`
		Target             string `json:"target_url"`
		Served             string `json:"environment_url"`
		Inactivates        *bool  `json:"auto_inactive"`
	}
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	states := []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
	if !slices.Contains(states, in.State) {
		return nil, invalid("DeploymentStatus", "state", "custom", "state is not included in the list")
	}
	if utf8.RuneCountInString(in.Description) > 140 {
		return nil, invalid("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := c.deploymentOf()
	if err != nil {
		return nil, err
	}
	s := &deployed{
		id: f.id(), state: in.State, description: in.Description, served: in.Served, log: cmp.Or(in.Log, in.Target), login: c.who.login, at: f.at(),
	}
	d.states = append(d.states, s)
	if in.State == "success" && (in.Inactivates == nil || *in.Inactivates) {
		for _, other := range c.repo.deployments {
			last := len(other.states) - 1
			if other == d || other.environment != d.environment || other.transient || other.production || last < 0 || other.states[last].state != "success" {
				continue
			}
			other.states = append(other.states, &deployed{id: f.id(), state: "inactive", login: c.who.login, at: f.at()})
		}
	}
	c.status = http.StatusCreated
	return f.showDeployed(c.repo, d, s), nil
}
