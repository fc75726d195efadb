// Issues: one an incident, found again by its marker.

package forge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// before is how far the clocks of this machine and GitHub may be apart.
const before = time.Hour

// ReportIssue opens the issue, or brings it up to date.
func (c *Client) ReportIssue(ctx context.Context, i port.Issue) (string, error) {
	if i.Marker == "" || !strings.HasPrefix(i.Body, i.Marker) {
		return "", fault.New(fault.Internal, "report an issue: the text does not begin with its marker")
	}
	c.saying.Lock()
	defer c.saying.Unlock()
	own, err := c.ownIssues(ctx, i)
	if err != nil {
		return "", err
	}
	if len(own) == 0 && !i.Over {
		if own, err = c.openIssue(ctx, i); err != nil {
			return "", err
		}
	}
	for n, one := range own {
		close := i.Over || n > 0 // the oldest is the one
		if sameText(one.GetBody(), i.Body) && (one.GetState() == "closed" || !close) {
			continue
		}
		ask := &github.IssueRequest{Body: &i.Body}
		if close && one.GetState() != "closed" {
			ask.State, ask.StateReason = github.String("closed"), github.String("completed")
		} else if !close && i.Again && one.GetState() == "closed" { // its text is that of the end
			ask.State, ask.StateReason = github.String("open"), github.String("reopened")
		}
		if _, err := c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/issues/%d", c.repo, one.GetNumber()), ask, nil); err != nil {
			return "", fmt.Errorf("edit issue %d: %w", one.GetNumber(), err)
		}
	}
	if len(own) == 0 {
		return "", nil
	}
	return own[0].GetHTMLURL(), nil
}

// openIssue opens it, and lists what is there then: whoever we are taken for is known only now.
func (c *Client) openIssue(ctx context.Context, i port.Issue) ([]*github.Issue, error) {
	var made github.Issue
	ask := &github.IssueRequest{Title: &i.Title, Body: &i.Body}
	if len(i.Labels) > 0 {
		ask.Labels = &i.Labels
	}
	if _, err := c.call(ctx, http.MethodPost, c.repo+"/issues", ask, &made); err != nil {
		if fault.Of(err) == fault.Denied {
			return nil, fault.WithHint(fmt.Errorf("open an issue: %w", err), "give the token or the App the permission issues: write, and enable issues in the repository")
		}
		return nil, fmt.Errorf("open an issue: %w", err)
	}
	if !c.learned(made.GetUser().GetLogin()) {
		return []*github.Issue{&made}, nil
	}
	own, err := c.ownIssues(ctx, i)
	if err == nil && len(own) == 0 { // the list does not show it yet
		own = []*github.Issue{&made}
	}
	return own, err
}

// ownIssues lists our issues that begin with the marker, oldest first.
func (c *Client) ownIssues(ctx context.Context, i port.Issue) ([]*github.Issue, error) {
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	q := url.Values{"state": {"all"}, "creator": {me}, "sort": {"created"}, "direction": {"asc"}}
	if !i.Since.IsZero() {
		q.Set("since", i.Since.Add(-before).UTC().Format(time.RFC3339))
	}
	var out []*github.Issue
	err = list(ctx, c, c.repo+"/issues", q, func(one *github.Issue) bool {
		if one.PullRequestLinks == nil && strings.HasPrefix(one.GetBody(), i.Marker) && strings.EqualFold(one.GetUser().GetLogin(), me) {
			out = append(out, one)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("look for the issue of an incident: %w", err)
	}
	slices.SortFunc(out, func(a, b *github.Issue) int { return cmp.Compare(a.GetNumber(), b.GetNumber()) })
	return slices.CompactFunc(out, func(a, b *github.Issue) bool { return a.GetNumber() == b.GetNumber() }), nil
}
