// Webhooks, checked by the receiver's own library.

package devforge_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

const hookKey = "a webhook's secret"

// ear hears webhooks.
type ear struct {
	mu    sync.Mutex
	heard []any
	kinds []string
	ids   []string
	bad   []error
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, err := github.ValidatePayload(r, []byte(hookKey))
	if err != nil {
		e.bad = append(e.bad, err)
		return
	}
	v, err := github.ParseWebHook(github.WebHookType(r), body)
	if err != nil {
		e.bad = append(e.bad, err)
		return
	}
	kind := github.WebHookType(r)
	if a, ok := v.(interface{ GetAction() string }); ok {
		kind = strings.TrimSpace(kind + " " + a.GetAction())
	}
	e.heard, e.kinds, e.ids = append(e.heard, v), append(e.kinds, kind), append(e.ids, github.DeliveryID(r))
}

func (e *ear) has(n int) func() bool {
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.heard) >= n
	}
}

func listen(t *testing.T, f *devforge.Forge) *ear {
	t.Helper()
	e := &ear{}
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	_, err := f.Hook(repoName, s.URL, hookKey)
	ok(t, err)
	return e
}

func TestEveryEventIsHeardSigned(t *testing.T) {
	f := start(t)
	e := listen(t, f)
	w, sha := proposed(t, f)
	w.commit("train.py", "epochs = 4\n")
	w.git("push", "--quiet", "origin", "topic")
	_, err := f.Review(repoName, 1, "bela", "approve")
	ok(t, err)
	_, err = f.Comment(repoName, 1, "bela", "/vishwa plan")
	ok(t, err)
	gh := client(t, f, f.ActionsToken(repoName, map[string]string{"checks": "write"}))
	run, _, err := gh.Checks.CreateCheckRun(background(), "acme", "models", github.CreateCheckRunOptions{Name: "vishwa/plan", HeadSHA: sha, Conclusion: github.String("failure")})
	ok(t, err)
	ok(t, f.Rerequest(repoName, run.GetID(), "asha"))
	_, _, err = f.Enqueue(repoName, 1, "asha", "merge")
	ok(t, err)
	ok(t, f.Complete(repoName, 1, true))
	want := strings.Split("ping;push;push;pull_request opened;push;pull_request synchronize;pull_request_review submitted;issue_comment created;"+
		"check_run created;check_run rerequested;push;merge_group checks_requested;pull_request closed;merge_group destroyed;push;push", ";")
	eventually(t, "all events", e.has(len(want)))
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.bad) > 0 {
		t.Errorf("these did not hold: %v", e.bad)
	}
	if !slices.Equal(e.kinds, want) {
		t.Errorf("heard\n%q, not\n%q", e.kinds, want)
	}
	comment := e.heard[7].(*github.IssueCommentEvent)
	if !comment.GetIssue().IsPullRequest() || comment.GetIssue().GetNumber() != 1 || comment.GetComment().GetBody() != "/vishwa plan" || comment.GetRepo().GetFullName() != repoName || comment.GetSender().GetLogin() != "bela" {
		t.Errorf("the comment's event is %+v", comment)
	}
	closed := e.heard[12].(*github.PullRequestEvent)
	if !closed.GetPullRequest().GetMerged() || closed.GetSender().GetLogin() != "asha" {
		t.Errorf("the closing event is %+v", closed.GetPullRequest())
	}
	if again := e.heard[4].(*github.PushEvent); len(again.Commits) != 1 || again.Commits[0].GetMessage() != "Change train.py" || again.GetForced() {
		t.Errorf("the second push of topic is %+v", again)
	}
	if push := e.heard[1].(*github.PushEvent); push.GetRef() != "refs/heads/main" || push.GetBefore() != zeros || push.GetPusher().GetName() != "asha" {
		t.Errorf("the push event is %+v", push)
	}
}

func TestALostDeliveryCanBeSentAgain(t *testing.T) {
	f := start(t)
	e := listen(t, f)
	eventually(t, "the ping", e.has(1))
	f.LoseDeliveries(1)
	w := seeded(t, f)
	w.git("push", "--quiet", "origin", "main:second")
	eventually(t, "the second push", e.has(2))
	var lost devforge.Delivery
	for _, d := range f.Deliveries() {
		if d.Lost {
			lost = d
		}
	}
	if lost.Event != "push" || !strings.Contains(string(lost.Body), `"refs/heads/main"`) {
		t.Fatalf("lost was %+v", lost)
	}
	for n := 3; n <= 4; n++ {
		ok(t, f.Redeliver(lost.ID))
		eventually(t, "the redelivery", e.has(n))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids[2] != lost.GUID || e.ids[3] != lost.GUID {
		t.Errorf("sent again under %v, not %s", e.ids[2:], lost.GUID)
	}
}

func TestAWrongSignatureIsSeen(t *testing.T) {
	f := start(t)
	e := &ear{}
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	_, err := f.Hook(repoName, s.URL, "another secret")
	ok(t, err)
	eventually(t, "the refusal", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.bad) == 1 })
}
