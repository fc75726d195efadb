// Comments, reactions and the manners of the protocol, as go-github meets them.

package devforge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestAConversationIsKept(t *testing.T) {
	f := start(t)
	proposed(t, f)
	asha, bela := client(t, f, f.Token("asha")), client(t, f, f.Token("bela"))
	c, _, err := bela.Issues.CreateComment(background(), "acme", "models", 1, &github.IssueComment{Body: github.String("/vishwa plan")})
	ok(t, err)
	if c.GetUser().GetLogin() != "bela" || c.GetUser().GetType() != "User" || c.GetBody() != "/vishwa plan" || !strings.HasSuffix(c.GetIssueURL(), "/issues/1") {
		t.Errorf("the comment came back as %+v", c)
	}
	for range 2 { // reacting twice is once
		_, _, err = asha.Reactions.CreateIssueCommentReaction(background(), "acme", "models", c.GetID(), "eyes")
		ok(t, err)
	}
	list, _, err := asha.Reactions.ListIssueCommentReactions(background(), "acme", "models", c.GetID(), nil)
	ok(t, err)
	if len(list) != 1 || list[0].GetUser().GetLogin() != "asha" || list[0].GetContent() != "eyes" {
		t.Errorf("the reactions are %v", list)
	}
	_, err = bela.Reactions.DeleteIssueCommentReaction(background(), "acme", "models", c.GetID(), list[0].GetID())
	if status(err) != http.StatusNotFound {
		t.Errorf("bela took asha's reaction away: %v", err)
	}
	_, err = asha.Reactions.DeleteIssueCommentReaction(background(), "acme", "models", c.GetID(), list[0].GetID())
	ok(t, err)
	own, _, err := asha.Issues.CreateComment(background(), "acme", "models", 1, &github.IssueComment{Body: github.String("one")})
	ok(t, err)
	if _, _, err = bela.Issues.EditComment(background(), "acme", "models", own.GetID(), &github.IssueComment{Body: github.String("two")}); status(err) != http.StatusForbidden {
		t.Errorf("bela edited asha's comment: %v", err)
	}
	_, _, err = asha.Issues.EditComment(background(), "acme", "models", own.GetID(), &github.IssueComment{Body: github.String("two")})
	ok(t, err)
	got, _, err := bela.Issues.GetComment(background(), "acme", "models", own.GetID())
	ok(t, err)
	if got.GetBody() != "two" {
		t.Errorf("the edited comment says %q", got.GetBody())
	}
	_, err = asha.Issues.DeleteComment(background(), "acme", "models", own.GetID())
	ok(t, err)
	shown, err := f.Shown(repoName)
	ok(t, err)
	if len(shown.Comments) != 1 || shown.Comments[0].Login != "bela" || len(shown.Comments[0].Reactions) != 0 {
		t.Errorf("shown is %+v", shown.Comments)
	}
}

func TestCommentsOutsideTheLimitsAreRefused(t *testing.T) {
	f := start(t)
	proposed(t, f)
	c := client(t, f, f.Token("asha"))
	post := func(n int, body string) error {
		_, _, err := c.Issues.CreateComment(background(), "acme", "models", n, &github.IssueComment{Body: &body})
		return err
	}
	ok(t, post(1, strings.Repeat("é", 65536)))
	var refused *github.ErrorResponse
	if err := post(1, strings.Repeat("x", 65537)); !errors.As(err, &refused) || refused.Response.StatusCode != 422 || !strings.Contains(refused.Errors[0].Message, "maximum is 65536 characters") {
		t.Errorf("a comment of 65,537 characters: %v", err)
	}
	if err := post(1, " "); status(err) != 422 {
		t.Errorf("an empty comment: %v", err)
	}
	if err := post(9, "x"); status(err) != 404 {
		t.Errorf("a comment below nothing: %v", err)
	}
	if _, _, err := c.Reactions.CreateIssueCommentReaction(background(), "acme", "models", 1, "shrug"); status(err) != 422 {
		t.Errorf("an unknown reaction: %v", err)
	}
}

func TestListsComeInPages(t *testing.T) {
	f := start(t)
	proposed(t, f)
	for i := range 45 {
		_, err := f.Comment(repoName, 1, "bela", fmt.Sprintf("remark %d", i))
		ok(t, err)
	}
	c := client(t, f, f.Token("asha"))
	var bodies []string
	o := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 20}}
	for pages := 1; ; pages++ {
		list, resp, err := c.Issues.ListComments(background(), "acme", "models", 1, o)
		ok(t, err)
		for _, x := range list {
			bodies = append(bodies, x.GetBody())
		}
		if pages == 1 && resp.LastPage != 3 {
			t.Errorf("the last page is %d, not 3", resp.LastPage)
		}
		if resp.NextPage == 0 {
			break
		}
		o.Page = resp.NextPage
	}
	if len(bodies) != 45 || bodies[0] != "remark 0" || bodies[44] != "remark 44" {
		t.Errorf("the pages held %d comments", len(bodies))
	}
	later := time.Now().Add(time.Hour)
	list, _, err := c.Issues.ListComments(background(), "acme", "models", 0, &github.IssueListCommentsOptions{Since: &later, Sort: github.String("updated")})
	ok(t, err)
	if len(list) != 0 {
		t.Errorf("since an hour from now there were %d comments", len(list))
	}
	list, _, err = c.Issues.ListComments(background(), "acme", "models", 0, &github.IssueListCommentsOptions{Direction: github.String("desc"), Sort: github.String("created")})
	ok(t, err)
	if len(list) != 30 || list[0].GetBody() != "remark 44" {
		t.Errorf("the newest of all comments: %d, %q", len(list), list[0].GetBody())
	}
}

func TestWhatIsKnownIsFree(t *testing.T) {
	f := start(t)
	proposed(t, f)
	token := f.Token("asha")
	get := func(tag string) *http.Response {
		req, _ := http.NewRequest(http.MethodGet, f.URL()+"/repos/acme/models/issues/1/comments", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("If-None-Match", tag)
		resp, err := http.DefaultClient.Do(req)
		ok(t, err)
		resp.Body.Close()
		return resp
	}
	first := get("")
	again := get(first.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified || again.Header.Get("X-RateLimit-Remaining") != first.Header.Get("X-RateLimit-Remaining") {
		t.Errorf("asked again: %d, remaining %s after %s", again.StatusCode, again.Header.Get("X-RateLimit-Remaining"), first.Header.Get("X-RateLimit-Remaining"))
	}
	_, err := f.Comment(repoName, 1, "bela", "new")
	ok(t, err)
	if changed := get(first.Header.Get("ETag")); changed.StatusCode != http.StatusOK {
		t.Errorf("after a new comment: %d", changed.StatusCode)
	}
}

func TestLimitsAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		fault devforge.Fault
		check func(error) bool
	}{
		"the primary limit": {devforge.Fault{Exhausted: time.Minute, Times: 1}, func(err error) bool {
			var e *github.RateLimitError
			return errors.As(err, &e) && e.Rate.Remaining == 0 && time.Until(e.Rate.Reset.Time) > 50*time.Second
		}},
		"the secondary limit": {devforge.Fault{RetryAfter: 2 * time.Second, Times: 1}, func(err error) bool {
			var e *github.AbuseRateLimitError
			return errors.As(err, &e) && e.GetRetryAfter() == 2*time.Second
		}},
		"the secondary limit without a time": {devforge.Fault{Secondary: true, Times: 1}, func(err error) bool {
			var e *github.AbuseRateLimitError
			return errors.As(err, &e)
		}},
		"a bad gateway": {devforge.Fault{Status: 502, Times: 1}, func(err error) bool { return status(err) == 502 }},
		"a cut":         {devforge.Fault{Cut: true, Times: 1}, func(err error) bool { return err != nil && status(err) == 0 }},
		"a cut later":   {devforge.Fault{Cut: true, After: 10, Times: 1}, func(err error) bool { return err != nil && status(err) == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			gh := client(t, f, f.Token("asha"))
			c.fault.Path = "/repos/acme/models"
			f.Break(c.fault)
			_, _, err := gh.Repositories.Get(background(), "acme", "models")
			if !c.check(err) {
				t.Errorf("the client saw %T %v", err, err)
			}
			f.Mend()
			_, _, err = client(t, f, f.Token("asha")).Repositories.Get(background(), "acme", "models")
			ok(t, err)
		})
	}
}

func TestTheHourIsCounted(t *testing.T) {
	f := start(t)
	f.Limit(3)
	gh := client(t, f, f.Token("asha"))
	for i := range 3 {
		_, resp, err := gh.Repositories.Get(background(), "acme", "models")
		ok(t, err)
		if resp.Rate.Remaining != 2-i {
			t.Errorf("after %d requests %d are left", i+1, resp.Rate.Remaining)
		}
	}
	limits, _, err := gh.RateLimit.Get(background())
	ok(t, err)
	if limits.Core.Remaining != 0 || limits.Core.Limit != 3 {
		t.Errorf("the limits are %v", limits.Core)
	}
	_, _, err = client(t, f, f.Token("asha")).Repositories.Get(background(), "acme", "models")
	var limited *github.RateLimitError
	if !errors.As(err, &limited) {
		t.Errorf("the fourth request: %v", err)
	}
}

func TestRightsAreAsked(t *testing.T) {
	f := start(t)
	_, sha := proposed(t, f)
	comment := func(c *github.Client) error {
		_, _, err := c.Issues.CreateComment(background(), "acme", "models", 1, &github.IssueComment{Body: github.String("x")})
		return err
	}
	mark := func(c *github.Client) error {
		_, _, err := c.Repositories.CreateStatus(background(), "acme", "models", sha, &github.RepoStatus{State: github.String("success")})
		return err
	}
	check := func(c *github.Client) error {
		_, _, err := c.Checks.CreateCheckRun(background(), "acme", "models", github.CreateCheckRunOptions{Name: "x", HeadSHA: sha})
		return err
	}
	for name, c := range map[string]struct {
		token  string
		do     func(*github.Client) error
		status int
		says   string
	}{
		"nobody":                  {"", comment, 404, "Not Found"},
		"a wrong token":           {"ghp_wrong", comment, 401, "Bad credentials"},
		"a stranger":              {f.Token("cleo"), comment, 404, "Not Found"},
		"a reader's status":       {f.Token("bela"), mark, 403, "push access"},
		"a person's check run":    {f.Token("asha"), check, 403, "You must authenticate via a GitHub App."},
		"a narrow token":          {f.Token("asha", "statuses:write"), comment, 403, "Resource not accessible by personal access token"},
		"a narrow token's status": {f.Token("asha", "repo:status"), mark, 0, ""},
		"a job without the right": {f.ActionsToken(repoName, map[string]string{"contents": "read"}), comment, 403, "Resource not accessible by integration"},
		"a job with the right":    {f.ActionsToken(repoName, map[string]string{"checks": "write"}), check, 0, ""},
		"another's job":           {f.ActionsToken("other/repo", map[string]string{"checks": "write"}), check, 404, "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.do(client(t, f, c.token))
			if status(err) != c.status || c.status == 0 && err != nil || c.status != 0 && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want %d %q", err, c.status, c.says)
			}
		})
	}
}

func TestRolesAreTold(t *testing.T) {
	f := start(t)
	f.AddUser("cleo", false)
	ok(t, f.Grant(repoName, "dana", "triage"))
	ok(t, f.Grant(repoName, "emil", "maintain"))
	gh := client(t, f, f.Token("asha"))
	for login, want := range map[string][2]string{
		"asha": {"write", "write"}, "bela": {"read", "read"}, "cleo": {"none", "none"}, "dana": {"read", "triage"}, "emil": {"write", "maintain"}, "acme": {"admin", "admin"},
	} {
		level, _, err := gh.Repositories.GetPermissionLevel(background(), "acme", "models", login)
		ok(t, err)
		if got := [2]string{level.GetPermission(), level.GetUser().GetRoleName()}; got != want {
			t.Errorf("%s has %v, not %v", login, got, want)
		}
	}
	if _, _, err := gh.Repositories.GetPermissionLevel(background(), "acme", "models", "nobody-here"); status(err) != 404 {
		t.Errorf("an unknown login: %v", err)
	}
	if _, _, err := client(t, f, f.Token("bela")).Repositories.GetPermissionLevel(background(), "acme", "models", "asha"); status(err) != 403 {
		t.Errorf("a reader asked for roles: %v", err)
	}
}
