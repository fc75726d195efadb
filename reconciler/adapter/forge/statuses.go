// Statuses that stand beside a commit for programs to read: checkpoints of a ledger.

package forge

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-github/v62/github"
)

// farBack is how many statuses are looked at for one of our own.
const farBack = 1000

// Post adds a status.
func (c *Client) Post(ctx context.Context, sha, name, text string) error {
	done := "success"
	_, err := c.call(ctx, http.MethodPost, c.repo+"/statuses/"+url.PathEscape(sha), &github.RepoStatus{State: &done, Context: &name, Description: &text}, nil)
	return err
}

// Posted lists what statuses say, the newest first, up to the page with one of ours.
func (c *Client) Posted(ctx context.Context, sha, prefix string) (out []string, err error) {
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	n, ours := 0, false
	err = list(ctx, c, c.repo+"/commits/"+url.PathEscape(sha)+"/statuses", nil, func(s *github.RepoStatus) bool {
		if n%100 == 0 && (ours || n >= farBack) { // a page is over
			return false
		}
		n++
		if strings.HasPrefix(s.GetContext(), prefix) {
			out = append(out, s.GetDescription())
			ours = ours || s.GetCreator().GetLogin() == me
		}
		return true
	})
	return out, err
}
