// The conversation: one comment of our own, and answers to what others write.

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
	"time"
	"unicode/utf8"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// maxComment is how many characters GitHub takes.
const maxComment = 65_536

// Comments lists what others wrote.
func (c *Client) Comments(ctx context.Context, n int, since time.Time) ([]port.Comment, error) {
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	if !since.IsZero() {
		q.Set("since", since.UTC().Format(time.RFC3339))
	}
	path := fmt.Sprintf("%s/issues/%d/comments", c.repo, n)
	if n == 0 {
		path = c.repo + "/issues/comments"
		q.Set("sort", "created")
		q.Set("direction", "asc")
	}
	var out []port.Comment
	seen := map[int64]bool{}
	err = list(ctx, c, path, q, func(r *github.IssueComment) bool {
		number := pullOf(r)
		if number == 0 || n != 0 && number != n || seen[r.GetID()] || r.GetUpdatedAt().Before(since.Truncate(time.Second)) {
			return true
		}
		seen[r.GetID()] = true
		if by := account(r.User); !strings.EqualFold(by.Login, me) {
			out = append(out, port.Comment{ID: r.GetID(), Pull: number, By: by, Body: r.GetBody(), Time: r.GetCreatedAt().Time,
				Edited: r.GetUpdatedAt().After(r.GetCreatedAt().Time)})
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list comments: %w", err)
	}
	slices.SortStableFunc(out, func(a, b port.Comment) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// pullOf is the pull request below which r stands, or 0 where that is a plain issue.
func pullOf(r *github.IssueComment) int {
	u, err := url.Parse(r.GetHTMLURL())
	if err != nil {
		return 0
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 || parts[len(parts)-2] != "pull" {
		return 0
	}
	n, _ := strconv.Atoi(parts[len(parts)-1]) // 0 where it is none
	return n
}

// own lists our comments of pull request n that begin with marker, oldest first.
func (c *Client) own(ctx context.Context, n int, marker string) ([]*github.IssueComment, error) {
	if marker == "" {
		return nil, fault.New(fault.Internal, "look for Vishwa's comment without a marker")
	}
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	var out []*github.IssueComment
	err = list(ctx, c, fmt.Sprintf("%s/issues/%d/comments", c.repo, n), nil, func(r *github.IssueComment) bool {
		if strings.HasPrefix(r.GetBody(), marker) && strings.EqualFold(r.GetUser().GetLogin(), me) {
			out = append(out, r)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("look for Vishwa's comment of pull request %d: %w", n, err)
	}
	slices.SortFunc(out, func(a, b *github.IssueComment) int { return cmp.Compare(a.GetID(), b.GetID()) })
	return slices.CompactFunc(out, func(a, b *github.IssueComment) bool { return a.GetID() == b.GetID() }), nil
}

// OwnComment is what our comment says.
func (c *Client) OwnComment(ctx context.Context, n int, marker string) (string, error) {
	own, err := c.own(ctx, n, marker)
	if err != nil || len(own) == 0 {
		return "", err
	}
	return own[0].GetBody(), nil
}

// UpsertComment makes body the body of our one comment.
func (c *Client) UpsertComment(ctx context.Context, n int, marker, body string) (string, error) {
	switch {
	case !strings.HasPrefix(body, marker):
		return "", fault.New(fault.Internal, "comment on pull request %d: the text does not begin with its marker", n)
	case utf8.RuneCountInString(body) > maxComment:
		return "", fault.WithHint(fault.New(fault.Invalid, "comment on pull request %d: the text has more than %d characters", n, maxComment), "report it with the pull request: a comment is cut before it is so long")
	}
	c.saying.Lock()
	defer c.saying.Unlock()
	own, err := c.own(ctx, n, marker)
	if err != nil {
		return "", err
	}
	text := &github.IssueComment{Body: &body}
	if len(own) == 0 {
		var made github.IssueComment
		if _, err := c.call(ctx, http.MethodPost, fmt.Sprintf("%s/issues/%d/comments", c.repo, n), text, &made); err != nil {
			return "", fmt.Errorf("comment on pull request %d: %w", n, err)
		}
		if !c.learned(made.GetUser().GetLogin()) {
			return made.GetHTMLURL(), nil
		}
		// We are somebody else than we took ourselves for: what we said before is found only now.
		if own, err = c.own(ctx, n, marker); err != nil {
			return "", err
		}
		if len(own) == 0 { // the list does not show the new comment yet
			return made.GetHTMLURL(), nil
		}
	}
	if !sameText(own[0].GetBody(), body) {
		if _, err := c.call(ctx, http.MethodPatch, fmt.Sprintf("%s/issues/comments/%d", c.repo, own[0].GetID()), text, nil); err != nil {
			return "", fmt.Errorf("edit comment on pull request %d: %w", n, err)
		}
	}
	for _, extra := range own[1:] {
		_, err := c.call(ctx, http.MethodDelete, fmt.Sprintf("%s/issues/comments/%d", c.repo, extra.GetID()), nil, nil)
		if err != nil && fault.Of(err) != fault.Missing {
			return "", fmt.Errorf("delete second comment on pull request %d: %w", n, err)
		}
	}
	return own[0].GetHTMLURL(), nil
}

// learned takes over what GitHub says of us, and tells whether that is news.
func (c *Client) learned(by string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if by == "" || strings.EqualFold(by, c.self) {
		return false
	}
	c.self = by
	return true
}

// sameText compares as GitHub may have kept it: with its own line ends.
func sameText(a, b string) bool {
	plain := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), " \n\t") }
	return plain(a) == plain(b)
}

// React answers a remark. GitHub keeps one reaction of a kind.
func (c *Client) React(ctx context.Context, remark int64, with port.Reaction) error {
	in := map[string]string{"content": string(with)}
	if _, err := c.call(ctx, http.MethodPost, fmt.Sprintf("%s/issues/comments/%d/reactions", c.repo, remark), in, nil); err != nil {
		return fmt.Errorf("react to comment %d: %w", remark, err)
	}
	return nil
}

// Reacted tells whether we have answered.
func (c *Client) Reacted(ctx context.Context, remark int64) (bool, error) {
	me, err := c.me(ctx)
	if err != nil {
		return false, err
	}
	found := false
	err = list(ctx, c, fmt.Sprintf("%s/issues/comments/%d/reactions", c.repo, remark), nil, func(r *github.Reaction) bool {
		found = strings.EqualFold(r.GetUser().GetLogin(), me)
		return !found
	})
	if err != nil {
		return false, fmt.Errorf("read reactions to comment %d: %w", remark, err)
	}
	return found, nil
}
