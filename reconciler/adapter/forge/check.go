// Whether what the controller writes on GitHub would be let, found out without writing.

package forge

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// nowhere is a commit that no repository has.
var nowhere = strings.Repeat("0", 40)

// MayWrite tells whether results may be shown beside commits. It asks to show one at a commit
// that is not there: who may write is told of the commit (422), and who may not is refused
// (403; 404 where the token may not even know of it).
func (c *Client) MayWrite(ctx context.Context) error {
	state, name := "pending", "vishwa/check"
	tries := []struct {
		path string
		in   any
	}{
		{c.repo + "/check-runs", map[string]any{"name": name, "head_sha": nowhere, "status": "in_progress"}},
		{c.repo + "/statuses/" + nowhere, &github.RepoStatus{State: &state, Context: &name}},
	}
	var err error
	for _, t := range tries {
		_, err = c.call(ctx, http.MethodPost, t.path, t.in, nil)
		switch code := statusOf(err); {
		case code == http.StatusUnprocessableEntity:
			return nil
		case code != http.StatusForbidden && code != http.StatusNotFound || fault.Of(err) == fault.Transient:
			return fmt.Errorf("ask whether results may be written: %w", err)
		}
	}
	return fault.WithHint(fault.New(fault.Denied, "the account may not show results at commits: %w", err),
		"give it write access to the repository, and the App or token the permissions that docs/github.md lists")
}
