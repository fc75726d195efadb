// Many at once, and input that nobody should send.

package devforge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestManyPushAndTalkAtOnce(t *testing.T) {
	f := start(t)
	e := listen(t, f)
	seeded(t, f)
	const n = 6
	var all sync.WaitGroup
	for i := range n {
		w := clone(t, f, repoName, "asha")
		branch := fmt.Sprintf("topic-%d", i)
		w.git("checkout", "--quiet", "-b", branch)
		w.commit(branch, "x")
		all.Go(func() {
			if out, err := w.try("push", "--quiet", "origin", branch); err != nil {
				t.Errorf("push %s: %v %s", branch, err, out)
				return
			}
			number, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: branch, Title: branch, Author: "asha"})
			if err != nil {
				t.Error(err)
				return
			}
			gh := client(t, f, f.Token("asha"))
			for range 5 {
				if _, _, err := gh.Issues.CreateComment(background(), "acme", "models", number, &github.IssueComment{Body: github.String("x")}); err != nil {
					t.Error(err)
				}
				if _, _, err := gh.PullRequests.List(background(), "acme", "models", nil); err != nil {
					t.Error(err)
				}
			}
			if _, err := f.Merge(repoName, number, "asha", "squash"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := 1; i <= n; i++ {
		if p, err := f.Pull(repoName, i); err != nil || !p.Merged {
			t.Errorf("pull request %d: %+v %v", i, p, err)
		}
	}
	shown, err := f.Shown(repoName)
	ok(t, err)
	if len(shown.Comments) != 5*n {
		t.Errorf("%d comments were kept, not %d", len(shown.Comments), 5*n)
	}
	// ping; the first push; a pull request each: push, opened, comments, closed, push
	eventually(t, "all webhooks", e.has(2+n*9))
}

// seededForFuzzing is a forge with a pull request and a comment of it.
func seededForFuzzing(f *testing.F) (*devforge.Forge, int64) {
	f.Helper()
	must := func(err error) {
		if err != nil {
			f.Fatal(err)
		}
	}
	d, err := devforge.New(devforge.Options{Dir: f.TempDir()})
	must(err)
	f.Cleanup(func() { d.Close() })
	_, err = d.Listen("127.0.0.1:0")
	must(err)
	must(d.CreateRepo("acme", "models"))
	w := tree{dir: f.TempDir()}
	for _, args := range [][]string{
		{"init", "--quiet", "-b", "main"}, {"commit", "--quiet", "--allow-empty", "-m", "0"},
		{"push", "--quiet", strings.Replace(d.CloneURL(repoName), "//", "//x:"+d.Token("acme")+"@", 1), "main"},
		{"commit", "--quiet", "--allow-empty", "-m", "1"},
		{"push", "--quiet", strings.Replace(d.CloneURL(repoName), "//", "//x:"+d.Token("acme")+"@", 1), "main:topic"},
	} {
		if out, err := w.try(args...); err != nil {
			f.Fatalf("git %v: %v %s", args[0], err, out)
		}
	}
	_, err = d.OpenPull(devforge.NewPull{Repo: repoName, Head: "topic", Title: "x", Author: "acme"})
	must(err)
	id, err := d.Comment(repoName, 1, "acme", "x")
	must(err)
	return d, id
}

// fuzzed are the endpoints that read a body or a query; %d is a comment.
var fuzzed = []string{
	"POST /repos/acme/models/issues/1/comments", "PATCH /repos/acme/models/issues/comments/%d", "POST /repos/acme/models/issues/comments/%d/reactions",
	"POST /repos/acme/models/pulls", "PATCH /repos/acme/models/pulls/1", "PUT /repos/acme/models/pulls/1/merge", "POST /repos/acme/models/pulls/1/reviews",
	"POST /repos/acme/models/statuses/topic", "POST /repos/acme/models/check-runs", "POST /repos/acme/models/deployments",
	"GET /repos/acme/models/issues/comments", "GET /repos/acme/models/pulls", "GET /repos/acme/models/deployments", "GET /repos/acme/models/commits/topic/check-runs",
	"POST /_dev/open", "POST /_dev/protect", "GET /_dev/pull", "GET ",
}

// FuzzAPI: whatever is sent, the answer is one of GitHub's, never a panic or a 500.
func FuzzAPI(f *testing.F) {
	for i, s := range [][2]string{
		{"", `{"body":"x"}`}, {"", `{"body":null}`}, {"", `{"content":"eyes"}`}, {"", `{"title":"x","head":":","base":"-"}`}, {"", `{"title":null,"base":"topic"}`},
		{"", `{"merge_method":1}`}, {"", `{"event":"APPROVE","commit_id":"topic"}`}, {"", `{"state":"success","context":"x"}`},
		{"", `{"name":"x","head_sha":"topic","output":{"title":"t","summary":"s","annotations":[{"path":"a","start_line":1,"end_line":1,"annotation_level":"notice","message":"m"}]}}`},
		{"", `{"ref":"main","payload":{},"required_contexts":["x"]}`}, {"since=2024-01-01T00:00:00Z&page=-1&per_page=1000", ``}, {"state=all&sort=updated&page=99", ``},
		{"sha=x&per_page=0", ``}, {"filter=all&check_name=x", ``}, {"", `{"repo":"acme/models","head":"other:topic"}`}, {"", `{"repo":"acme/models","branch":"x\ny"}`},
		{"repo=acme/models&number=1", ``}, {"/repos/acme/models/commits/--all%2f/status", ``},
	} {
		f.Add(uint8(i), s[0], s[1])
	}
	d, comment := seededForFuzzing(f)
	token := d.ActionsToken(repoName, map[string]string{"*": "write"})
	f.Fuzz(func(t *testing.T, which uint8, query, body string) {
		method, path, _ := strings.Cut(fuzzed[int(which)%len(fuzzed)], " ")
		if path == "" {
			path = query
		} else {
			path = strings.Replace(path, "%d", fmt.Sprint(comment), 1) + "?" + query
		}
		r, err := http.NewRequest(method, d.URL()+"/"+strings.TrimPrefix(path, "/"), strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code >= 500 && !strings.Contains(path, ".git/") {
			t.Errorf("%s %s %q: %d %s", method, path, body, w.Code, w.Body)
		}
	})
}
