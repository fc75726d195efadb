// Pull requests, their reviews, and who may do what.

package forge

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Pull is pull request n.
func (c *Client) Pull(ctx context.Context, n int) (port.PullRequest, error) {
	var p github.PullRequest
	if _, err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s/pulls/%d", c.repo, n), nil, &p); err != nil {
		return port.PullRequest{}, fmt.Errorf("read pull request %d: %w", n, err)
	}
	return pull(&p), nil
}

// Open lists the open pull requests into base.
func (c *Client) Open(ctx context.Context, base string) ([]port.PullRequest, error) {
	q := url.Values{"state": {"open"}, "base": {base}, "sort": {"created"}, "direction": {"asc"}}
	var out []port.PullRequest
	err := list(ctx, c, c.repo+"/pulls", q, func(p *github.PullRequest) bool {
		if p.GetBase().GetRef() == base { // GitHub takes a base that it cannot read for none
			out = append(out, pull(p))
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list open pull requests: %w", err)
	}
	return inOrder(out), nil
}

// MergedAs lists the pull requests that were merged as sha.
func (c *Client) MergedAs(ctx context.Context, sha string) ([]port.PullRequest, error) {
	var out []port.PullRequest
	err := list(ctx, c, c.repo+"/commits/"+url.PathEscape(sha)+"/pulls", nil, func(p *github.PullRequest) bool {
		if got := pull(p); got.Merged && got.MergeSHA == sha {
			out = append(out, got)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list pull requests of %s: %w", sha, err)
	}
	return inOrder(out), nil
}

// mostActivity is how much of a branch's past one request shows.
const mostActivity = 100

// Pushers lists who pushed to p's branch, as the repository's activity has it.
func (c *Client) Pushers(ctx context.Context, p port.PullRequest) ([]string, error) {
	if p.Fork {
		return nil, fault.New(fault.Missing, "pull request %d comes from another repository, whose pushes are not listed", p.Number)
	}
	out, err := c.pushers(ctx, p.Head)
	if err != nil {
		return nil, err
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// pushers are those who pushed to a branch. That nobody did means that it is not told, as somebody did.
func (c *Client) pushers(ctx context.Context, branch string) (out []string, err error) {
	q := url.Values{"ref": {"refs/heads/" + branch}, "per_page": {strconv.Itoa(mostActivity)}}
	var moves []struct { // go-github has none of it
		Actor *github.User `json:"actor"`
		Type  string       `json:"activity_type"`
	}
	more, err := c.call(ctx, http.MethodGet, c.repo+"/activity?"+q.Encode(), nil, &moves)
	if err != nil {
		return nil, fmt.Errorf("list who pushed to %s: %w", branch, err)
	}
	for _, m := range moves {
		if m.Type != "branch_deletion" {
			out = append(out, strings.ToLower(account(m.Actor).Login))
		}
	}
	if more || len(out) == 0 {
		return nil, fault.New(fault.Missing, "list who pushed to %s: GitHub does not tell all of it", branch)
	}
	return out, nil
}

// Tips lists what the branch was at, as the repository's activity has it. Each move begins
// where the one before ended, or one between them is missing.
func (c *Client) Tips(ctx context.Context, branch, since string) ([]string, error) {
	q := url.Values{"ref": {"refs/heads/" + branch}, "direction": {"desc"}, "per_page": {strconv.Itoa(mostActivity)}}
	var moves []struct {
		Ref    string `json:"ref"`
		Before string `json:"before"`
		After  string `json:"after"`
	}
	if _, err := c.call(ctx, http.MethodGet, c.repo+"/activity?"+q.Encode(), nil, &moves); err != nil {
		return nil, fmt.Errorf("list what %s was at: %w", branch, err)
	}
	var out []string
	for i, m := range moves {
		if m.Ref != "refs/heads/"+branch || i > 0 && moves[i-1].Before != m.After {
			break
		}
		if i == 0 {
			out = append(out, m.After)
		}
		out = append(out, m.Before)
	}
	if !slices.Contains(out, since) {
		return nil, fault.New(fault.Missing, "list what %s was at: GitHub does not tell all of it since %.7s", branch, since)
	}
	return out, nil
}

// Landed lists who moved the branch, as the repository's activity has it. What a pull request's merge brought is its own people's,
// and not whose who merged it; a button of GitHub's, or its queue, says that it did.
func (c *Client) Landed(ctx context.Context, branch, since string) ([]string, error) {
	type move struct { // go-github has none of it
		Ref    string       `json:"ref"`
		Before string       `json:"before"`
		After  string       `json:"after"`
		Actor  *github.User `json:"actor"`
		Type   string       `json:"activity_type"`
	}
	var moves []move
	reached := since == ""
	q := url.Values{"ref": {"refs/heads/" + branch}, "direction": {"desc"}}
	err := list(ctx, c, c.repo+"/activity", q, func(m move) bool {
		reached = reached || m.After == since
		if reached && since != "" || m.Ref != "refs/heads/"+branch {
			return !reached
		}
		moves = append(moves, m)
		reached = reached || m.Before == since
		return !reached || since == ""
	})
	if err != nil {
		return nil, fmt.Errorf("list who moved %s: %w", branch, err)
	}
	if !reached {
		return nil, fault.New(fault.Missing, "list who moved %s: GitHub does not tell all of it since %.7s", branch, since)
	}
	var out []string
	for _, m := range moves {
		if m.Type != "pr_merge" && m.Type != "merge_queue_merge" {
			out = append(out, strings.ToLower(account(m.Actor).Login))
			continue
		}
		by, err := c.brought(ctx, m.After)
		if err != nil {
			return nil, err
		}
		out = append(out, by...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// brought are those who opened, and pushed to, the pull requests that were merged as sha.
func (c *Client) brought(ctx context.Context, sha string) (out []string, err error) {
	pulls, err := c.MergedAs(ctx, sha)
	if err != nil {
		return nil, err
	}
	if len(pulls) == 0 {
		return nil, fault.New(fault.Missing, "GitHub does not tell which pull request was merged as %.7s", sha)
	}
	for _, p := range pulls {
		out = append(out, strings.ToLower(p.Author.Login))
		if p.Fork {
			continue // its branch is another repository's, whose pushes are not listed
		}
		pushed, err := c.pushers(ctx, p.Head)
		if err != nil {
			return nil, err
		}
		out = append(out, pushed...)
	}
	return out, nil
}

// Propose finds the pull request, or opens it.
func (c *Client) Propose(ctx context.Context, p port.Proposal) (port.PullRequest, error) {
	q := url.Values{"state": {"all"}, "base": {p.Base}, "head": {c.owner() + ":" + p.Head}, "sort": {"created"}, "direction": {"desc"}}
	var found *port.PullRequest
	err := list(ctx, c, c.repo+"/pulls", q, func(got *github.PullRequest) bool {
		one := pull(got)
		if one.Fork || one.Head != p.Head || one.Base != p.Base { // GitHub takes a filter that it cannot read for none
			return true
		}
		if !one.Closed || found == nil && !one.Merged && one.HeadSHA == p.SHA { // of closed ones the newest counts
			found = &one
		}
		return one.Closed
	})
	if err != nil {
		return port.PullRequest{}, fmt.Errorf("list pull requests from %s: %w", p.Head, err)
	}
	if found != nil && found.Closed {
		again, err := c.reopened(ctx, found.Number)
		if again != nil || err != nil {
			return *cmp.Or(again, found), err
		}
	}
	if found != nil {
		return *found, nil
	}
	var made github.PullRequest
	ask := github.NewPullRequest{Title: &p.Title, Head: &p.Head, Base: &p.Base, Body: &p.Body}
	if _, err := c.call(ctx, http.MethodPost, c.repo+"/pulls", ask, &made); err != nil {
		if fault.Of(err) == fault.Denied {
			return port.PullRequest{}, fault.WithHint(fmt.Errorf("open a pull request from %s: %w", p.Head, err),
				"give the token pull-requests: write; in GitHub Actions, also allow Actions to create pull requests in the repository's settings. The branch %s is pushed: a person can open it", p.Head)
		}
		return port.PullRequest{}, fmt.Errorf("open a pull request from %s: %w", p.Head, err)
	}
	return pull(&made), nil
}

const (
	// withdrawn begins the comment that says why a pull request was withdrawn.
	withdrawn  = "<!-- vishwa:withdrawn -->\n"
	askedAgain = withdrawn + "This is asked for again, and open."
	// settled ends it once the pull request is closed: one that is open in spite of that was opened again by people.
	settled = "\n<!-- closed -->"
)

// Withdraw closes one of its own. The word comes first: a pull request that is closed without it is one that people said no to.
func (c *Client) Withdraw(ctx context.Context, n int, why string) error {
	p, err := c.Pull(ctx, n)
	if err != nil || p.Closed {
		return err
	}
	me, err := c.me(ctx)
	if err != nil || !strings.EqualFold(p.Author.Login, me) {
		return err
	}
	said := withdrawn + why
	if was, err := c.OwnComment(ctx, n, withdrawn); err != nil || sameText(was, said+settled) {
		return err
	}
	if _, err := c.UpsertComment(ctx, n, withdrawn, said); err != nil {
		return err
	}
	if _, err := c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", c.repo, n), map[string]string{"state": "closed"}, nil); err != nil {
		return fmt.Errorf("close pull request %d: %w", n, err)
	}
	_, err = c.UpsertComment(ctx, n, withdrawn, said+settled)
	return err
}

// reopened opens pull request n again where it was withdrawn; nil: people closed it.
func (c *Client) reopened(ctx context.Context, n int) (*port.PullRequest, error) {
	body, err := c.OwnComment(ctx, n, withdrawn)
	if err != nil || body == "" || sameText(body, askedAgain) {
		return nil, err
	}
	var open github.PullRequest
	if _, err := c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", c.repo, n), map[string]string{"state": "open"}, &open); err != nil {
		return nil, fmt.Errorf("open pull request %d again: %w", n, err)
	}
	p := pull(&open)
	_, err = c.UpsertComment(ctx, n, withdrawn, askedAgain)
	return &p, err
}

func (c *Client) owner() string { return strings.Split(c.repo, "/")[1] }

// inOrder sorts by number, and drops what a list that moved between two pages shows twice.
func inOrder(pulls []port.PullRequest) []port.PullRequest {
	slices.SortStableFunc(pulls, func(a, b port.PullRequest) int { return cmp.Compare(a.Number, b.Number) })
	return slices.CompactFunc(pulls, func(a, b port.PullRequest) bool { return a.Number == b.Number })
}

func pull(p *github.PullRequest) port.PullRequest {
	merged := p.GetMerged() || p.MergedAt != nil
	out := port.PullRequest{
		Number: p.GetNumber(), Title: p.GetTitle(), Author: account(p.User), Base: p.GetBase().GetRef(),
		Head: p.GetHead().GetRef(), HeadSHA: p.GetHead().GetSHA(), Draft: p.GetDraft(),
		Closed: p.GetState() == "closed", Merged: merged, URL: p.GetHTMLURL(), Updated: p.GetUpdatedAt().Time,
	}
	// A head whose repository was deleted is a stranger's too.
	from, to := p.GetHead().GetRepo(), p.GetBase().GetRepo()
	out.Fork = from == nil || from.GetID() != to.GetID() || !strings.EqualFold(from.GetFullName(), to.GetFullName())
	if out.Fork {
		out.Owner = from.GetOwner().GetLogin()
	}
	if merged {
		out.MergeSHA = p.GetMergeCommitSHA()
	}
	return out
}

// account is u, who is nobody where the account was deleted.
func account(u *github.User) port.Account {
	if u.GetLogin() == "" {
		return port.Account{Login: "ghost"}
	}
	return port.Account{Login: u.GetLogin(), Bot: u.GetType() == "Bot"}
}

var verdicts = map[string]port.ReviewState{
	"APPROVED": port.Approved, "CHANGES_REQUESTED": port.Rejected, "COMMENTED": port.Commented, "DISMISSED": port.Dismissed,
}

// Reviews lists all submitted reviews of n, each as it stands now.
func (c *Client) Reviews(ctx context.Context, n int) ([]port.Review, error) {
	var out []port.Review
	seen := map[int64]bool{}
	err := list(ctx, c, fmt.Sprintf("%s/pulls/%d/reviews", c.repo, n), nil, func(r *github.PullRequestReview) bool {
		verdict, known := verdicts[strings.ToUpper(r.GetState())]
		if known && !seen[r.GetID()] { // others are not submitted yet
			seen[r.GetID()] = true
			out = append(out, port.Review{ID: r.GetID(), By: account(r.User), State: verdict, SHA: r.GetCommitID(), Time: r.GetSubmittedAt().Time})
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list reviews of pull request %d: %w", n, err)
	}
	slices.SortStableFunc(out, func(a, b port.Review) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

var roles = map[string]port.Permission{
	"none": port.Nothing, "read": port.Reading, "triage": port.Triaging, "write": port.Writing, "maintain": port.Maintaining, "admin": port.Administering,
}

// Permission tells what login may do.
func (c *Client) Permission(ctx context.Context, login string) (port.Permission, error) {
	if login == "" || login == "." || login == ".." {
		return port.Nothing, nil
	}
	var level struct { // go-github's has no role_name
		Permission string `json:"permission"`
		Role       string `json:"role_name"`
	}
	_, err := c.call(ctx, http.MethodGet, c.repo+"/collaborators/"+url.PathEscape(login)+"/permission", nil, &level)
	switch {
	case fault.Of(err) == fault.Missing && err != nil:
		return port.Nothing, nil
	case err != nil:
		return port.Nothing, fmt.Errorf("read what %s may do: %w", clip(login, 60), err)
	}
	if may, known := roles[level.Role]; known {
		return may, nil
	}
	return roles[level.Permission], nil // a role of the organisation's own rests on one of these
}
