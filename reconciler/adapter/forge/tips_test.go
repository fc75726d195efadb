// What a branch was at: every move of it, or nothing.

package forge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestWhatABranchWasAtIsTold: a merged pull request moves its base from what that was at to
// what the merge made, however it is merged; its own commits the base never was at.
func TestWhatABranchWasAtIsTold(t *testing.T) {
	for _, method := range []string{"merge", "squash", "rebase"} {
		t.Run(method, func(t *testing.T) {
			f, head := start(t)
			c := open(t, f, f.Token("vishwa"))
			topic, err := c.Tips(t.Context(), "topic", head)
			if err != nil || topic[0] != head {
				t.Fatalf("the topic was at %v, %v", topic, err)
			}
			if _, err := c.Tips(t.Context(), "main", head); fault.Of(err) != fault.Missing || err == nil {
				t.Fatalf("since what the branch was never at: %v, want Missing", err)
			}
			sha, err := f.Merge(repoName, 1, "vishwa", method)
			ok(t, err)
			now, err := c.Tips(t.Context(), "main", sha)
			if err != nil || len(now) < 2 || now[0] != sha {
				t.Fatalf("main was at %v, %v; want %s first", now, err, sha)
			}
			if slices.Contains(now, head) && sha != head {
				t.Errorf("main was never at %s, and %v are told", head, now)
			}
		})
	}
}

// TestAGapInWhatABranchWasAtIsNotPassedOver: moves of which one is missing, that are another
// branch's, or that do not reach back are no answer.
func TestAGapInWhatABranchWasAtIsNotPassedOver(t *testing.T) {
	sha := func(s string) string { return strings.Repeat(s, 40) }
	move := func(ref, before, after string) string {
		return fmt.Sprintf(`{"ref": %q, "before": %q, "after": %q, "activity_type": "push"}`, ref, sha(before), sha(after))
	}
	const main = "refs/heads/main"
	for name, c := range map[string]struct {
		moves []string
		want  string // the first digits of what is told; "" is Missing
	}{
		"whole":                    {[]string{move(main, "b", "c"), move(main, "a", "b")}, "cba"},
		"more than asked for":      {[]string{move(main, "a", "b"), move(main, "0", "a")}, "ba0"},
		"one is missing":           {[]string{move(main, "c", "d"), move(main, "a", "b")}, ""},
		"another branch's between": {[]string{move(main, "b", "c"), move("refs/heads/main2", "a", "b"), move(main, "a", "b")}, ""},
		"not back to it":           {[]string{move(main, "b", "c")}, ""},
		"nothing":                  {nil, ""},
		"a gap further back":       {[]string{move(main, "a", "b"), move(main, "e", "f")}, "ba"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if q := r.URL.Query(); q.Get("ref") != main {
					t.Errorf("asked for %s", q)
				}
				fmt.Fprintf(w, "[%s]", strings.Join(c.moves, ","))
			}))
			defer s.Close()
			client, err := forge.GitHub(forge.Config{Owner: "o", Repo: "r", API: s.URL + "/api/v3/", Auth: forge.Auth{Token: "x"}})
			ok(t, err)
			got, err := client.Tips(t.Context(), "main", sha("a"))
			said := ""
			for _, at := range got {
				said += at[:1]
			}
			if said != c.want || (c.want == "") != (err != nil && fault.Of(err) == fault.Missing) {
				t.Errorf("%q, %v; want %q", said, err, c.want)
			}
		})
	}
}

// TestWhoMovedABranchIsTold: who pushed to it, and of what was merged who opened it and pushed to it, and not who merged it.
func TestWhoMovedABranchIsTold(t *testing.T) {
	for _, method := range []string{"merge", "squash", "rebase"} {
		f, _ := start(t)
		c := open(t, f, f.Token("vishwa"))
		ok(t, f.Grant(repoName, "merger", "write"))
		all, err := c.Landed(t.Context(), "main", "")
		ok(t, err)
		was, err := c.Pull(t.Context(), 1)
		ok(t, err)
		sha, err := f.Merge(repoName, 1, "merger", method)
		ok(t, err)
		tips, err := c.Tips(t.Context(), "main", sha)
		ok(t, err)
		got, err := c.Landed(t.Context(), "main", tips[1])
		want := slices.Compact(slices.Sorted(slices.Values([]string{was.Author.Login, "vishwa"})))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", method, got, err, want)
		}
		if now, err := c.Landed(t.Context(), "main", sha); err != nil || len(now) > 0 {
			t.Errorf("%s: since the merge itself: %v, %v", method, now, err)
		}
		if len(all) == 0 || slices.Contains(got, "merger") {
			t.Errorf("%s: from the beginning %v, and who merged is in %v", method, all, got)
		}
		if _, err := c.Landed(t.Context(), "main", strings.Repeat("9", 40)); fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("%s: since what it was never at: %v", method, err)
		}
	}
}

// TestNobodyPushedIsNoAnswer: GitHub tells the merge, and none of the pushes to the branch that was merged.
func TestNobodyPushedIsNoAnswer(t *testing.T) {
	f, _ := start(t)
	sha, err := f.Merge(repoName, 1, "vishwa", "merge")
	ok(t, err)
	to, err := url.Parse(f.URL())
	ok(t, err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/activity") && r.URL.Query().Get("ref") != "refs/heads/main" {
			fmt.Fprint(w, "[]")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer s.Close()
	c, err := forge.GitHub(forge.Config{Owner: "acme", Repo: "models", API: s.URL + to.Path, Auth: forge.Auth{Token: f.Token("vishwa")}})
	ok(t, err)
	tips, err := c.Tips(t.Context(), "main", sha)
	ok(t, err)
	if got, err := c.Landed(t.Context(), "main", tips[1]); fault.Of(err) != fault.Missing || err == nil {
		t.Errorf("%v, %v; want Missing", got, err)
	}
}
