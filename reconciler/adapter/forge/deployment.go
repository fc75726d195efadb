// Deployments as GitHub shows them, found again by the key in their payload.

package forge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var rolloutStates = map[port.State]string{
	port.Pending: "in_progress", port.Waits: "pending", port.Succeeded: "success", port.Failure: "failure",
}

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
	var id int64
	var others []int64 // of Vishwa's, newest first
	q := url.Values{"environment": {r.Environment}, "task": {"deploy"}}
	err := list(ctx, c, c.repo+"/deployments", q, func(d *github.Deployment) bool {
		switch key := keyOf(d.Payload); {
		case key == r.Key && d.GetEnvironment() == r.Environment && id == 0:
			id = d.GetID()
		case key != "" && d.GetEnvironment() == r.Environment && len(others) < 20:
			others = append(others, d.GetID())
		}
		return id == 0 || r.State == port.Succeeded && len(others) < 20
	})
	if err != nil {
		return err
	}
	if id == 0 {
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
	changed, err := c.moveOn(ctx, id, rolloutStates[r.State], r)
	if err != nil || !changed || r.State != port.Succeeded {
		return err
	}
	for _, other := range others { // GitHub does this by itself except for production
		last, err := c.lastState(ctx, other)
		if err != nil {
			return err
		}
		if last.GetState() != "success" {
			continue
		}
		if _, err := c.moveOn(ctx, other, "inactive", port.Deployment{}); err != nil {
			return err
		}
	}
	return nil
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
	if err != nil || last.GetState() == state && last.GetDescription() == text && last.GetEnvironmentURL() == r.URL {
		return false, err
	}
	in := map[string]any{"state": state, "description": text, "auto_inactive": true}
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
