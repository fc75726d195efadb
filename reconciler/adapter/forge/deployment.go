// Deployments as GitHub shows them, found again by the key in their payload.

package forge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// inactive is the state of a deployment that another has taken the place of, or that was taken away.
const inactive = "inactive"

var rolloutStates = map[port.State]string{
	port.Pending: "in_progress", port.Waits: "pending", port.Succeeded: "success", port.Failure: "failure", port.Gone: inactive,
}

// Bounds of a look for those before: of one deployment, and of all in its environment.
const (
	mostBefore = 20
	mostLooked = 200
)

type payload struct {
	Key string `json:"vishwa"`
}

// ReportDeployment shows r.
func (c *Client) ReportDeployment(ctx context.Context, r port.Deployment) error {
	if r.Key == "" || rolloutStates[r.State] == "" {
		return fault.New(fault.Internal, "show rollout: it has no key or no state")
	}
	c.marking.Lock()
	defer c.marking.Unlock()
	if err := c.rollout(ctx, r); err != nil {
		return fmt.Errorf("show rollout to %s: %w", r.Environment, err)
	}
	return nil
}

func (c *Client) rollout(ctx context.Context, r port.Deployment) error {
	id, before, err := c.shown(ctx, r)
	if err != nil {
		return err
	}
	if id == 0 && r.State != port.Gone {
		in := map[string]any{
			"ref": r.SHA, "environment": r.Environment, "description": clip(harmless.Line(r.Description), maxDescription), "payload": payload{r.Key},
			"required_contexts": []string{}, "auto_merge": false, "production_environment": r.Production,
		}
		var made github.Deployment
		if _, err := c.call(ctx, http.MethodPost, c.repo+"/deployments", in, &made); err != nil {
			return err
		}
		id = made.GetID()
	}
	changed := false
	if id != 0 {
		if changed, err = c.moveOn(ctx, id, rolloutStates[r.State], r); err != nil {
			return err
		}
	}
	if !changed && r.State == port.Pending {
		return nil
	}
	for _, other := range before {
		last, err := c.lastState(ctx, other)
		if err != nil {
			return err
		}
		switch last.GetState() {
		case "success":
			if r.State == port.Pending { // it serves until the new one does
				continue
			}
		case "in_progress", "pending", "queued": // what was tried, and is no more
		default:
			continue
		}
		if _, err := c.moveOn(ctx, other, inactive, port.Deployment{}); err != nil {
			return err
		}
	}
	return nil
}

// shown is the deployment of r, and those of what was released under the same name before, newest first, where r takes their place. GitHub
// would have all others of an environment be inactive, though each model has a deployment of its own there.
func (c *Client) shown(ctx context.Context, r port.Deployment) (id int64, before []int64, err error) {
	name, _, _ := strings.Cut(r.Key, "@")
	replaces, looked := r.State == port.Pending || r.State == port.Succeeded || r.State == port.Gone, 0
	q := url.Values{"environment": {r.Environment}, "task": {"deploy"}}
	err = list(ctx, c, c.repo+"/deployments", q, func(d *github.Deployment) bool {
		looked++
		key := keyOf(d.Payload)
		switch of, _, _ := strings.Cut(key, "@"); {
		case d.GetEnvironment() != r.Environment:
		case key == r.Key && id == 0:
			id = d.GetID()
		case of == name && replaces && len(before) < mostBefore:
			before = append(before, d.GetID())
		}
		return id == 0 || replaces && len(before) < mostBefore && looked < mostLooked
	})
	return id, before, err
}

func (c *Client) lastState(ctx context.Context, id int64) (*github.DeploymentStatus, error) {
	var last *github.DeploymentStatus
	err := list(ctx, c, fmt.Sprintf("%s/deployments/%d/statuses", c.repo, id), nil, func(s *github.DeploymentStatus) bool {
		if s.GetID() > last.GetID() {
			last = s
		}
		return true
	})
	return last, err
}

// moveOn gives a deployment a state, unless it has it.
func (c *Client) moveOn(ctx context.Context, id int64, state string, r port.Deployment) (changed bool, err error) {
	text := clip(harmless.Line(r.Description), maxDescription)
	last, err := c.lastState(ctx, id)
	if err != nil || last.GetState() == state && (state == inactive || last.GetDescription() == text && last.GetEnvironmentURL() == r.URL) {
		return false, err
	}
	in := map[string]any{"state": state, "description": text, "auto_inactive": false}
	if r.URL != "" {
		in["environment_url"] = r.URL
	}
	_, err = c.call(ctx, http.MethodPost, fmt.Sprintf("%s/deployments/%d/statuses", c.repo, id), in, nil)
	return true, err
}

// keyOf reads a payload, which GitHub gives back as JSON or as a string that holds it.
func keyOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var p payload
	if json.Unmarshal(raw, &p) != nil { // somebody else's
		return ""
	}
	return p.Key
}
