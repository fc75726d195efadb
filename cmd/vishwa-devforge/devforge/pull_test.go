// Pull requests from their opening to their merge, in all ways that GitHub merges.

package devforge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestAPullRequestFollowsItsBranch(t *testing.T) {
	f := start(t)
	w, sha := proposed(t, f)
	gh := client(t, f, f.Token("asha"))
	p, _, err := gh.PullRequests.Get(background(), "acme", "models", 1)
	ok(t, err)
	if p.GetHead().GetSHA() != sha || p.GetBase().GetRef() != "main" || p.GetState() != "open" || !p.GetMergeable() || p.GetUser().GetLogin() != "asha" {
		t.Errorf("the pull request is %+v", p)
	}
	next := w.commit("train.py", "epochs = 4\n")
	w.git("push", "--quiet", "origin", "topic")
	if p, _, err = gh.PullRequests.Get(background(), "acme", "models", 1); err != nil || p.GetHead().GetSHA() != next {
		t.Errorf("after a push the head is %s, not %s: %v", p.GetHead().GetSHA(), next, err)
	}
	refs := w.git("ls-remote", "origin", "refs/pull/*")
	if !strings.Contains(refs, next+"\trefs/pull/1/head") || !strings.Contains(refs, "refs/pull/1/merge") {
		t.Errorf("the refs of the pull request are\n%s", refs)
	}
	w.git("reset", "--quiet", "--hard", "HEAD~1")
	w.git("push", "--quiet", "--force", "origin", "topic")
	if p, _ := f.Pull(repoName, 1); p.SHA != sha {
		t.Errorf("after a forced push the head is %s, not %s", p.SHA, sha)
	}
	w.git("push", "--quiet", "origin", ":topic")
	if p, _ := f.Pull(repoName, 1); p.State != "closed" || p.Merged {
		t.Errorf("without its branch the pull request is %+v", p)
	}
}

func TestAConflictIsSeen(t *testing.T) {
	f := start(t)
	w, _ := proposed(t, f)
	w.git("checkout", "--quiet", "main")
	w.commit("train.py", "epochs = 9\n")
	w.git("push", "--quiet", "origin", "main")
	if p, _ := f.Pull(repoName, 1); p.Mergeable {
		t.Errorf("a conflict is called mergeable")
	}
	_, _, err := client(t, f, f.Token("asha")).PullRequests.Merge(background(), "acme", "models", 1, "", nil)
	if status(err) != 405 {
		t.Errorf("a conflict was merged: %v", err)
	}
}

func TestEveryWayOfMergingEndsOnTheBase(t *testing.T) {
	for _, method := range []string{"merge", "squash", "rebase"} {
		t.Run(method, func(t *testing.T) {
			f := start(t)
			w, _ := proposed(t, f)
			head := w.commit("eval.py", "folds = 5\n")
			w.git("push", "--quiet", "origin", "topic")
			w.git("checkout", "--quiet", "main")
			w.commit("NOTES", "meanwhile\n")
			w.git("push", "--quiet", "origin", "main")
			gh := client(t, f, f.Token("asha"))
			if _, _, err := gh.PullRequests.Merge(background(), "acme", "models", 1, "", &github.PullRequestOptions{SHA: zeros, MergeMethod: method}); status(err) != 409 {
				t.Errorf("a head that has moved was merged: %v", err)
			}
			m, _, err := gh.PullRequests.Merge(background(), "acme", "models", 1, "", &github.PullRequestOptions{SHA: head, MergeMethod: method})
			ok(t, err)
			w.git("pull", "--quiet", "origin", "main")
			if got := w.git("rev-parse", "HEAD"); got != m.GetSHA() {
				t.Errorf("main is %s, merged was %s", got, m.GetSHA())
			}
			if got := w.git("ls-files"); got != "NOTES\nREADME.md\neval.py\ntrain.py" {
				t.Errorf("main holds %q", got)
			}
			if got := w.git("rev-list", "--count", "HEAD"); got != map[string]string{"merge": "5", "squash": "3", "rebase": "4"}[method] {
				t.Errorf("main has %s commits", got)
			}
			p, _, err := gh.PullRequests.Get(background(), "acme", "models", 1)
			ok(t, err)
			if !p.GetMerged() || p.GetMergeCommitSHA() != m.GetSHA() || p.GetState() != "closed" || p.GetMergedBy().GetLogin() != "asha" {
				t.Errorf("the merged pull request is %+v", p)
			}
			of, _, err := gh.PullRequests.ListPullRequestsWithCommit(background(), "acme", "models", m.GetSHA(), nil)
			ok(t, err)
			if len(of) != 1 || of[0].GetNumber() != 1 {
				t.Errorf("the pull requests of the merge are %v", of)
			}
			w.git("fsck", "--strict")
		})
	}
}

const zeros = "0000000000000000000000000000000000000000"

func TestMergingWaitsForReviewsAndChecks(t *testing.T) {
	f := start(t)
	_, sha := proposed(t, f)
	ok(t, f.Protect(repoName, "main", devforge.Protection{RequiredReviews: 1, RequiredChecks: []string{"vishwa/plan"}}))
	ok(t, f.Grant(repoName, "dana", "write"))
	refused := func(why string) {
		t.Helper()
		if _, err := f.Merge(repoName, 1, "asha", "merge"); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("merged, or refused for another reason than %q: %v", why, err)
		}
	}
	refused("At least 1 approving review")
	if _, err := f.Review(repoName, 1, "asha", "approve"); err == nil {
		t.Error("asha approved her own pull request")
	}
	_, err := f.Review(repoName, 1, "bela", "approve")
	ok(t, err)
	refused("At least 1 approving review") // a reader's does not count
	dana := client(t, f, f.Token("dana"))
	v, _, err := dana.PullRequests.CreateReview(background(), "acme", "models", 1, &github.PullRequestReviewRequest{Event: github.String("APPROVE")})
	ok(t, err)
	if v.GetState() != "APPROVED" || v.GetCommitID() != sha || v.GetUser().GetLogin() != "dana" || v.GetSubmittedAt().IsZero() {
		t.Errorf("the review came back as %+v", v)
	}
	refused(`"vishwa/plan" is expected`)
	_, _, err = dana.Repositories.CreateStatus(background(), "acme", "models", sha, &github.RepoStatus{State: github.String("success"), Context: github.String("vishwa/plan")})
	ok(t, err)
	ok(t, f.Dismiss(repoName, 1, v.GetID()))
	refused("At least 1 approving review")
	_, err = f.Review(repoName, 1, "dana", "approve")
	ok(t, err)
	_, err = f.Merge(repoName, 1, "asha", "squash")
	ok(t, err)
	list, _, err := dana.PullRequests.ListReviews(background(), "acme", "models", 1, nil)
	ok(t, err)
	if len(list) != 3 || list[1].GetState() != "DISMISSED" {
		t.Errorf("the reviews are %v", list)
	}
}

func TestAPushDismissesWhatWasApprovedBefore(t *testing.T) {
	f := start(t)
	w, _ := proposed(t, f)
	ok(t, f.Grant(repoName, "dana", "write"))
	ok(t, f.Protect(repoName, "main", devforge.Protection{RequiredReviews: 1, DismissStale: true}))
	_, err := f.Review(repoName, 1, "dana", "approve")
	ok(t, err)
	w.commit("train.py", "epochs = 9\n")
	w.git("push", "--quiet", "origin", "topic")
	if _, err := f.Merge(repoName, 1, "asha", "merge"); err == nil {
		t.Error("a stale approval let a new head in")
	}
}

func TestAForkProposes(t *testing.T) {
	f := start(t)
	seeded(t, f)
	ok(t, f.Publish(repoName))
	name, err := f.Fork(repoName, "cleo")
	ok(t, err)
	w := clone(t, f, name, "cleo")
	w.git("checkout", "--quiet", "-b", "idea")
	w.commit("idea.py", "x = 1\n")
	w.git("push", "--quiet", "origin", "idea")
	n, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: "cleo:idea", Title: "An idea", Author: "cleo"})
	ok(t, err)
	sha := w.commit("idea.py", "x = 2\n")
	w.git("push", "--quiet", "origin", "idea")
	p, _, err := client(t, f, "").PullRequests.Get(background(), "acme", "models", n)
	ok(t, err)
	if p.GetHead().GetRepo().GetFullName() != "cleo/models" || !p.GetHead().GetRepo().GetFork() || p.GetHead().GetSHA() != sha {
		t.Errorf("the fork's pull request is %+v", p.GetHead())
	}
	base := clone(t, f, repoName, "asha")
	base.git("fetch", "--quiet", "origin", fmt.Sprintf("refs/pull/%d/head", n))
	if got := base.git("rev-parse", "FETCH_HEAD"); got != sha {
		t.Errorf("refs/pull/%d/head is %s, not %s", n, got, sha)
	}
	if _, err := f.Merge(repoName, n, "asha", "merge"); err != nil {
		t.Errorf("merge of a fork: %v", err)
	}
}

func TestTheMergeQueueTriesBeforeItMerges(t *testing.T) {
	f := start(t)
	w, _ := proposed(t, f)
	w.git("checkout", "--quiet", "-b", "second", "main")
	w.commit("second.py", "x = 1\n")
	w.git("push", "--quiet", "origin", "second")
	_, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: "second", Title: "Second", Author: "asha"})
	ok(t, err)
	ref, sha, err := f.Enqueue(repoName, 1, "asha", "squash")
	ok(t, err)
	if !strings.HasPrefix(ref, "refs/heads/gh-readonly-queue/main/pr-1-") {
		t.Errorf("the queue's branch is %s", ref)
	}
	_, second, err := f.Enqueue(repoName, 2, "asha", "merge")
	ok(t, err)
	if got := w.git("ls-remote", "origin", ref); !strings.HasPrefix(got, sha) {
		t.Errorf("the queue's branch is at %q", got)
	}
	if err := f.Complete(repoName, 2, true); err == nil {
		t.Error("the second was merged before the first")
	}
	ok(t, f.Complete(repoName, 1, true))
	ok(t, f.Complete(repoName, 2, true))
	if got := w.git("ls-remote", "origin", "refs/heads/main"); !strings.HasPrefix(got, second) {
		t.Errorf("main is at %q, not at %s", got, second)
	}
	for n := 1; n <= 2; n++ {
		if p, _ := f.Pull(repoName, n); !p.Merged {
			t.Errorf("after the queue pull request %d is %+v", n, p)
		}
	}
	if got := w.git("ls-remote", "origin", "refs/heads/gh-readonly-queue/*"); got != "" {
		t.Errorf("the queue left %q", got)
	}
}

func TestPullRequestsAreListed(t *testing.T) {
	f := start(t)
	w := seeded(t, f)
	for _, b := range []string{"a", "b", "c"} {
		w.git("checkout", "--quiet", "-b", b, "main")
		w.commit(b, b)
		w.git("push", "--quiet", "origin", b)
		_, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: b, Title: b, Author: "asha"})
		ok(t, err)
	}
	ok(t, f.ClosePull(repoName, 2, "asha"))
	gh := client(t, f, f.Token("bela"))
	for name, c := range map[string]struct {
		o    github.PullRequestListOptions
		want string
	}{
		"open, newest first": {github.PullRequestListOptions{}, "[3 1]"},
		"open, oldest first": {github.PullRequestListOptions{Base: "main", Sort: "created", Direction: "asc"}, "[1 3]"},
		"closed":             {github.PullRequestListOptions{State: "closed"}, "[2]"},
		"of another base":    {github.PullRequestListOptions{Base: "other"}, "[]"},
		"of one head":        {github.PullRequestListOptions{Head: "acme:c"}, "[3]"},
		"one a page":         {github.PullRequestListOptions{State: "all", ListOptions: github.ListOptions{PerPage: 1, Page: 2}}, "[2]"},
	} {
		list, _, err := gh.PullRequests.List(background(), "acme", "models", &c.o)
		ok(t, err)
		got := []int{}
		for _, p := range list {
			got = append(got, p.GetNumber())
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, not %s", name, got, c.want)
		}
	}
	ok(t, f.ReopenPull(repoName, 2, "asha"))
	if p, _ := f.Pull(repoName, 2); p.State != "open" {
		t.Errorf("reopened, it is %s", p.State)
	}
	if _, err := f.OpenPull(devforge.NewPull{Repo: repoName, Head: "a", Title: "again", Author: "asha"}); err == nil {
		t.Error("the same branch was proposed twice")
	}
}

func TestAPushedMergeIsNoticed(t *testing.T) {
	f := start(t)
	w, _ := proposed(t, f)
	w.git("push", "--quiet", "origin", "topic:main")
	if p, _ := f.Pull(repoName, 1); !p.Merged {
		t.Errorf("a pull request merged by a push is %+v", p)
	}
}
